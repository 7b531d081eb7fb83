"""Pictures of what a network holds: filters, crops, curves over its groups, and which strategy wins where."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from labutils.plots import MARKERS, PALETTE, STYLE, _in_percent


def _grid(rows: int, columns: int, width: float, height: float, **options) -> tuple[Figure, np.ndarray]:
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(
            rows, columns, figsize=(width, height), layout="constrained", squeeze=False, **options
        )
    plt.close(figure)  # a notebook would otherwise show it twice: as a result and as an open figure
    return figure, axes


def plot_pictures(rows: Mapping[str, Sequence], title: str = "", side: float = 1.1) -> Figure:
    """Rows of pictures or crops, each row with its name on the left.

    Parameters
    ----------
    rows : dict of str to sequence of Tensor of uint8, shape (1 or 3, h, w)
        Each picture is drawn equally large, whatever its number of pixels.
    side : float, default 1.1
        Of a picture, in inches.
    """
    columns = max(map(len, rows.values()))
    figure, axes = _grid(len(rows), columns, side * columns + 1.6, side * len(rows) + 0.5 * bool(title))
    for line, (name, pictures) in zip(axes, rows.items(), strict=True):
        for ax in line:
            ax.set(xticks=[], yticks=[], frame_on=False)
        for ax, picture in zip(line, pictures, strict=False):
            pixels = np.asarray(picture).transpose(1, 2, 0)
            ax.imshow(pixels.squeeze(), cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        line[0].set_ylabel(name, rotation=0, ha="right", va="center", fontsize=11)
    figure.suptitle(title)
    return figure


def plot_filters(panels: Mapping[str, np.ndarray], columns: int = 8) -> Figure:
    """The filters of a first layer as small colour pictures, one panel for each set.

    Parameters
    ----------
    panels : dict of str to array, shape (filters, 3, k, k)
        Title to weights. Each filter is scaled for itself: grey is 0, full colour its strongest weight. Those with less
        than a hundredth of the largest weight of all stay grey.
    """
    figure, axes = _grid(1, len(panels), 4.8 * len(panels), 2.8)
    figure.get_layout_engine().set(wspace=0.12)
    for ax, (title, weights) in zip(axes[0], panels.items(), strict=True):
        weights = np.asarray(weights, float)
        largest = np.abs(weights).max((1, 2, 3), keepdims=True)
        tiles = (0.5 + 0.5 * weights / np.maximum(largest, 0.01 * largest.max())).transpose(0, 2, 3, 1)
        tiles = np.pad(tiles, [(0, 0), (0, 1), (0, 1), (0, 0)], constant_values=1)  # a white line between
        lines = [np.concatenate(tiles[i : i + columns], 1) for i in range(0, len(tiles), columns)]
        ax.imshow(np.concatenate(lines)[:-1, :-1], interpolation="nearest")
        ax.set_axis_off()
        ax.set_title(title)
    return figure


def plot_by_group(
    table: pd.DataFrame, value: str, by: str, label: str, title: str = "", *, percent: bool = False
) -> Figure:
    """A value over the groups of the network, shallow to deep, one line for each case.

    Parameters
    ----------
    table : DataFrame
        group, the column ``by`` with the names of the cases, and ``value``.
    label : str
        Of the vertical axis, with its unit.
    """
    figure, axes = _grid(1, 1, 8, 4.2)
    ax = axes[0, 0]
    for number, (case, part) in enumerate(table.groupby(by, sort=False)):
        style = {"marker": MARKERS[number % len(MARKERS)], "color": PALETTE[number % len(PALETTE)]}
        ax.plot(part["group"], part[value], linewidth=2, markersize=7, label=case, **style)
    ax.set(xlabel="group, shallow to deep", ylabel=label, title=title)
    if percent:
        _in_percent(ax.yaxis)
    else:
        ax.set_ylim(bottom=0)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure


def plot_strategy_map(rows: pd.DataFrame, strategies: Sequence[str]) -> Figure:
    """Which strategy wins: a row for each domain, a column for each number of labels from few to many.

    A cell has the winner's colour; it is hatched where the lead over the second is not larger than its interval.

    Parameters
    ----------
    rows : DataFrame
        From `labutils.tables.strategy_map`.
    strategies : sequence of str
        All of them, in the order of their colours elsewhere.
    """
    domains, strategies = list(rows["domain"].unique()), list(strategies)
    sizes = rows.groupby("domain").size().max()
    figure, axes = _grid(1, 1, 3.2 * sizes + 1.1, 1.5 * len(domains))
    ax = axes[0, 0]
    for y, domain in enumerate(domains):
        part = rows[rows["domain"] == domain].sort_values("labels")
        for x, row in enumerate(part.itertuples()):
            color = PALETTE[strategies.index(row.winner)]
            hatch = {} if row.clear else {"hatch": "//"}
            ax.bar(x, 0.92, 0.96, bottom=y - 0.46, color=(*color, 0.25), edgecolor=color, **hatch)
            text = (
                f"{row.labels} labels: {row.winner}\n"
                f"{100 * row.lead:+.1f} points ({100 * row.low:+.1f} to {100 * row.high:+.1f}) "
                f"{'clear' if row.clear else 'not clear'}\nenough: {row.enough}"
            )
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 2.5}
            ax.text(x, y, text, ha="center", va="center", fontsize=10, linespacing=1.5, bbox=box)
    ax.set(xlim=(-0.5, sizes - 0.5), ylim=(len(domains) - 0.5, -0.5), xticks=[])
    ax.set_yticks(range(len(domains)), domains)
    ax.grid(False)
    ax.tick_params(length=0)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
    return figure


def plot_lead_over_distance(rows: pd.DataFrame, label: str) -> Figure:
    """A lead with its interval over the distance of the domain from pretraining, for several amounts of labels.

    Parameters
    ----------
    rows : DataFrame
        domain, distance, amount ("fewest labels", …), lead, low, high.
    """
    figure, axes = _grid(1, 1, 7.5, 4.4)
    ax = axes[0, 0]
    ax.axhline(0, color="0.3", linewidth=1.2)
    for number, (amount, part) in enumerate(rows.groupby("amount", sort=False)):
        part = part.sort_values("distance")
        error = [part["lead"] - part["low"], part["high"] - part["lead"]]
        style = {"marker": MARKERS[number], "color": PALETTE[number], "markersize": 8, "capsize": 5}
        ax.errorbar(part["distance"], part["lead"], yerr=error, linestyle=":", label=amount, **style)
    top = rows.groupby("domain")["distance"].first()
    for domain, distance in top.items():
        ax.annotate(domain, (distance, 1.0), xycoords=("data", "axes fraction"), ha="center", va="bottom")
    ax.yaxis.set_major_formatter(PercentFormatter(1, symbol=""))
    ax.set(xlabel="distance from pretraining (standard deviations)", ylabel=f"{label} (points)")
    ax.margins(x=0.12)
    ax.legend()
    return figure
