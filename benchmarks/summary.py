"""The README's table of results, from the measured table "domain_gap".

python benchmarks/summary.py
"""

import pandas as pd

from labutils import intervals
from labutils.course.measured_tables import measured
from labutils.experiments.statistics import strategy_map


def in_words(table: pd.DataFrame) -> str:
    """Test accuracy of each strategy with its interval, and the winner where it leads clearly, in Markdown.

    Parameters
    ----------
    table : DataFrame
        As `domain_gap_experiment` returns it.
    """
    means = intervals(table, ["domain", "labels", "strategy"])
    means["shown"] = [
        f"{100 * mean:.1f} % ({100 * low:.1f} to {100 * high:.1f})"
        for mean, low, high in zip(means["mean"], means.low, means.high, strict=True)
    ]
    shown = means.pivot(index=["domain", "labels"], columns="strategy", values="shown")
    winners = strategy_map(table).set_index(["domain", "labels"])
    shown = shown.loc[winners.index, table.strategy.unique()]
    shown["clearly ahead of all others"] = winners.winner.where(winners.clear, "none")
    shown = shown.rename_axis(columns=None).reset_index().rename(columns={"domain": "pictures"})
    return shown.assign(labels=shown.labels.map("{:,d}".format)).to_markdown(index=False)


if __name__ == "__main__":
    print(in_words(measured("domain_gap")))
