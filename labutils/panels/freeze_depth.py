"""The freeze depth: which groups are trained, what that costs, and what it gives."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import PercentFormatter

from labutils.panels.panel import (
    DOTS,
    FROZEN,
    LIVE,
    TRAINED,
    Panel,
    check_range,
    draw_curve,
    groups_told,
    interval_told,
    live_told,
    titled,
)


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
    check_range(trained_groups, len(depths))
    names = list(depths["first_trained"])[::-1]
    row = depths.iloc[trained_groups - 1]
    figure = Figure(figsize=(9.2, 4.6), dpi=DOTS)
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
    left.set(xlabel="trained groups, counted from the head", xlim=(0.5, len(names) + 0.5))
    titled(left, "Test accuracy")
    left.set_xticks(range(1, len(names) + 1))
    left.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    left.legend(fontsize=8, loc="lower right")
    left.grid(axis="y", color="0.92")
    draw_curve(right, live)
    table = pd.DataFrame(
        {
            "trained from": [row["first_trained"]],
            "trained parameters": [f"{row['parameters']:,}"],
            "activations to keep": [f"{row['kept_mb']:.1f} MB a batch"],
            "estimated step": [f"{row['step_ms']:.0f} ms"],
            "test accuracy measured beforehand": [interval_told(seen)],
        }
    )
    share = row["parameters"] / depths["parameters"].iloc[-1]
    sentence = (
        f"{groups_told(trained_groups)} of {len(names)} trained, from {row['first_trained']} on: {row['parameters']:,} parameters ({share:.1%}). "
        f"Test accuracy measured beforehand: {interval_told(seen)}. {live_told(live, points)}"
    )
    return Panel(figure, table, sentence)


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
