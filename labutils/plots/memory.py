"""Pictures of what fills the memory."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from labutils.plots.style import PALETTE, new_figure

HATCHES = ("", "//", "..", "\\\\", "xx")


def plot_memory(cases: Mapping[str, Any], title: str = "") -> Figure:
    """A bar for each case, put together from weights, optimizer, gradients, activations and working memory.

    Parameters
    ----------
    cases : mapping of name to Memory
        From `training_memory`; the first is drawn on top.
    """
    figure, (ax,) = new_figure(width=9.0, height=1.6 + 0.5 * len(cases))
    parts = {name: asdict(memory) for name, memory in cases.items()}
    places, left = np.arange(len(cases)), np.zeros(len(cases))
    for number, part in enumerate(next(iter(parts.values()))):
        widths = np.array([sizes[part] for sizes in parts.values()])
        style = {"color": PALETTE[number], "hatch": HATCHES[number], "edgecolor": "white"}
        ax.barh(places, widths, left=left, height=0.65, label=part, **style)
        left += widths
    for place, total in zip(places, left, strict=True):
        ax.annotate(f"{total:,.0f} MB", (total, place), (4, 0), textcoords="offset points", va="center")
    ax.set_yticks(places, parts)
    ax.invert_yaxis()
    ax.set(xlabel="MB at the fullest moment of a step", xlim=(0, 1.15 * left.max()), title=title)
    ax.grid(axis="y", visible=False)
    figure.legend(loc="outside lower center", ncols=5, frameon=False)
    return figure
