"""The freeze depth: which groups are trained, what that costs, and what it gives."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from labutils.course.panels.panel import (
    DOTS,
    FROZEN,
    LIVE,
    TRAINED,
    Panel,
    check_range,
    draw_curve,
    groups_text,
    interval_text,
    legend_below,
    live_text,
    pixels_of,
    titled,
)
from labutils.plots.style import accuracy_axis

SIZE, ACCURACY = (
    (9.2, 4.6),
    (0.07, 0.20, 0.43, 0.50),
)  # inches; left, bottom, width, height in parts of the figure
COLUMNS = ["trained_groups", "mean", "low", "high"]
RING = {"markersize": 13, "fillstyle": "none", "markeredgewidth": 2.5}
STAR = {"markersize": 12, "markeredgecolor": "white"}


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
        From `labutils.analysis.compute_costs.depth_costs`; its rows name the groups from the head to the stem.
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
    figure = Figure(figsize=SIZE, dpi=DOTS)
    seen = accuracy[accuracy["trained_groups"] == trained_groups]
    pixels, limits = _measured(len(names), tuple(accuracy[COLUMNS].itertuples(index=False, name=None)))
    figure.figimage(pixels, zorder=-1)
    _blocks(figure.add_axes((0.07, 0.83, 0.91, 0.12)), names, trained_groups)
    left, right = figure.add_axes(ACCURACY), figure.add_axes((0.58, 0.20, 0.40, 0.50))
    left.patch.set_alpha(0)
    left.set(xlim=(0.5, len(names) + 0.5), ylim=limits)
    left.set_axis_off()
    left.plot(seen["trained_groups"], seen["mean"], "o", color=TRAINED, **RING)
    if points:
        groups, ends = zip(*points, strict=True)
        ends = np.clip(ends, *limits)  # on the frame at worst
        left.plot(groups, ends, "*", color=LIVE, clip_on=False, **STAR)
    draw_curve(right, live)
    table = pd.DataFrame(
        {
            "trained from": [row["first_trained"]],
            "trained parameters": [f"{row['parameters']:,}"],
            "activations to keep": [f"{row['kept_mb']:.1f} MB a batch"],
            "estimated step": [f"{row['step_ms']:.0f} ms"],
            "test accuracy measured beforehand": [interval_text(seen)],
        }
    )
    share = row["parameters"] / depths["parameters"].iloc[-1]
    sentence = (
        f"{groups_text(trained_groups)} of {len(names)} trained, from {row['first_trained']} on: {row['parameters']:,} parameters ({share:.1%}). "
        f"Test accuracy measured beforehand: {interval_text(seen)}. {live_text(live, points)}"
    )
    return Panel(figure, table, sentence)


@lru_cache(maxsize=4)
def _measured(groups: int, rows: tuple[tuple[float, ...], ...]) -> tuple[np.ndarray, tuple[float, float]]:
    """Accuracy of every depth as pixels of the whole figure, drawn once, and the limits of its upright axis."""
    figure = Figure(figsize=SIZE, dpi=DOTS)
    ax, table = figure.add_axes(ACCURACY), pd.DataFrame(rows, columns=COLUMNS)
    error = [table["mean"] - table["low"], table["high"] - table["mean"]]
    ax.errorbar(
        table["trained_groups"],
        table["mean"],
        yerr=error,
        fmt="o",
        color="0.35",
        capsize=4,
        label="measured, 95 % interval",
    )
    ax.set(xlabel="trained groups, counted from the head", xlim=(0.5, groups + 0.5))
    ax.set_xticks(range(1, groups + 1))
    accuracy_axis(ax, "")
    ax.grid(axis="y", color="0.92")
    limits = ax.get_ylim()
    ax.plot([], [], "o", color=TRAINED, label="chosen", **RING)
    ax.plot([], [], "*", color=LIVE, label="trained live", **STAR)
    legend_below(ax)
    titled(ax, "Test accuracy")
    return pixels_of(figure), limits


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
