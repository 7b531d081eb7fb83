"""Reading the trade-off between an old and a new task: who is beaten by nobody, and who keeps most at equal gain."""

import numpy as np
import pandas as pd


def pareto(table: pd.DataFrame, columns: tuple[str, str] = ("new_test", "old_test")) -> np.ndarray:
    """Which rows no other row beats: none is at least as good in both columns and better in one.

    Returns
    -------
    array of bool, shape (rows,)

    Examples
    --------
    >>> pareto(pd.DataFrame({"new_test": [0.9, 0.8, 0.7], "old_test": [0.5, 0.9, 0.6]})).tolist()
    [True, True, False]
    """
    points = table[list(columns)].to_numpy(float)
    at_least = (points[None] >= points[:, None]).all(2)
    better = (points[None] > points[:, None]).any(2)
    return ~(at_least & better).any(1)


def method_means(table: pd.DataFrame) -> pd.DataFrame:
    """Mean over the seeds for each method and strength; ``seeds`` counts them."""
    by = table.groupby(["method", "strength"], sort=False)
    values = [name for name in table.columns if name not in ("method", "strength", "seed")]
    return by[values].mean().assign(seeds=by.size()).reset_index()


def at_equal_accuracy(table: pd.DataFrame, least: float) -> pd.DataFrame:
    """For each method the strength that keeps most of the old task while learning enough of the new one.

    The strength is chosen on validation pictures; the columns of the test split are for reporting.

    Parameters
    ----------
    table : DataFrame
        From `trade_off`: method, strength, seed, and accuracies old_validation, new_validation, old_test, new_test.
    least : float
        Mean validation accuracy that is demanded on the new task.

    Returns
    -------
    DataFrame
        A row a method, the best keeper first: `method_means` at the chosen strength. Methods that never reach
        ``least`` come last, with NaN.
    """
    means = method_means(table)
    enough = means[means["new_validation"] >= least].sort_values("old_validation", ascending=False)
    best = enough.drop_duplicates("method")
    missing = means[~means["method"].isin(best["method"])][["method"]].drop_duplicates()
    return pd.concat([best, missing], ignore_index=True)
