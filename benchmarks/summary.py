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
    winners = strategy_map(table).set_index(["domain", "labels"])
    rows = []
    for domain in table.domain.unique():
        for labels in sorted(table[table.domain == domain].labels.unique()):
            here = means[(means.domain == domain) & (means.labels == labels)].set_index("strategy").shown
            won = winners.loc[domain, labels]
            row = {"pictures": domain, "labels": f"{labels:,d}", **here[table.strategy.unique()]}
            rows.append(row | {"clearly ahead of all others": won.winner if won.clear else "none"})
    return pd.DataFrame(rows).to_markdown(index=False)


if __name__ == "__main__":
    print(in_words(measured("domain_gap")))
