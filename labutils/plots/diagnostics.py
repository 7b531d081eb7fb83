"""Pictures of one finished network: what it confuses, where it looks, how sure it is, what more labels would buy."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from labutils.plots.style import (
    MARKERS,
    PALETTE,
    STYLE,
    accuracy_axis,
    new_figure,
    new_grid,
    numbers_on_log_axis,
)

WORDS = 12  # letters of a class name under a picture


def plot_confusion(counts, classes: Sequence[str], title: str = "") -> Figure:
    """A table of predictions against labels as a field of colour, each row as shares of its class.

    Parameters
    ----------
    counts : array of shape (classes, classes)
        Rows are labels, columns predictions: `sklearn.metrics.confusion_matrix`.
    """
    counts = np.asarray(counts)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    side = 3.0 + 0.75 * len(classes)
    figure, (ax,) = new_figure(width=side + 1.2, height=side)
    drawn = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        color = "white" if shares[row, column] > 0.5 else "0.15"
        ax.text(column, row, f"{shares[row, column]:.0%}\n{count}", ha="center", va="center", color=color)
    ax.set_xticks(range(len(classes)), classes, rotation=30 if len(classes) > 3 else 0)
    ax.set_yticks(range(len(classes)), classes)
    ax.set(xlabel="prediction of the network", ylabel="label", title=title)
    ax.grid(False)
    figure.colorbar(
        drawn, ax=ax, label="share of the label's pictures", format=PercentFormatter(1), shrink=0.8
    )
    return figure


def plot_mistakes(images, mistakes: pd.DataFrame, classes: Sequence[str], title: str = "") -> Figure:
    """The pictures of some mistakes, each with its label, the prediction, and how sure that was.

    Parameters
    ----------
    images : Tensor of uint8, shape (N, 1 or 3, S, S)
        All pictures of the data set.
    mistakes : DataFrame
        From `most_wrong`; as many rows as shall be shown.
    """
    columns = min(5, max(1, len(mistakes)))
    rows = max(1, -(-len(mistakes) // columns))
    figure, axes = new_grid(rows, columns, 2.0 * columns, 2.5 * rows + 0.4 * bool(title))
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, row in zip(axes.flat, mistakes.itertuples(), strict=False):
        _picture(ax, images[row.id])
        label, predicted = (classes[number][:WORDS] for number in (row.label, row.predicted))
        ax.set_title(f"label: {label}\n{predicted}, {row.sure:.0%} sure", fontsize=10)
    figure.suptitle(title)
    return figure


def plot_maps(images, maps, titles: Sequence[str], title: str = "") -> Figure:
    """Pictures above, the same with a map of what speaks for a class below.

    Parameters
    ----------
    images : Tensor of uint8, shape (N, 1 or 3, S, S)
    maps : Tensor of shape (N, S, S)
        From `class_map`; each is scaled to its own highest value.
    titles : sequence of str
        One over each picture.
    """
    figure, axes = new_grid(2, len(images), 1.9 * len(images) + 0.9, 4.4 + 0.4 * bool(title))
    for (above, below), picture, field, name in zip(axes.T, images, np.asarray(maps), titles, strict=True):
        for ax in (above, below):
            _picture(ax, picture)
            ax.set_axis_off()
        drawn = below.imshow(field / max(field.max(), 1e-12), cmap="magma", alpha=0.55, vmin=0, vmax=1)
        above.set_title(name, fontsize=10)
    figure.colorbar(drawn, ax=axes[1], label="speaks for the class\n(1: most)", ticks=[0, 1], shrink=0.8)
    figure.suptitle(title)
    return figure


def plot_reliability(tables: dict[str, pd.DataFrame], title: str = "") -> Figure:
    """How often right over how sure, one panel for each table, with the number of pictures below.

    Parameters
    ----------
    tables : dict of str to DataFrame
        Title of the panel to what `reliability` gave.
    """
    figure, axes = new_figure(len(tables), 4.6 * len(tables), 4.6, sharey=True)
    lowest = min(table["low"].min() for table in tables.values())
    for number, (ax, (name, table)) in enumerate(zip(axes, tables.items(), strict=True)):
        ax.plot([0, 1], [0, 1], "--", color="0.4", linewidth=1.5, label="as sure as right")
        # The shade is one standard deviation of a share among so few pictures.
        error = np.sqrt(table["accuracy"] * (1 - table["accuracy"]) / table["pictures"])
        color, marker = PALETTE[number], MARKERS[number]
        ax.errorbar(
            table["confidence"],
            table["accuracy"],
            yerr=error,
            color=color,
            marker=marker,
            markersize=7,
            capsize=4,
            linewidth=1.8,
            label="measured",
        )
        for row in table.itertuples():
            ax.annotate(
                f"{row.pictures}",
                (row.confidence, 0),
                (0, 4),
                xycoords=("data", "axes fraction"),
                textcoords="offset points",
                ha="center",
                fontsize=10,
                color="0.3",
            )
        ax.xaxis.set_major_formatter(PercentFormatter(1))
        ax.set(xlabel="how sure (numbers: pictures)", title=name, xlim=(lowest - 0.02, 1.02), ylim=(0, 1.04))
        ax.legend(loc="upper left")
    accuracy_axis(axes[0], "how often right")
    figure.suptitle(title)
    return figure


def plot_power_law(
    runs: pd.DataFrame, law: pd.DataFrame, fitted: Sequence[int], needed: float | None = None, title: str = ""
) -> Figure:
    """Test errors of runs over their labels, with a power law through some of them.

    Parameters
    ----------
    runs : DataFrame
        A row a run: labels, test_accuracy.
    law : DataFrame
        labels, error, low, high: from `PowerLaw.error`.
    fitted : sequence of int
        Numbers of labels that the law was fitted to; the others are drawn as empty markers.
    needed : float, optional
        An error to mark by a horizontal line.
    """
    figure, (ax,) = new_figure(width=8.0, height=4.8)
    ax.plot(law["labels"], law["error"], color=PALETTE[0], linewidth=2, label="power law")
    ax.fill_between(law["labels"], law["low"], law["high"], color=PALETTE[0], alpha=0.15, linewidth=0)
    seen = runs["labels"].isin(list(fitted))
    for part, marker, face, label in (
        (runs[seen], "o", PALETTE[0], "runs that it was fitted to"),
        (runs[~seen], "D", "white", "runs that it had not seen"),
    ):
        if len(part):
            ax.plot(
                part["labels"],
                1 - part["test_accuracy"],
                marker,
                color=PALETTE[0] if marker == "o" else PALETTE[1],
                markerfacecolor=face,
                markeredgewidth=1.8,
                markersize=7,
                label=label,
            )
    if needed is not None:
        ax.axhline(needed, color=PALETTE[3], linestyle=":", linewidth=2, label=f"error of {needed:.0%}")
    ax.set_yscale("log")
    numbers_on_log_axis(ax, runs["labels"])
    errors = 1 - runs["test_accuracy"]
    ticks = [
        tick for tick in (0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5) if errors.min() * 0.8 < tick
    ]
    ticks = [tick for tick in ticks if tick < errors.max() * 1.2]
    ax.set_yticks(ticks, [f"{tick:.0%}" for tick in ticks])
    ax.minorticks_off()
    ax.set(xlabel="labelled pictures (log scale)", ylabel="test error (log scale)", title=title)
    ax.grid(True, color=STYLE["grid.color"])
    ax.legend()
    return figure


def _picture(ax, picture) -> None:
    pixels = np.asarray(picture).transpose(1, 2, 0)
    ax.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
