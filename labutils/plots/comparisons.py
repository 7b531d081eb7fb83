"""Pictures of tables. Nothing is computed here, and nothing but tables comes in."""

import pandas as pd
from matplotlib.figure import Figure

from labutils.plots.style import MARKERS, PALETTE, accuracy_axis, draw_band, epoch_axis, new_figure


def plot_history(history: pd.DataFrame, title: str = "") -> Figure:
    """Loss and accuracy over epochs from the table that `fit` returns; stages are set apart by dotted lines."""
    figure, (left, right) = new_figure(2, 10, 4)
    for ax, value in ((left, "loss"), (right, "accuracy")):
        for number, split in enumerate(("train", "validation")):
            seen = history.dropna(subset=[f"{split}_{value}"])
            ax.plot(
                seen["epoch"],
                seen[f"{split}_{value}"],
                marker=MARKERS[number],
                color=PALETTE[number],
                label=split,
            )
        epoch_axis(ax, history)
    left.set_ylabel("cross-entropy")
    accuracy_axis(right, "accuracy")
    right.legend()
    figure.suptitle(title)
    return figure


def plot_comparison(means: pd.DataFrame, title: str) -> Figure:
    """Validation accuracy over optimizer steps for each start.

    Parameters
    ----------
    means : DataFrame
        start, step, mean, low, high.
    """
    figure, (ax,) = new_figure()
    names = {"pretrained": "pretrained", "random": "random initialisation"}
    for number, (start, part) in enumerate(means.groupby("start", sort=False)):
        draw_band(ax, part["step"], part, names.get(start, start), number)
    ax.set_xlabel("optimizer steps")
    ax.set_xlim(left=0)
    accuracy_axis(ax, "validation accuracy")
    ax.set_title(title)
    ax.legend(loc="best")
    return figure


def plot_freeze_depth(means: pd.DataFrame, seconds: pd.DataFrame, title: str) -> Figure:
    """Test accuracy, and time of a run, over the number of trained groups.

    Parameters
    ----------
    means, seconds : DataFrame
        trained_groups, mean, low, high; of the accuracy and of the seconds a run took.
    """
    figure, (left, right) = new_figure(2, 10, 4.2)
    draw_band(left, means["trained_groups"], means, "", 0)
    accuracy_axis(left)
    draw_band(right, seconds["trained_groups"], seconds, "", 1)
    right.set_ylabel("seconds a run")
    right.set_ylim(0, 1.08 * right.dataLim.y1)  # no marker is cut at the edge
    for ax in (left, right):
        ax.set_xlabel("trained groups, counted from the head")
        ax.set_xticks(means["trained_groups"])
    figure.suptitle(title)
    return figure


def plot_rates(rates: pd.DataFrame, means: pd.DataFrame, title: str) -> Figure:
    """Learning rate of each group, how far its weights moved, and the accuracy, for several decays.

    Parameters
    ----------
    rates : DataFrame
        decay, group, learning_rate, movement (relative, mean over seeds).
    means : DataFrame
        decay, mean, low, high.
    """
    figure, (left, middle, right) = new_figure(3, 14, 4.4)
    for number, (decay, part) in enumerate(rates.groupby("decay", sort=False)):
        style = {
            "marker": MARKERS[number],
            "color": PALETTE[number],
            "linewidth": 2,
            "label": f"decay {decay:g}",
        }
        left.plot(part["group"], part["learning_rate"], **style)
        middle.plot(part["group"], part["movement"], **style)
    left.set(yscale="log", ylabel="learning rate (log scale)", title="Rate of each group")
    middle.set(yscale="log", ylabel="‖w − w₀‖ / ‖w₀‖ (log scale)", title="How far its weights moved")
    for ax in (left, middle):
        ax.tick_params(axis="x", rotation=45)
    left.legend()
    error = None
    if means["low"].notna().all():
        error = [means["mean"] - means["low"], means["high"] - means["mean"]]
    right.errorbar(
        range(len(means)), means["mean"], yerr=error, fmt="o", markersize=8, capsize=6, color="0.2"
    )
    right.set_xticks(range(len(means)), [f"{decay:g}" for decay in means["decay"]])
    right.set(
        xlabel="decay of the rate from group to group", title="Test accuracy", xlim=(-0.5, len(means) - 0.5)
    )
    accuracy_axis(right)
    figure.suptitle(title)
    return figure
