"""What all figures share: colours, markers, axes in per cent."""

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


def new_grid(rows: int, columns: int, width: float, height: float, **options) -> tuple[Figure, np.ndarray]:
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(width, height), layout="constrained", squeeze=False, **options
        )
    plt.close(figure)  # a notebook would otherwise show it twice: as a result and as an open figure
    return figure, axes


def new_figure(
    columns: int = 1, width: float = 7.0, height: float = 4.4, **options
) -> tuple[Figure, np.ndarray]:
    figure, axes = new_grid(1, columns, width, height, **options)
    return figure, axes[0]


def draw_band(ax, x, table: pd.DataFrame, label: str, number: int) -> None:
    """A line through the means with its interval; colour and marker say the same, for readers without colour."""
    color, marker = PALETTE[number % len(PALETTE)], MARKERS[number % len(MARKERS)]
    ax.plot(x, table["mean"], marker=marker, color=color, label=label, linewidth=2, markersize=6)
    if table["low"].notna().all():
        ax.fill_between(x, table["low"], table["high"], color=color, alpha=0.15, linewidth=0)


def axis_in_percent(axis) -> None:
    """Shares from 0 to 1 as whole per cents: no steps of 2.5, which would read 73 % at 72.5 %."""
    axis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 5, 10]))
    axis.set_major_formatter(lambda share, _: f"{100 * share:.6g}%")


def limit_to_all(ax, name: str) -> None:
    """The margin of an axis must not promise more than 100 %; axes with limits of their own stay as they are."""
    low, high = getattr(ax, f"get_{name}lim")()
    if getattr(ax, f"get_autoscale{name}_on")() and high > 1:
        low = min(low, 0.9)
        getattr(ax, f"set_{name}lim")(low, 1 + 0.02 * (1 - low))


def accuracy_axis(ax, label: str = "test accuracy") -> None:
    axis_in_percent(ax.yaxis)
    ax.set_ylabel(label)
    limit_to_all(ax, "y")


def numbers_on_log_axis(ax, values: Sequence[float]) -> None:
    ax.set_xscale("log")
    ax.set_xticks(sorted(set(values)))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.minorticks_off()


def epoch_axis(ax, history: pd.DataFrame) -> None:
    """An axis of whole epochs, with a dotted line where a new stage begins."""
    for start in history.groupby("stage")["epoch"].min().iloc[1:]:
        ax.axvline(start - 0.5, color="0.4", linestyle=":", linewidth=1.5)
    ax.set_xlabel("epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
