"""Learning rates per group, how far weights moved, and results over seeds."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from labutils.plots.style import MARKERS, PALETTE, accuracy_axis, new_figure

HALF_A_FLOAT32_STEP = 2.0**-25  # relative; a smaller change is rounded away from every weight


def plot_group_rates(rates: pd.DataFrame, title: str = "Learning rate of each group") -> Figure:
    """One line a plan: the learning rate over the groups, shallow to deep.

    Parameters
    ----------
    rates : DataFrame
        plan (the legend), group, learning_rate.
    """
    figure, (ax,) = new_figure(width=8)
    _line_a_plan(ax, rates, "learning_rate")
    ax.set(
        yscale="log", xlabel="layer group, shallow to deep", ylabel="learning rate (log scale)", title=title
    )
    ax.legend()
    return figure


def _line_a_plan(ax, table: pd.DataFrame, value: str) -> None:
    for number, (plan, part) in enumerate(table.groupby("plan", sort=False)):
        ax.plot(
            part["group"],
            part[value],
            marker=MARKERS[number % len(MARKERS)],
            color=PALETTE[number % len(PALETTE)],
            linewidth=2,
            label=plan,
        )


def plot_movement(moved: pd.DataFrame, title: str) -> Figure:
    """How far the weights of each group moved, and the distance below which float32 cannot follow.

    Parameters
    ----------
    moved : DataFrame
        plan (the legend), group, movement (relative; 0 is left out, for the axis is logarithmic).
    """
    figure, (ax,) = new_figure(width=8)
    _line_a_plan(ax, moved.assign(movement=moved["movement"].where(moved["movement"] > 0)), "movement")
    ax.axhspan(ax.get_ylim()[0] / 1e3, HALF_A_FLOAT32_STEP, color="0.85", zorder=0)
    ax.annotate(
        "less than float32 can resolve in a weight",
        (0.99, HALF_A_FLOAT32_STEP),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        xytext=(0, -4),
        ha="right",
        va="top",
        fontsize=10,
        color="0.25",
    )
    smallest = moved["movement"][moved["movement"] > 0].min()
    ax.set(
        yscale="log",
        ylim=(min(smallest, HALF_A_FLOAT32_STEP) / 5, None),
        xlabel="layer group, shallow to deep",
        ylabel="‖w − w₀‖ / ‖w₀‖ (log scale)",
        title=title,
    )
    ax.legend(loc="upper left")
    return figure


def plot_seeds(
    table: pd.DataFrame,
    x: str,
    values: Mapping[str, str],
    xlabel: str,
    title: str = "",
    level: tuple[float, str] | None = None,
    share: bool = False,
) -> Figure:
    """One panel a value: every seed as a dot, their mean as a bar.

    Parameters
    ----------
    table : DataFrame
        A row a run: ``x``, seed, and the columns named in ``values``.
    x : str
        Column of the choices; each gets its own place, in the order of first appearance.
    values : mapping of column to axis label
        A column whose name contains "accuracy" is drawn in per cent.
    level : (accuracy, its name), optional
        A dashed line in the panels of accuracies.
    share : bool, default False
        One vertical scale for all panels.
    """
    figure, axes = new_figure(len(values), 5.2 * len(values) + 0.6, 4.4, sharey=share)
    choices = list(dict.fromkeys(table[x]))
    seeds = sorted(table["seed"].unique())
    for ax, (column, label) in zip(axes, values.items(), strict=True):
        for place, choice in enumerate(choices):
            part = table[table[x] == choice].sort_values("seed")
            mean = part[column].mean()
            ax.plot([place - 0.3, place + 0.3], [mean, mean], color="0.25", linewidth=2.5, zorder=1)
            shifts = (part["seed"].map(seeds.index) - (len(seeds) - 1) / 2) * 0.14
            ax.scatter(
                place + shifts,
                part[column],
                s=60,
                color=PALETTE[place % len(PALETTE)],
                marker=MARKERS[place % len(MARKERS)],
                edgecolor="white",
                zorder=2,
            )
        ax.set_xticks(range(len(choices)), [f"{choice:g}" for choice in choices])
        ax.set(xlabel=xlabel, ylabel=label, xlim=(-0.6, len(choices) - 0.4))
        ax.grid(axis="x", visible=False)
        if "accuracy" in column:
            accuracy_axis(ax, label)
            if level:
                _draw_level(ax, *level)
    figure.suptitle(title)
    return figure


def _draw_level(ax, height: float, name: str) -> None:
    ax.axhline(height, color="0.4", linestyle="--", linewidth=1.5, zorder=0)
    ax.annotate(
        name,
        (0.01, height),
        xycoords=("axes fraction", "data"),
        textcoords="offset points",
        xytext=(2, -4),
        va="top",
        fontsize=10,
        color="0.25",
    )


def plot_surface(surface: pd.DataFrame, values: Mapping[str, str], title: str) -> Figure:
    """Heat maps of an accuracy over trained groups and decay, one panel a value, on one scale of colours.

    Parameters
    ----------
    surface : DataFrame
        trained_groups, lr_decay and the columns named in ``values`` (0 to 1).
    values : mapping of column to panel title
    """
    figure, axes = new_figure(len(values), 5.4 * len(values) + 1, 4.8)
    low, high = (getattr(surface[list(values)].to_numpy(), end)() for end in ("min", "max"))
    for ax, (column, name) in zip(axes, values.items(), strict=True):
        grid = surface.pivot(index="trained_groups", columns="lr_decay", values=column)
        cells = grid.to_numpy()
        drawn = ax.imshow(cells, cmap="viridis", vmin=low, vmax=high, aspect="auto", origin="lower")
        ax.grid(visible=False)
        for (row, place), value in np.ndenumerate(cells):
            dark = value < low + 0.6 * (high - low)
            ax.text(
                place, row, f"{100 * value:.1f}", ha="center", va="center", color="white" if dark else "black"
            )
        ax.set_xticks(range(cells.shape[1]), [f"{value:g}" for value in grid.columns])
        ax.set_yticks(range(cells.shape[0]), grid.index)
        ax.set(xlabel="decay of the rate from group to group", title=name)
    axes[0].set_ylabel("trained groups, counted from the head")
    figure.colorbar(drawn, ax=list(axes), format=PercentFormatter(1, decimals=0), label="test accuracy")
    figure.suptitle(title)
    return figure
