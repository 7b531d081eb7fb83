"""The learning-rate range test: its curve, its suggestions, and what smoothing does to it."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from labutils.plots.style import MARKERS, PALETTE, new_figure


def plot_lr_finder(curve: pd.DataFrame, suggestions: dict[str, float], reason: str | None) -> Figure:
    """Losses of batches and of held-out pictures over the rate of the head, with the suggested rates or the reason for none."""
    figure, (ax,) = new_figure()
    ax.plot(curve["rate"], curve["loss"], ".", color="0.65", label="each step", markersize=5)
    ax.plot(curve["rate"], curve["smoothed"], color=PALETTE[0], linewidth=2.2, label="smoothed")
    looked = curve[curve["held_out"].notna()]
    if len(looked):
        ax.plot(
            looked["rate"],
            looked["held_out"],
            "s-",
            color=PALETTE[5],
            markersize=4,
            label="held-out pictures",
        )
    for number, (name, rate) in enumerate(suggestions.items(), start=1):
        style = ("-", "--", ":", "-.")[(number - 1) % 4]
        ax.axvline(rate, color=PALETTE[number], linestyle=style, linewidth=2, label=f"{name}: {rate:.1e}")
    finite = curve["loss"][np.isfinite(curve["loss"])]
    if len(finite):
        # The blow-up would flatten the part that one wants to see.
        start = finite.iloc[: max(1, len(finite) // 10)].median()
        ax.set_ylim(max(0, finite.min() - 0.1 * abs(start)), min(finite.max(), 2 * start) * 1.05)
    ax.set(
        xscale="log",
        xlabel="learning rate of the head (per step, log scale)",
        ylabel="cross-entropy",
    )
    ax.set_title(f"No suggestion: {reason}" if reason else "Learning-rate range test", wrap=True)
    ax.legend(loc="upper left" if not suggestions else "best")
    return figure


def plot_smoothing(curve: pd.DataFrame, lines: Mapping[str, Sequence[float]], title: str) -> Figure:
    """The loss of each step of a range test, and several ways of smoothing it.

    Parameters
    ----------
    curve : DataFrame
        rate, loss; a row a step, from `lr_finder`.
    lines : mapping of name to sequence of float
        Smoothed losses, one a step. The lowest point of each is marked.
    """
    figure, (ax,) = new_figure(width=8)
    ax.plot(curve["rate"], curve["loss"], ".", color="0.6", markersize=6, label="each step")
    for number, (name, values) in enumerate(lines.items()):
        values, color = np.asarray(values, float), PALETTE[number % len(PALETTE)]
        style = ("-", "--", "-.", ":")[number % 4]
        ax.plot(curve["rate"], values, color=color, linestyle=style, linewidth=2.2, label=name)
        lowest = int(np.nanargmin(values))
        ax.plot(
            curve["rate"].iloc[lowest],
            values[lowest],
            MARKERS[number % len(MARKERS)],
            color=color,
            markersize=10,
            markeredgecolor="white",
        )
    finite = curve["loss"][np.isfinite(curve["loss"])]
    start = finite.iloc[: max(1, len(finite) // 10)].median()
    # The blow-up would flatten the part that one wants to see.
    ax.set_ylim(max(0, finite.min() - 0.1 * start), min(finite.max(), 2 * start) * 1.05)
    ax.set(
        xscale="log",
        xlabel="learning rate of the head (log scale)",
        ylabel="cross-entropy of the batch",
        title=title,
    )
    ax.legend()
    return figure
