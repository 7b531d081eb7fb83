"""Pictures of tables. Nothing is computed here, and nothing but tables comes in."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

PALETTE = sns.color_palette("colorblind")
MARKERS = ("o", "s", "^", "D", "v", "P")
STYLE = {
    **sns.axes_style("whitegrid"),
    "font.size": 12,
    "axes.titlesize": 13,
    "axes.labelsize": 12,
    "legend.fontsize": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "0.9",
}


def _figure(
    columns: int = 1, width: float = 7.0, height: float = 4.4, **options
) -> tuple[Figure, np.ndarray]:
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            1, columns, figsize=(width, height), layout="constrained", squeeze=False, **options
        )
    plt.close(figure)  # a notebook would otherwise show it twice: as a result and as an open figure
    return figure, axes[0]


def _band(ax, x, table: pd.DataFrame, label: str, number: int) -> None:
    """A line through the means with its interval; colour and marker say the same, for readers without colour."""
    color, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
    ax.plot(x, table["mean"], marker=marker, color=color, label=label, linewidth=2, markersize=6)
    if table["low"].notna().all():
        ax.fill_between(x, table["low"], table["high"], color=color, alpha=0.15, linewidth=0)


def _in_percent(axis) -> None:
    """Shares from 0 to 1 as whole per cents: no steps of 2.5, which would read 73 % at 72.5 %."""
    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda share, _: f"{100 * share:.6g}%")


def _up_to_all(ax, name: str) -> None:
    """The margin of an axis must not promise more than 100 %; axes with limits of their own stay as they are."""
    low, high = getattr(ax, f"get_{name}lim")()
    if getattr(ax, f"get_autoscale{name}_on")() and high > 1:
        low = min(low, 0.9)
        getattr(ax, f"set_{name}lim")(low, 1 + 0.02 * (1 - low))


def _percent(ax, label: str = "test accuracy") -> None:
    _in_percent(ax.yaxis)
    ax.set_ylabel(label)
    _up_to_all(ax, "y")


def _numbers_on_log_axis(ax, values: Sequence[float]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(sorted(set(values)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.minorticks_off()


def _epochs(ax, history: pd.DataFrame) -> None:
    """An axis of whole epochs, with a dotted line where a new stage begins."""
    for start in history.groupby("stage")["epoch"].min().iloc[1:]:
        ax.axvline(start - 0.5, color="0.4", linestyle=":", linewidth=1.5)
    ax.set_xlabel("epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)


def plot_history(history: pd.DataFrame, title: str = "") -> Figure:
    """Loss and accuracy over epochs from the table that `fit` returns; stages are set apart by dotted lines."""
    figure, (left, right) = _figure(2, 10, 4)
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
        _epochs(ax, history)
    left.set_ylabel("cross-entropy")
    _percent(right, "accuracy")
    right.legend()
    figure.suptitle(title)
    return figure


def plot_lr_finder(curve: pd.DataFrame, suggestions: dict[str, float], reason: str | None) -> Figure:
    """Loss over the learning rate of the head, with the suggested rates or the reason for none."""
    figure, (ax,) = _figure()
    ax.plot(curve["rate"], curve["loss"], ".", color="0.65", label="each step", markersize=5)
    ax.plot(curve["rate"], curve["smoothed"], color=PALETTE[0], linewidth=2.2, label="smoothed")
    for number, (name, rate) in enumerate(suggestions.items(), start=1):
        style = ("--", "-", ":")[(number - 1) % 3]
        ax.axvline(rate, color=PALETTE[number], linestyle=style, linewidth=2, label=f"{name}: {rate:.1e}")
    finite = curve["loss"][np.isfinite(curve["loss"])]
    if len(finite):
        # The blow-up would flatten the part that one wants to see.
        start = finite.iloc[: max(1, len(finite) // 10)].median()
        ax.set_ylim(max(0, finite.min() - 0.1 * abs(start)), min(finite.max(), 2 * start) * 1.05)
    ax.set(
        xscale="log",
        xlabel="learning rate of the head (per step, log scale)",
        ylabel="cross-entropy of the batch",
    )
    ax.set_title(f"No suggestion: {reason}" if reason else "Learning-rate range test", wrap=True)
    ax.legend(loc="upper left" if not suggestions else "best")
    return figure


def plot_comparison(means: pd.DataFrame, title: str) -> Figure:
    """Validation accuracy over optimizer steps for each start.

    Parameters
    ----------
    means : DataFrame
        start, step, mean, low, high.
    """
    figure, (ax,) = _figure()
    names = {"pretrained": "pretrained", "random": "random initialisation"}
    for number, (start, part) in enumerate(means.groupby("start", sort=False)):
        _band(ax, part["step"], part, names.get(start, start), number)
    ax.set_xlabel("optimizer steps")
    ax.set_xlim(left=0)
    _percent(ax, "validation accuracy")
    ax.set_title(title)
    ax.legend(loc="best")
    return figure


def plot_domain_gap(means: pd.DataFrame, distance: dict[str, str] | None = None) -> Figure:
    """Test accuracy over labels, one panel a domain, one line a strategy.

    Parameters
    ----------
    means : DataFrame
        domain, strategy, labels, mean, low, high.
    distance : dict, optional
        Domain to a word for its distance from ImageNet, for the panel titles.
    """
    domains, distance = list(means["domain"].unique()), distance or {}
    figure, axes = _figure(len(domains), 3.3 * len(domains) + 0.8, 4.4, sharey=True)
    for ax, domain in zip(axes, domains, strict=True):
        panel = means[means["domain"] == domain]
        for number, strategy in enumerate(means["strategy"].unique()):
            part = panel[panel["strategy"] == strategy].sort_values("labels")
            _band(ax, part["labels"], part, strategy, number)
        _numbers_on_log_axis(ax, panel["labels"])
        ax.set_xlabel("labelled pictures (log scale)")
        ax.set_title(f"{domain}: {distance[domain]}" if domain in distance else domain)
    _percent(axes[0])
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=(1, 2, 4)[min(len(domains), 3) - 1], frameon=False
    )
    return figure


def plot_freeze_depth(means: pd.DataFrame, seconds: pd.DataFrame, title: str) -> Figure:
    """Test accuracy, and time of a run, over the number of trained groups.

    Parameters
    ----------
    means, seconds : DataFrame
        trained_groups, mean, low, high; of the accuracy and of the seconds a run took.
    """
    figure, (left, right) = _figure(2, 10, 4.2)
    _band(left, means["trained_groups"], means, "", 0)
    _percent(left)
    _band(right, seconds["trained_groups"], seconds, "", 1)
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
    figure, (left, middle, right) = _figure(3, 14, 4.4)
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
    _percent(right)
    figure.suptitle(title)
    return figure
