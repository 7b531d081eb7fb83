"""Pictures of plans: which groups are trained at which rate, and how plans compare."""

import numpy as np
import pandas as pd
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from labutils.plots.style import (
    MARKERS,
    PALETTE,
    STYLE,
    accuracy_axis,
    axis_in_percent,
    epoch_axis,
    limit_to_all,
    new_figure,
)

FROZEN = "0.88"


def plot_schedule(schedule: pd.DataFrame, title: str = "") -> Figure:
    """Rate of each group over the epochs as a field of colour; frozen groups are grey and hatched.

    Parameters
    ----------
    schedule : DataFrame
        From `rate_schedule`: stage, epoch, group, learning_rate (NaN while frozen).
    """
    groups, moments = list(schedule["group"].unique()), np.sort(schedule["epoch"].unique())
    field = schedule.pivot(index="group", columns="epoch", values="learning_rate").loc[groups, moments]
    highest = field.max(axis=None)
    # Each stage ends at a rate of nearly 0: below a 30,000th of the highest all is drawn alike.
    norm = LogNorm(highest / 3e4, highest)
    step = moments[1] - moments[0] if len(moments) > 1 else 1.0
    edges = np.append(moments, round(moments[-1] + step, 9))
    figure, (ax,) = new_figure(width=9.0, height=4.6)
    ax.set_facecolor(FROZEN)
    ax.fill_between(edges[[0, -1]], -0.5, len(groups) - 0.5, facecolor="none", edgecolor="0.7", hatch="///")
    shown = np.ma.masked_invalid(np.clip(field.to_numpy(float), norm.vmin, None))
    colours = ax.pcolormesh(edges, np.arange(len(groups) + 1) - 0.5, shown, norm=norm, cmap="viridis")
    starts = schedule.groupby("stage")["epoch"].min()
    for stage, start in starts.items():
        ax.axvline(start, color="white", linewidth=2)
        ax.annotate(
            f"stage {stage}", (start, len(groups) - 0.5), (4, 4), textcoords="offset points", fontsize=11
        )
    ax.set_yticks(range(len(groups)), groups)
    ax.set(xlabel="epoch", xlim=edges[[0, -1]], ylim=(-0.5, len(groups) - 0.5))
    ax.grid(False)
    figure.colorbar(colours, ax=ax, label="learning rate (log scale)", extend="min")
    frozen = Patch(facecolor=FROZEN, edgecolor="0.7", hatch="///", label="frozen")
    figure.legend(handles=[frozen], loc="outside lower right", frameon=False)
    ax.set_title(title, pad=22)
    return figure


def plot_plans(histories: dict[str, pd.DataFrame], title: str = "") -> Figure:
    """Training loss and validation accuracy over epochs, one line a plan.

    Parameters
    ----------
    histories : dict of str to DataFrame
        Name of the plan to the table that `fit` gave. Dotted lines show where the first of them changes stage.
    """
    figure, (left, right) = new_figure(2, 10, 4)
    for number, (name, history) in enumerate(histories.items()):
        style = {"marker": MARKERS[number], "color": PALETTE[number], "label": name, "linewidth": 2}
        left.plot(history["epoch"], history["train_loss"], **style)
        seen = history.dropna(subset="validation_accuracy")
        right.plot(seen["epoch"], seen["validation_accuracy"], **style)
    first = next(iter(histories.values()))
    for ax in (left, right):
        epoch_axis(ax, first)
    left.set_ylabel("training loss (cross-entropy)")
    accuracy_axis(right, "validation accuracy")
    right.legend()
    figure.suptitle(title)
    return figure


def plot_points(
    table: pd.DataFrame,
    by: str,
    value: str,
    label: str,
    title: str = "",
    guess: dict[str, float] | None = None,
) -> Figure:
    """Each seed's value as a point, with the mean of each row as a bar: honest where seeds are few.

    Parameters
    ----------
    table : DataFrame
        A row a run; rows of the picture in the order in which ``by`` comes.
    by, value : str
        Columns: what is compared, and a share from 0 to 1.
    label : str
        For the axis of the values.
    guess : dict of str to float, optional
        Values to mark by dashed lines, such as that of guessing, with their names.
    """
    names = list(table[by].unique())
    figure, (ax,) = new_figure(width=8.0, height=1.4 + 0.55 * len(names))
    for number, name in enumerate(names):
        values = table.loc[table[by] == name, value]
        ax.plot(values, [number] * len(values), "o", color=PALETTE[0], alpha=0.75, markersize=8)
        ax.plot([values.mean()] * 2, [number - 0.3, number + 0.3], color="0.15", linewidth=2.5)
    for number, (name, at) in enumerate((guess or {}).items()):
        style = ("--", ":")[number % 2]
        ax.axvline(at, color=PALETTE[3], linestyle=style, linewidth=2, label=name)
    if guess:
        figure.legend(loc="outside lower center", ncols=2, frameon=False)
    ax.set_yticks(range(len(names)), names)
    ax.invert_yaxis()
    axis_in_percent(ax.xaxis)
    limit_to_all(ax, "x")
    ax.set(xlabel=label, title=title)
    ax.grid(True, axis="x", color=STYLE["grid.color"])
    return figure
