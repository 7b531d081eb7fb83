"""The domain gap: accuracy over labels, which strategy wins where, and the lead over the distance."""

from collections.abc import Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from labutils.plots.style import (
    MARKERS,
    PALETTE,
    accuracy_axis,
    draw_band,
    new_figure,
    new_grid,
    numbers_on_log_axis,
)


def plot_domain_gap(means: pd.DataFrame, distance: dict[str, str] | None = None) -> Figure:
    """Test accuracy over labels, one panel a domain, one line a strategy.

    Parameters
    ----------
    means : DataFrame
        domain, strategy, labels, mean, low, high.
    distance : dict, optional
        Domain to a word for its distance from ImageNet, for the panel titles.
    """
    domains, distance = list(means["domain"].unique()), distance or {}
    figure, axes = new_figure(len(domains), 3.3 * len(domains) + 0.8, 4.4, sharey=True)
    for ax, domain in zip(axes, domains, strict=True):
        panel = means[means["domain"] == domain]
        for number, strategy in enumerate(means["strategy"].unique()):
            part = panel[panel["strategy"] == strategy].sort_values("labels")
            draw_band(ax, part["labels"], part, strategy, number)
        numbers_on_log_axis(ax, panel["labels"])
        ax.set_xlabel("labelled pictures (log scale)")
        ax.set_title(f"{domain}: {distance[domain]}" if domain in distance else domain)
    accuracy_axis(axes[0])
    handles, names = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside lower center", ncols=(1, 2, 4)[min(len(domains), 3) - 1], frameon=False
    )
    return figure


def plot_strategy_map(rows: pd.DataFrame, strategies: Sequence[str]) -> Figure:
    """Which strategy wins: a row for each domain, a column for each number of labels from few to many.

    A cell has the winner's colour; it is hatched where the lead over the second is not larger than its interval.

    Parameters
    ----------
    rows : DataFrame
        From `labutils.experiments.statistics.strategy_map`.
    strategies : sequence of str
        All of them, in the order of their colours elsewhere.
    """
    domains, strategies = list(rows["domain"].unique()), list(strategies)
    sizes = rows.groupby("domain").size().max()
    figure, axes = new_grid(1, 1, 3.2 * sizes + 1.1, 1.5 * len(domains))
    ax = axes[0, 0]
    for y, domain in enumerate(domains):
        part = rows[rows["domain"] == domain].sort_values("labels")
        for x, row in enumerate(part.itertuples()):
            color = PALETTE[strategies.index(row.winner)]
            hatch = {} if row.clear else {"hatch": "//"}
            ax.bar(x, 0.92, 0.96, bottom=y - 0.46, color=(*color, 0.25), edgecolor=color, **hatch)
            text = (
                f"{row.labels} labels: {row.winner}\n"
                f"{100 * row.lead:+z.1f} points ({100 * row.low:+z.1f} to {100 * row.high:+z.1f}) "
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
    figure, axes = new_grid(1, 1, 7.5, 4.4)
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
