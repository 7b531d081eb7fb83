"""Pictures of what a network holds: filters, crops, curves over its groups."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from labutils.plots.style import MARKERS, PALETTE, axis_in_percent, new_grid


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
    figure, axes = new_grid(len(rows), columns, side * columns + 1.6, side * len(rows) + 0.5 * bool(title))
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
    figure, axes = new_grid(1, len(panels), 4.8 * len(panels), 2.8)
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
    figure, axes = new_grid(1, 1, 8, 4.2)
    ax = axes[0, 0]
    for number, (case, part) in enumerate(table.groupby(by, sort=False)):
        style = {"marker": MARKERS[number % len(MARKERS)], "color": PALETTE[number % len(PALETTE)]}
        ax.plot(part["group"], part[value], linewidth=2, markersize=7, label=case, **style)
    ax.set(xlabel="group, shallow to deep", ylabel=label, title=title)
    if percent:
        axis_in_percent(ax.yaxis)
    else:
        ax.set_ylim(bottom=0)
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    return figure
