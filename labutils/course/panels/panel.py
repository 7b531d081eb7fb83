"""What a panel is, and what both panels draw and say in the same way."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from labutils.plots.style import PALETTE, accuracy_axis

DOTS = 90  # per inch: as wide as a page, and drawn faster than at the usual 100
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


def check_range(trained_groups: int, groups: int) -> None:
    if not 1 <= trained_groups <= groups:
        raise ValueError(
            f"trained_groups={trained_groups} is out of range: this network has {groups} groups, so use 1 to {groups}"
        )


def pixels_of(figure: Figure) -> np.ndarray:
    """A drawn figure as an array of height × width × 4 bytes, to lie under others of the same size."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


def titled(ax: Axes, text: str) -> None:
    # With a height of its own: matplotlib looks for a free one otherwise, which takes a quarter of the drawing.
    ax.set_title(text, y=1.02)


def draw_curve(ax: Axes, live: Sequence[dict]) -> None:
    titled(ax, "Live training")
    ax.set_xlabel("epoch")
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
    ax.set_xlim(0.5, max(history["epoch"].max(), 4) + 0.5)
    ax.xaxis.get_major_locator().set_params(integer=True)
    accuracy_axis(ax, "accuracy")
    legend_below(ax)


def legend_below(ax: Axes) -> None:
    """A legend that no live point can come to lie under."""
    ax.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, frameon=False, columnspacing=1.2, fontsize=9
    )


def groups_text(count: int) -> str:
    return f"{count} group{'s' * (count > 1)}"


def interval_text(row: pd.DataFrame) -> str:
    if row.empty:
        return "not measured"
    mean, low, high = row.iloc[0][["mean", "low", "high"]]
    return f"{mean:.1%} ({low:.1%} to {high:.1%})"


def live_text(live: Sequence[dict], points: Sequence[tuple]) -> str:
    if points:
        groups, *_, accuracy = points[-1]
        return f"Last live training, of {groups_text(groups)}: {accuracy:.1%} on the test pictures."
    return (
        f"Live training: {len(live)} epoch{'s' * (len(live) > 1)} so far."
        if live
        else "Nothing was trained live yet."
    )
