"""The README's results in a table and in words, from the measured table "domain_gap".

python benchmarks/summary.py
"""

import pandas as pd

from labutils import intervals
from labutils.course.measured_tables import measured
from labutils.experiments.runs import FEATURES, FULL, SCRATCH
from labutils.experiments.statistics import leads, strategy_map


def in_words(table: pd.DataFrame) -> str:
    """Test accuracy of each strategy with its interval, the winner where it leads clearly, and what follows, in Markdown.

    Parameters
    ----------
    table : DataFrame
        As `domain_gap_experiment` returns it, with the lab's own strategies.
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
    shown = shown.assign(labels=shown.labels.map("{:,d}".format)).to_markdown(index=False)
    return f"{shown}\n\n{_findings(table, winners)}"


def _findings(table: pd.DataFrame, winners: pd.DataFrame) -> str:
    frozen = leads(table, FEATURES.name, SCRATCH.name)
    behind = [f"{row.domain} with {row.labels:,d} labels" for row in frozen[~frozen.clear].itertuples()]
    best = [
        f"{row.Index[0]} with {row.Index[1]:,d} labels: {row.winner}, {100 * row.lead:.1f} points ahead of the next "
        f"({100 * row.low:.1f} to {100 * row.high:.1f})"
        for row in winners[winners.clear].itertuples()
    ]
    moved = table[table.strategy == FULL.name].groupby("domain", sort=False)["least_movement"].mean()
    moved = ", ".join(f"{name} {share:.2g} %" for name, share in (100 * moved).items())
    return "\n".join(
        [
            f"- **Frozen features against training from scratch**: clearly ahead in {frozen.clear.sum()} of {len(frozen)} rows"
            + (f"; not clearly so on {' and on '.join(behind)}." if behind else "."),
            f"- **A winner that {table.seed.nunique()} seeds can tell apart from all others**: "
            + (f"{'; '.join(best)}. In all other rows none." if best else "in no row."),
            f"- **How far full fine-tuning moves the group that moves least**, as a share of the length of its weights: {moved}.",
        ]
    )


if __name__ == "__main__":
    print(in_words(measured("domain_gap")))
