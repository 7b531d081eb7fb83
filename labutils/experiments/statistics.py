"""Statistics over tables of runs: intervals, steps to match, what pretraining is worth in labels."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd


def runs_table(
    cases: Sequence[tuple], columns: Sequence[str], results: Sequence[dict], values: Sequence[str]
) -> pd.DataFrame:
    """A row a run: what was asked, then what came out.

    Parameters
    ----------
    cases : sequence of tuple
        One a run, in the order of ``columns``.
    results : sequence of dict
        From `run_all`, one a case.
    values : sequence of str
        Keys of each result.
    """
    rows = [(*case, *(result[name] for name in values)) for case, result in zip(cases, results, strict=True)]
    return pd.DataFrame(rows, columns=[*columns, *values])


def intervals(table: pd.DataFrame, by: Sequence[str], value: str = "test_accuracy") -> pd.DataFrame:
    """Mean over the seeds with its 95 % interval (Student's t, as seeds are few).

    Returns
    -------
    DataFrame
        The columns ``by``, then seeds (count), mean, low, high; low and high are NaN for a single seed.
    """
    from scipy.special import stdtrit  # the quantile of Student's t: scipy.stats takes a second to import

    rows = (
        table.groupby(list(by), sort=False, dropna=False)[value]
        .agg(seeds="count", mean="mean", spread="std")
        .reset_index()
    )
    half = stdtrit(rows["seeds"] - 1, 0.975) * rows["spread"] / np.sqrt(rows["seeds"])
    low, high = (rows["mean"] - half).clip(lower=0), rows["mean"] + half
    return rows.assign(low=low, high=high if value == "seconds" else high.clip(upper=1)).drop(
        columns="spread"
    )


def effective_data(table: pd.DataFrame, baseline: str = "from scratch") -> pd.DataFrame:
    """How many labels the baseline would need to match each strategy: what pretraining is worth in data.

    Accuracy of the baseline is interpolated over the logarithm of the labels, made monotone first.

    Parameters
    ----------
    table : DataFrame
        From `domain_gap_experiment`.

    Returns
    -------
    DataFrame
        domain, strategy, labels, accuracy, ``scratch_labels`` (the number to match), ``bound`` ("", "more than"
        when scratch never got there, "at most" when its smallest set already did), and ``gained``, that is
        scratch_labels − labels, the effective data transferred of Hernandez et al. 2021.
    """
    means = table.groupby(["domain", "strategy", "labels"], sort=False)["test_accuracy"].mean().reset_index()
    rows = []
    for domain, part in means.groupby("domain", sort=False):
        scratch = part[part["strategy"] == baseline].sort_values("labels")
        if scratch.empty:
            raise ValueError(f"No rows of {baseline!r} for {domain}: it must be among the strategies")
        sizes, reached = scratch["labels"].to_numpy(float), np.maximum.accumulate(scratch["test_accuracy"])
        for row in part[part["strategy"] != baseline].itertuples():
            bound = (
                "more than"
                if row.test_accuracy > reached.iloc[-1]
                else "at most"
                if row.test_accuracy <= reached.iloc[0]
                else ""
            )
            # np.interp wants rising abscissas: of equal accuracies the fewest labels count.
            first = np.unique(reached, return_index=True)[1]
            needed = float(np.exp(np.interp(row.test_accuracy, reached.iloc[first], np.log(sizes[first]))))
            rows.append(
                {
                    "domain": domain,
                    "strategy": row.strategy,
                    "labels": row.labels,
                    "accuracy": row.test_accuracy,
                    "bound": bound,
                    "scratch_labels": round(needed),
                    "gained": round(needed) - row.labels,
                }
            )
    return pd.DataFrame(rows)


class Lead(NamedTuple):
    """How far one is ahead of another: seeds (count), and the mean difference with its 95 % interval, as shares.

    >>> print(Lead(10, 0.011, -0.001, 0.024))
    +1.1 points (-0.1 to +2.4), not clear
    """

    seeds: int
    lead: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """Whether the interval leaves 0 out; nothing is clear after a single seed."""
        return self.low > 0 or self.high < 0

    def __str__(self) -> str:
        lead, low, high = (f"{100 * share:+z.1f}" for share in (self.lead, self.low, self.high))
        return f"{lead} points ({low} to {high}), {'clear' if self.clear else 'not clear'}"


def lead(one: pd.Series, other: pd.Series) -> Lead:
    """How far ``one`` is ahead of ``other``, seed by seed: what makes a choice of pictures hard for both drops out.

    Parameters
    ----------
    one, other : Series
        An accuracy (0 to 1) for each seed, which is the index; seeds that only one of them has do not count.

    Returns
    -------
    Lead
        Its interval is that of Student's t of the differences; NaN for a single seed.
    """
    from scipy.special import stdtrit

    differences = (one - other).dropna()
    count, mean = len(differences), differences.mean()
    half = stdtrit(count - 1, 0.975) * differences.std() / math.sqrt(count) if count > 1 else math.nan
    return Lead(count, mean, mean - half, mean + half)


def leads(
    table: pd.DataFrame, strategy: str, other: str = "from scratch", measure: str = "test_accuracy"
) -> pd.DataFrame:
    """How far one strategy is ahead of another, with a 95 % interval, for each domain and number of labels.

    Runs with the same seed had the same pictures, so they are compared in pairs (see `lead`).

    Parameters
    ----------
    table : DataFrame
        From `domain_gap_experiment`.
    strategy, other : str
    measure : str, default "test_accuracy"
        Column to compare: "validation_accuracy" where a choice depends on it.

    Returns
    -------
    DataFrame
        domain, labels, seeds (count), lead (mean difference of ``measure``), low, high, and ``clear``: whether the
        interval leaves 0 out. low and high are NaN for a single seed, and nothing is clear then.

    Raises
    ------
    ValueError
        A strategy that the table does not have.
    """
    missing = {strategy, other} - set(table["strategy"])
    if missing:
        raise ValueError(
            f"No rows of {', '.join(sorted(missing))}; there are {', '.join(table['strategy'].unique())}"
        )
    rows = []
    for domain, of_domain in table.groupby("domain", sort=False):
        for labels, part in of_domain.groupby("labels"):
            by_strategy = part.pivot(index="seed", columns="strategy", values=measure)
            if {strategy, other} <= set(by_strategy):
                found = lead(by_strategy[strategy], by_strategy[other])
                rows.append({"domain": domain, "labels": labels, **found._asdict(), "clear": found.clear})
    return pd.DataFrame(rows)


def strategy_map(table: pd.DataFrame) -> pd.DataFrame:
    """Which strategy has the best mean for each domain and number of labels, and how sure its lead is.

    The winner is chosen on the same numbers that its lead is computed from, so leads come out a little too large.

    Parameters
    ----------
    table : DataFrame
        From `domain_gap_experiment`, its strategies in the order from cheap to dear.

    Returns
    -------
    DataFrame
        domain, labels, winner, second, lead (of the winner over the second), low, high, clear (see `leads`), and
        ``enough``: the cheapest strategy over which the winner has no clear lead.

    Raises
    ------
    ValueError
        Fewer than two strategies somewhere.
    """
    rows = []
    for (domain, labels), part in table.groupby(["domain", "labels"], sort=False):
        means = part.groupby("strategy", sort=False)["test_accuracy"].mean().sort_values(ascending=False)
        if len(means) < 2:
            raise ValueError(f"{domain} with {labels} labels: at least two strategies are needed for a map")
        winner, second = means.index[:2]
        found = leads(part, winner, second).iloc[0]
        others = [name for name in table["strategy"].unique() if name in means.index]
        enough = next(
            name for name in others if name == winner or not leads(part, winner, name)["clear"].iloc[0]
        )
        row = {"domain": domain, "labels": labels, "winner": winner, "second": second}
        rows.append({**row, **found[["lead", "low", "high", "clear"]], "enough": enough})
    return pd.DataFrame(rows)


def steps_to_match(curves: pd.DataFrame, start: str, seed: int) -> float:
    """First step at which this start's validation accuracy is at least the other's last one; NaN if never."""
    of_seed = curves[curves["seed"] == seed].sort_values("step")
    own, other = of_seed[of_seed["start"] == start], of_seed[of_seed["start"] != start]
    there = own[own["validation_accuracy"] >= other["validation_accuracy"].iloc[-1]]
    return float(there["step"].iloc[0]) if len(there) else math.nan


def at_best_rate(
    table: pd.DataFrame, by: Sequence[str] = ("domain", "shift", "block", "seed")
) -> pd.DataFrame:
    """For each value of ``by`` the row whose rate did best on validation; the lowest rate of several.

    Parameters
    ----------
    table : DataFrame
        The columns ``by``, base_lr and validation_accuracy.
    by : sequence of str
        What is tuned by itself; it has to hold the seed, or one run would be chosen for all seeds.
    """
    ordered = table.sort_values("base_lr", kind="stable")
    best = ordered.groupby(list(by), sort=False)["validation_accuracy"].idxmax()
    return table.loc[sorted(best)].reset_index(drop=True)
