"""Statistics over tables of runs: intervals, steps to match, what pretraining is worth in labels."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd


def intervals(table: pd.DataFrame, by: Sequence[str], value: str = "test_accuracy") -> pd.DataFrame:
    """Mean over the seeds with its 95 % interval (Student's t, as seeds are few).

    Returns
    -------
    DataFrame
        The columns ``by``, then seeds (count), mean, low, high; low and high are NaN for a single seed.
    """
    from scipy.stats import t

    rows = (
        table.groupby(list(by), sort=False, dropna=False)[value]
        .agg(seeds="count", mean="mean", spread="std")
        .reset_index()
    )
    half = t.ppf(0.975, rows["seeds"] - 1) * rows["spread"] / np.sqrt(rows["seeds"])
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
        scratch_labels − labels, the effective data transferred of Hernandez et al. 2021, equation 1.
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


def steps_to_match(curves: pd.DataFrame, start: str, seed: int) -> float:
    """First step at which this start's validation accuracy is at least the other's last one; NaN if never."""
    of_seed = curves[curves["seed"] == seed].sort_values("step")
    own, other = of_seed[of_seed["start"] == start], of_seed[of_seed["start"] != start]
    there = own[own["validation_accuracy"] >= other["validation_accuracy"].iloc[-1]]
    return float(there["step"].iloc[0]) if len(there) else math.nan
