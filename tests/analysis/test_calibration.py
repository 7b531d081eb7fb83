"""Calibration: the table agrees with scikit-learn's, the error with numbers worked out by hand, the temperature with the true one."""

import math

import pytest
import torch
from sklearn.calibration import calibration_curve
from torch.nn import functional as F

from labutils.analysis.calibration import calibration_error, error_if_calibrated, fit_temperature, reliability


def forecasts(count: int, classes: int = 3, scale: float = 2.0, seed: int = 0):
    """Logits, and labels drawn from exactly their probabilities."""
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(count, classes, generator=generator)
    return logits, torch.multinomial(logits.softmax(1), 1, generator=generator).squeeze(1)


def test_table_agrees_with_scikit_learn():
    logits, labels = forecasts(500)
    confidence, answers = logits.double().softmax(1).max(1)
    table = reliability(logits, labels, bins=8)
    accuracy, mean = calibration_curve((answers == labels).numpy(), confidence.numpy(), n_bins=8)
    assert table["accuracy"].to_list() == pytest.approx(accuracy)
    assert table["confidence"].to_list() == pytest.approx(mean)
    assert table["pictures"].sum() == 500
    assert ((table["low"] < table["confidence"]) & (table["confidence"] <= table["high"])).all()


def test_error_by_hand():
    # Three answers of 0.9 with one mistake, one of 0.6 that is right.
    logits = torch.tensor([[0.9, 0.1]] * 3 + [[0.6, 0.4]]).log()
    labels = torch.tensor([0, 0, 1, 0])
    assert calibration_error(logits, labels) == pytest.approx(0.75 * (0.9 - 2 / 3) + 0.25 * (1 - 0.6))
    # In a single bin too sure and too shy cancel out.
    assert calibration_error(logits, labels, bins=1) == pytest.approx(abs(0.825 - 0.75))


def test_certainty_stands_in_the_last_bin():
    table = reliability(torch.tensor([[500.0, 0.0]]), torch.tensor([0]))
    assert table[["low", "high", "confidence", "accuracy"]].iloc[0].tolist() == pytest.approx([0.9, 1, 1, 1])


def test_honest_forecasts_err_as_much_as_chance():
    logits, labels = forecasts(2000)
    chance = error_if_calibrated(logits)
    assert 0 < chance < 0.04
    assert calibration_error(logits, labels) < 2 * chance
    assert calibration_error(3 * logits, labels) > 4 * chance
    assert error_if_calibrated(logits[:200]) > chance, "fewer pictures, more chance"


def test_honest_error_is_repeatable_and_moves_no_generator():
    logits, _ = forecasts(100)
    state = torch.get_rng_state()
    assert error_if_calibrated(logits, draws=5) == error_if_calibrated(logits, draws=5)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_found(temperature):
    logits, labels = forecasts(20_000)
    assert fit_temperature(temperature * logits, labels) == pytest.approx(temperature, rel=0.05)


def test_temperature_is_the_least_loss_and_changes_no_answer():
    logits, labels = forecasts(300, scale=4)
    best = fit_temperature(logits, labels)
    loss = F.cross_entropy(logits.double() / best, labels)
    for other in (best * 0.98, best * 1.02, 1.0):
        assert loss <= F.cross_entropy(logits.double() / other, labels)
    assert torch.equal((logits / best).argmax(1), logits.argmax(1))


def test_temperature_without_a_mistake_stays_within_bounds():
    logits = torch.tensor([[1.0, 0.0]] * 5)
    low = fit_temperature(logits, torch.zeros(5, dtype=torch.int64))
    high = fit_temperature(logits, torch.ones(5, dtype=torch.int64))
    assert math.isclose(low, 0.05, rel_tol=0.01) and math.isclose(high, 20, rel_tol=0.01)


@pytest.mark.parametrize("labels", [torch.tensor([], dtype=torch.int64), torch.tensor([0, 1])])
def test_labels_that_do_not_fit(labels):
    with pytest.raises(ValueError, match="labels"):
        reliability(torch.zeros(len(labels) and 3, 2), labels)


def test_honest_error_is_the_mean_over_labels_that_fit():
    logits, _ = forecasts(60)
    generator = torch.Generator().manual_seed(3)
    labels = torch.multinomial(logits.double().softmax(1), 40, replacement=True, generator=generator)
    errors = [calibration_error(logits, drawn) for drawn in labels.T]
    assert error_if_calibrated(logits, draws=40, seed=3) == pytest.approx(sum(errors) / 40)
