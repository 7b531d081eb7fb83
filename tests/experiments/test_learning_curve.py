"""The power law is found where there is one, its interval holds the truth about as often as it says, and it warns."""

import math

import numpy as np
import pandas as pd
import pytest

from labutils.experiments.learning_curve import fit_power_law

SIZES = (50, 100, 200, 400)


def runs(exponent=0.3, factor=0.9, noise=0.0, common=0.0, seeds=3, sizes=SIZES, draw=0) -> pd.DataFrame:
    generator = np.random.default_rng(draw)
    rows = []
    for seed in range(seeds):
        shift = common * generator.standard_normal()
        for labels in sizes:
            error = factor * labels**-exponent * math.exp(shift + noise * generator.standard_normal())
            rows.append({"labels": labels, "seed": seed, "test_accuracy": 1 - error})
    return pd.DataFrame(rows)


def test_exact_law_is_found():
    law = fit_power_law(runs())
    assert law.exponent == pytest.approx(0.3)
    assert law.factors[0] == pytest.approx(0.9)
    assert law.spread == pytest.approx(0, abs=1e-9)
    table = law.error([50, 1000])
    assert table["error"].tolist() == pytest.approx([0.9 * 50**-0.3, 0.9 * 1000**-0.3])
    assert table["low"].tolist() == pytest.approx(table["high"].tolist())


def test_gain_and_labels_needed_by_hand():
    law = fit_power_law(runs())
    gain, low, high = law.gain(100, 1)
    assert (
        gain == pytest.approx(0.9 * (100**-0.3 - 101**-0.3)) and low <= gain * 1.001 and high >= gain * 0.999
    )
    assert law.gain(100, 100)[0] == pytest.approx(0.9 * 100**-0.3 * (1 - 2**-0.3))
    assert law.needed(0.1)[0] == pytest.approx(9 ** (1 / 0.3))


def test_a_rising_error_never_gets_there():
    law = fit_power_law(runs(exponent=-0.1, factor=0.1))
    assert law.needed(0.01) == (np.inf,) * 3
    assert law.gain(100)[0] < 0


def test_more_noise_wider_interval_and_law_inside():
    def width(noise):
        row = fit_power_law(runs(noise=noise)).error([1000]).iloc[0]
        assert row["low"] < row["error"] < row["high"]
        return row["high"] - row["low"]

    assert width(0.02) < width(0.1)


@pytest.mark.parametrize("noise, common", [(0.06, 0.0), (0.03, 0.06)])
def test_interval_holds_the_truth_about_as_often_as_it_says(noise, common):
    inside = {"exponent": 0, "error": 0}
    for draw in range(60):
        law = fit_power_law(runs(noise=noise, common=common, draw=draw), draws=200)
        low, high = np.quantile(law.exponents[1:], (0.025, 0.975))
        inside["exponent"] += low <= 0.3 <= high
        row = law.error([1000]).iloc[0]
        inside["error"] += row["low"] <= 0.9 * 1000**-0.3 <= row["high"]
    assert all(count >= 0.8 * 60 for count in inside.values()), inside


def test_repeatable():
    one, two = (fit_power_law(runs(noise=0.1)) for _ in range(2))
    assert np.array_equal(one.exponents, two.exponents)


@pytest.mark.parametrize(
    "table, message",
    [(runs(sizes=(50, 100)), "too few for a curve"), (runs().assign(test_accuracy=1.0), "without any error")],
)
def test_what_cannot_be_fitted(table, message):
    with pytest.raises(ValueError, match=message):
        fit_power_law(table)
