"""Statistics over tables, on numbers that can be checked by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from labutils.experiments.statistics import effective_data, intervals, lead, steps_to_match


def test_interval_is_students():
    table = pd.DataFrame({"name": ["a"] * 3, "test_accuracy": [0.7, 0.8, 0.9]})
    row = intervals(table, ["name"]).iloc[0]
    half = 4.302653 * 0.1 / math.sqrt(3)  # quantile 0.975 with 2 degrees of freedom
    assert row["mean"] == pytest.approx(0.8)
    assert row["low"] == pytest.approx(0.8 - half, abs=1e-6)
    assert row["high"] == 1.0, "an accuracy is no more than 1"


def test_an_interval_of_accuracies_ends_at_0_and_1_and_one_of_seconds_does_not():
    table = pd.DataFrame(
        {"name": ["a"] * 3, "test_accuracy": [0.0, 0.1, 0.05], "seconds": [10.0, 30.0, 20.0]}
    )
    assert intervals(table, ["name"])["low"][0] == 0.0
    row = intervals(table, ["name"], "seconds").iloc[0]
    half = 4.302653 * 10 / math.sqrt(3)
    assert (row["low"], row["high"]) == pytest.approx((0.0, 20 + half), abs=1e-4)


def test_one_seed_has_no_interval():
    row = intervals(pd.DataFrame({"name": ["a"], "test_accuracy": [0.7]}), ["name"]).iloc[0]
    assert math.isnan(row["low"]) and math.isnan(row["high"])


def gap(transfer: float) -> pd.DataFrame:
    scratch = {10: 0.4, 100: 0.6, 1000: 0.8}
    rows = [("d", "from scratch", n, accuracy) for n, accuracy in scratch.items()]
    return pd.DataFrame(
        [*rows, ("d", "t", 10, transfer)], columns=["domain", "strategy", "labels", "test_accuracy"]
    )


@pytest.mark.parametrize(
    ("transfer", "needed", "bound"),
    [(0.6, 100, ""), (0.7, 316, ""), (0.9, 1000, "more than"), (0.3, 10, "at most")],
)
def test_effective_data_interpolates_on_the_logarithm(transfer, needed, bound):
    row = effective_data(gap(transfer)).iloc[0]
    assert (row["scratch_labels"], row["bound"], row["gained"]) == (needed, bound, needed - 10)


def test_effective_data_with_a_dip_in_the_baseline():
    table = gap(0.5)
    table.loc[1, "test_accuracy"] = 0.35  # worse with more labels: noise, not a reason for a second crossing
    assert effective_data(table).iloc[0]["scratch_labels"] == pytest.approx(10 * 100**0.25, abs=300)


def test_effective_data_needs_the_baseline():
    with pytest.raises(ValueError, match="from scratch"):
        effective_data(gap(0.5).query("strategy == 't'"))


def test_steps_to_match():
    rows = [
        ("pretrained", 0, 10, 0.5),
        ("pretrained", 0, 20, 0.9),
        ("random", 0, 10, 0.3),
        ("random", 0, 20, 0.45),
    ]
    curves = pd.DataFrame(rows, columns=["start", "seed", "step", "validation_accuracy"])
    assert steps_to_match(curves, "pretrained", 0) == 10
    assert math.isnan(steps_to_match(curves, "random", 0))


def test_a_lead_pairs_the_seeds():
    one, other = pd.Series({0: 0.9, 1: 0.6, 2: 0.8, 7: 0.1}), pd.Series({2: 0.7, 1: 0.55, 0: 0.8})
    found = lead(one, other)
    differences = np.array([0.1, 0.05, 0.1])
    half = stats.t.ppf(0.975, 2) * differences.std(ddof=1) / np.sqrt(3)
    assert tuple(found) == pytest.approx(
        (3, differences.mean(), *(differences.mean() + half * np.array([-1, 1])))
    )
    assert found.clear and str(found).endswith(", clear") and not lead(one[:1], other).clear
