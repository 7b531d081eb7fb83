"""From measurements to the table: medians, ratios, and accuracy beside them."""

import pandas as pd

from labutils.experiments.statistics import leads

AIMS = {"head": 8.0, "mixed": 2.0, "full": 1.0, "range_head": 1.0, "range_full": 1.0}  # times faster


def compare(rows: pd.DataFrame, own: str = "lab") -> pd.DataFrame:
    """A row for each task and contender.

    Parameters
    ----------
    rows : DataFrame
        From `take_turns`: task, contender, seed, seconds, cpu_seconds, accuracy (NaN for range tests).

    Returns
    -------
    DataFrame
        task, contender; rounds (count); seconds and cpu_seconds (medians); times_faster (how many times faster ``own`` is,
        by the medians), with the lowest and highest ratio of a single round; aim, and whether it is reached; accuracy
        (mean); lead (of ``own``, mean of the differences with the same seed) with its 95 % interval low to high, and
        ``not_worse``: whether the interval reaches 0 or lies above. The last columns are empty for ``own`` and for range
        tests.
    """
    table = []
    for (task, contender), part in rows.groupby(["task", "contender"], sort=False):
        row = {"task": task, "contender": contender, "rounds": len(part)}
        row |= part[["seconds", "cpu_seconds"]].median()
        if contender != own:
            ours = rows[(rows["task"] == task) & (rows["contender"] == own)]
            ratios = part.set_index("seed")["seconds"] / ours.set_index("seed")["seconds"]
            row["times_faster"] = row["seconds"] / ours["seconds"].median()
            row |= {"lowest": ratios.min(), "highest": ratios.max(), "aim": AIMS[task]}
            row["reached"] = bool(row["times_faster"] >= AIMS[task])
        row["accuracy"] = part["accuracy"].mean()
        if contender != own and part["accuracy"].notna().all():
            row |= _lead(rows[rows["task"] == task], own, contender)
        table.append(row)
    return pd.DataFrame(table)


def _lead(rows: pd.DataFrame, own: str, other: str) -> dict:
    named = rows.rename(columns={"task": "domain", "contender": "strategy", "accuracy": "test_accuracy"})
    found = leads(named.assign(labels=0), own, other).iloc[0]
    known = pd.notna(found["high"])  # a single seed tells nothing
    return {**found[["lead", "low", "high"]], "not_worse": bool(found["high"] >= 0) if known else None}
