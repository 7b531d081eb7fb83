"""Pictures of what is kept and what is forgotten."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from labutils.plots.style import PALETTE, STYLE, accuracy_axis, axis_in_percent, limit_to_all, new_figure

STYLES = ("o", "s", "^", "D", "v", "P", "X", "*", "<")


def plot_matrix(matrix: pd.DataFrame, title: str = "") -> Figure:
    """Accuracy on each task after each stage as a table of coloured fields.

    Parameters
    ----------
    matrix : DataFrame
        A row a stage, the first before any task; a column a task, in the order learned. Fields of tasks
        not learned yet are hatched.
    """
    figure, (ax,) = new_figure(width=1.6 * len(matrix.columns) + 3.2, height=0.75 * len(matrix) + 1.6)
    values = matrix.to_numpy(float)
    shown = ax.imshow(values, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for i, j in np.ndindex(*values.shape):
        colour = "black" if values[i, j] > 0.55 else "white"
        ax.text(j, i, f"{values[i, j]:.0%}", ha="center", va="center", color=colour, fontsize=13)
        if j >= i:  # the first row stands before any task
            field = plt.Rectangle(
                (j - 0.5, i - 0.5), 1, 1, fill=False, hatch="//", edgecolor="0.85", linewidth=0
            )
            ax.add_patch(field)
    ax.set_xticks(range(len(matrix.columns)), [f"on {name}" for name in matrix.columns])
    ax.set_yticks(range(len(matrix)), matrix.index)
    ax.grid(False)
    ax.set_title(title)
    figure.colorbar(shown, ax=ax, label="accuracy", format=PercentFormatter(1))
    return figure


def plot_trade_off(
    means: pd.DataFrame,
    front: np.ndarray,
    start: float | None = None,
    title: str = "",
    least: float | None = None,
) -> Figure:
    """Old-task over new-task accuracy, a line a method through its strengths, with the Pareto front.

    Parameters
    ----------
    means : DataFrame
        method, strength, new_test, old_test; strengths in order.
    front : array of bool, shape (rows,)
        Which rows are beaten by none.
    start : float, optional
        Old-task accuracy before the new task was learned, drawn as a dashed line.
    least : float, optional
        New-task accuracy to mark by a dotted line.
    """
    figure, (ax,) = new_figure(width=9.5, height=5.6)
    for number, (method, part) in enumerate(means.groupby("method", sort=False)):
        colour, marker = PALETTE[number % len(PALETTE)], STYLES[number % len(STYLES)]
        single = len(part) == 1
        ax.plot(
            part["new_test"],
            part["old_test"],
            marker=marker,
            color="black" if single else colour,
            linestyle="none" if single else "-",
            linewidth=1.4,
            markersize=13 if single else 7,
            label=method,
        )
    best = means[front].sort_values("new_test")
    ax.plot(
        best["new_test"],
        best["old_test"],
        color="0.25",
        linewidth=9,
        alpha=0.18,
        solid_capstyle="round",
        zorder=0,
        label="Pareto front",
    )
    if start is not None:
        ax.axhline(start, color="0.35", linestyle="--", linewidth=1.5, label="before the new task")
    if least is not None:
        ax.axvline(least, color="0.35", linestyle=":", linewidth=1.5)
    ax.set_xlabel("test accuracy on the new task")
    axis_in_percent(ax.xaxis)
    limit_to_all(ax, "x")
    accuracy_axis(ax, "test accuracy on the old task")
    ax.set_title(title)
    figure.legend(loc="outside right center", frameon=False)
    return figure


def plot_weight_path(path: pd.DataFrame, title: str = "") -> Figure:
    """Accuracy on each task along the straight line between two networks.

    Parameters
    ----------
    path : DataFrame
        share, task, accuracy.
    """
    figure, (ax,) = new_figure(width=7.5)
    for number, (task, part) in enumerate(path.groupby("task", sort=False)):
        ax.plot(
            part["share"],
            part["accuracy"],
            marker=STYLES[number],
            color=PALETTE[number],
            linewidth=2,
            label=task,
        )
    mean = path.groupby("share")["accuracy"].mean()
    ax.plot(mean.index, mean, color="0.35", linestyle=":", linewidth=2, label="mean of both")
    ax.set_xlabel("share of the way from the weights before to those after")
    axis_in_percent(ax.xaxis)
    accuracy_axis(ax, "validation accuracy")
    ax.legend()
    ax.grid(True, color=STYLE["grid.color"])
    ax.set_title(title)
    return figure
