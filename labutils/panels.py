"""What the widgets show, as pure functions: numbers in; figure, table and one sentence out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from labutils.plots import PALETTE

FROZEN, TRAINED, LIVE = "#cfd8dc", PALETTE[1], PALETTE[3]


@dataclass(frozen=True)
class Panel:
    """One state of a widget.

    Attributes
    ----------
    figure : Figure
    table : DataFrame
        Shown as it stands.
    sentence : str
        What the figure shows, in words: also its text alternative.
    """

    figure: Figure
    table: pd.DataFrame
    sentence: str


def freeze_depth_panel(
    depths: pd.DataFrame,
    accuracy: pd.DataFrame,
    trained_groups: int,
    live: Sequence[dict] = (),
    points: Sequence[tuple[int, float]] = (),
) -> Panel:
    """The network with its last groups trained: cost, accuracy measured beforehand, live training.

    Parameters
    ----------
    depths : DataFrame
        From `labutils.costs.depth_costs`; its rows name the groups from the head to the stem.
    accuracy : DataFrame
        trained_groups, mean, low, high of the test accuracy (0 to 1).
    trained_groups : int
        From 1 (the head) to the number of groups.
    live : sequence of dict
        Epochs of a live training, as in `fit`.
    points : sequence of (trained groups, test accuracy)
        Ends of live trainings.

    Raises
    ------
    ValueError
        ``trained_groups`` out of range.
    """
    _in_range(trained_groups, len(depths))
    names = list(depths["first_trained"])[::-1]
    row = depths.iloc[trained_groups - 1]
    figure = Figure(figsize=(9.2, 4.6), dpi=80)
    _blocks(figure.add_axes((0.07, 0.83, 0.91, 0.12)), names, trained_groups)
    left, right = figure.add_axes((0.07, 0.13, 0.43, 0.56)), figure.add_axes((0.58, 0.13, 0.40, 0.56))
    seen = accuracy[accuracy["trained_groups"] == trained_groups]
    error = [accuracy["mean"] - accuracy["low"], accuracy["high"] - accuracy["mean"]]
    left.errorbar(
        accuracy["trained_groups"],
        accuracy["mean"],
        yerr=error,
        fmt="o",
        color="0.35",
        capsize=4,
        label="measured, 95 % interval",
    )
    left.plot(
        seen["trained_groups"],
        seen["mean"],
        "o",
        markersize=15,
        fillstyle="none",
        markeredgewidth=2.5,
        color=TRAINED,
        label="chosen",
    )
    if points:
        left.plot(
            *zip(*points, strict=True),
            "*",
            markersize=15,
            color=LIVE,
            markeredgecolor="white",
            label="trained live",
        )
    left.set(
        xlabel="trained groups, counted from the head", title="Test accuracy", xlim=(0.5, len(names) + 0.5)
    )
    left.set_xticks(range(1, len(names) + 1))
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.legend(fontsize=8, loc="best")
    left.grid(axis="y", color="0.92")
    _curve(right, live)
    table = pd.DataFrame(
        {
            "trained from": [row["first_trained"]],
            "trained parameters": [f"{row['parameters']:,}"],
            "activations to keep": [f"{row['kept_mb']:.1f} MB a batch"],
            "estimated step": [f"{row['step_ms']:.0f} ms"],
            "test accuracy measured beforehand": [_interval(seen)],
        }
    )
    share = row["parameters"] / depths["parameters"].iloc[-1]
    sentence = (
        f"{_groups(trained_groups)} of {len(names)} trained, from {row['first_trained']} on: {row['parameters']:,} parameters ({share:.1%}). "
        f"Test accuracy measured beforehand: {_interval(seen)}. {_told(live, points)}"
    )
    return Panel(figure, table, sentence)


def rate_panel(
    rates: pd.DataFrame,
    surface: pd.DataFrame,
    trained_groups: int,
    decay: float,
    live: Sequence[dict] = (),
    points: Sequence[tuple[int, float, float]] = (),
) -> Panel:
    """The learning rate of every group, and where the choice lies on the accuracy measured beforehand.

    Parameters
    ----------
    rates : DataFrame
        From `labutils.optimizers.rate_table`: a row a parameter group, shallow to deep.
    surface : DataFrame
        trained_groups, lr_decay, mean of the test accuracy (0 to 1), on a full grid.
    trained_groups : int
    decay : float
        From 1 to the largest of the surface.
    live, points :
        As in `freeze_depth_panel`; a point is (trained groups, decay, test accuracy).

    Raises
    ------
    ValueError
        ``trained_groups`` out of range.
    """
    by_group = rates.drop_duplicates("group")
    names = list(by_group["group"])
    _in_range(trained_groups, len(names))
    figure = Figure(figsize=(9.2, 4.0), dpi=80)
    left, middle, right = (
        figure.add_axes((x, 0.16, width, 0.70)) for x, width in ((0.08, 0.23), (0.40, 0.24), (0.76, 0.22))
    )
    colors = [FROZEN] * (len(names) - trained_groups) + [TRAINED] * trained_groups
    left.barh(range(len(names)), by_group["learning rate"], color=colors, edgecolor="0.3")
    left.set(
        xscale="log",
        xlabel="learning rate η (log scale)",
        title="Rate of each group",
        ylim=(len(names) - 0.4, -0.6),
    )
    left.set_yticks(range(len(names)), names)
    for place in range(len(names) - trained_groups):
        left.text(left.get_xlim()[0], place, " frozen", va="center", fontsize=8)

    grid = surface.pivot(index="trained_groups", columns="lr_decay", values="mean")
    middle.imshow(grid, cmap="viridis", aspect="auto", origin="lower")
    middle.set(xlabel="decay", ylabel="trained groups", title="Test accuracy, %, measured")
    middle.set_xticks(range(grid.shape[1]), [f"{value:g}" for value in grid.columns], fontsize=8)
    middle.set_yticks(range(grid.shape[0]), grid.index)
    dark = grid.to_numpy().min() + 0.6 * np.ptp(grid.to_numpy())
    for i, line in enumerate(grid.to_numpy()):
        for k, value in enumerate(line):
            middle.text(
                k,
                i,
                f"{100 * value:.0f}",
                ha="center",
                va="center",
                fontsize=7,
                color="white" if value < dark else "black",
            )
    places = np.arange(grid.shape[1])

    def column(value: float) -> float:
        return float(np.interp(np.log(value), np.log(grid.columns.to_numpy(float)), places))

    def line(groups: int) -> float:
        return float(np.interp(groups, grid.index, np.arange(grid.shape[0])))

    middle.plot(
        column(decay),
        line(trained_groups),
        "o",
        markersize=17,
        fillstyle="none",
        markeredgewidth=3,
        color=TRAINED,
    )
    for groups, of, value in points:
        middle.plot(column(of), line(groups), "*", markersize=14, color=LIVE, markeredgecolor="white")
        middle.annotate(
            f"{100 * value:.0f}",
            (column(of), line(groups)),
            color=LIVE,
            textcoords="offset points",
            xytext=(7, 5),
            weight="bold",
        )
    _curve(right, live)

    head, stem = by_group["learning rate"].iloc[-1], by_group["learning rate"].iloc[-trained_groups]
    nearest = surface.loc[
        (
            (surface["lr_decay"] - decay).abs() + 100 * (surface["trained_groups"] - trained_groups).abs()
        ).idxmin()
    ]
    sentence = (
        f"The head learns at {head:.2g}, {names[-trained_groups]}, the first trained group, at {stem:.2g}: {head / stem:,.0f} times slower. "
        f"Measured beforehand for {_groups(int(nearest['trained_groups']))} and decay {nearest['lr_decay']:g}: {nearest['mean']:.1%}. {_told(live, points)}"
    )
    table = rates.assign(
        **{
            "learning rate": [f"{rate:.2e}" for rate in rates["learning rate"]],
            "weight decay": [f"{decay:g}" for decay in rates["weight decay"]],
        }
    )
    return Panel(figure, table, sentence)


def _in_range(trained_groups: int, groups: int) -> None:
    if not 1 <= trained_groups <= groups:
        raise ValueError(
            f"trained_groups={trained_groups} is out of range: this network has {groups} groups, so use 1 to {groups}"
        )


def _blocks(ax: Axes, names: Sequence[str], trained: int) -> None:
    """The network from left to right: colour, hatching and a word say what is frozen."""
    for place, name in enumerate(names):
        frozen = place < len(names) - trained
        ax.add_patch(
            Rectangle(
                (place + 0.05, 0),
                0.9,
                1,
                facecolor=FROZEN if frozen else TRAINED,
                edgecolor="0.3",
                hatch="//" if frozen else None,
            )
        )
        ax.text(
            place + 0.5,
            0.5,
            f"{name}\n{'frozen' if frozen else 'trained'}",
            ha="center",
            va="center",
            fontsize=9,
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1},
        )
    ax.set(xlim=(0, len(names)), ylim=(-0.05, 1.05))
    ax.set_axis_off()


def _curve(ax: Axes, live: Sequence[dict]) -> None:
    ax.set(title="Live training", xlabel="epoch")
    ax.grid(axis="y", color="0.92")
    if not live:
        ax.set(xticks=[], yticks=[])
        ax.text(
            0.5,
            0.5,
            "nothing trained yet:\npress “Train”",
            ha="center",
            va="center",
            transform=ax.transAxes,
            color="0.35",
        )
        return
    history = pd.DataFrame(live)
    for number, split in enumerate(("train", "validation")):
        ax.plot(
            history["epoch"],
            history[f"{split}_accuracy"],
            marker="os"[number],
            color=PALETTE[2 * number],
            label=split,
        )
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_ylabel("accuracy")
    ax.legend(fontsize=8)


def _groups(count: int) -> str:
    return f"{count} group{'s' * (count > 1)}"


def _interval(row: pd.DataFrame) -> str:
    if row.empty:
        return "not measured"
    mean, low, high = row.iloc[0][["mean", "low", "high"]]
    return f"{mean:.1%} ({low:.1%} to {high:.1%})"


def _told(live: Sequence[dict], points: Sequence[tuple]) -> str:
    if points:
        return f"Last live training: {points[-1][-1]:.1%} on the test pictures."
    return f"Live training: {len(live)} epochs so far." if live else "Nothing was trained live yet."
