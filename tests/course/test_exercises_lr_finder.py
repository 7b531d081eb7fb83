"""The checks of notebook 06: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import numpy as np
import pandas as pd
import pytest

from labutils import RangeTest
from labutils.course.exercises import lr_finder as check
from labutils.training.range_test import HELD_OUT

NAMES = ("factor_of_a_step", "rate_for_textures", "better_rate")
CURVE = pd.DataFrame({"rate": np.geomspace(1e-6, 1, 20), "loss": 2.0, "smoothed": 2.0})
TEXTURES = RangeTest(
    CURVE, {HELD_OUT: 1e-3, "steepest": 4e-4, "valley": 3e-4, "minimum/10": 2e-2}, None, "made up"
)
DIGITS = RangeTest(CURVE, {HELD_OUT: 5e-3, "valley": 1.2e-3}, None, "made up")


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    """What the checks compute by training stands still here: 1.2e-3 gives 75 %, 1e-2 82 %, both ends are bad."""
    monkeypatch.setattr(check, "_textures", lambda: TEXTURES)
    monkeypatch.setattr(check, "_digits_test", lambda: DIGITS)
    monkeypatch.setattr(check, "_digits", lambda: (1.2e-3, 0.75))
    monkeypatch.setattr(
        check, "_accuracy", lambda rate: 0.5 if rate < 1e-3 or rate > 1 else 0.82 if rate > 5e-3 else 0.76
    )


@pytest.mark.parametrize(
    "name, right",
    [
        ("factor_of_a_step", 10**0.5),
        ("factor_of_a_step", 3.16),
        ("rate_for_textures", 1e-3),
        ("better_rate", 1e-2),
    ],
)
def test_right(name, right, told):
    getattr(check, name)(right)
    assert told().startswith("Right. ")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "answer, begins",
    [
        (..., "Not answered yet"),
        (None, "Not answered yet"),
        ("?", "Not yet. "),
        (-7, "Not yet. "),
        ([], "Not yet. "),
    ],
)
def test_unanswered_and_nonsense(name, answer, begins, told):
    getattr(check, name)(answer)
    assert told().startswith(begins)


@pytest.mark.parametrize(
    "name, wrong, hint",
    [
        ("factor_of_a_step", 1e7 ** (1 / 15), "only fourteen steps"),
        ("factor_of_a_step", 1e7, "first rate to the last one"),
        ("factor_of_a_step", 1e7 / 14, "take a root"),
        ("factor_of_a_step", 1e7 / 15, "take a root"),
        ("factor_of_a_step", 10 / 14, "spaced evenly"),
        ("factor_of_a_step", 10**-0.5, "the rate rises"),
        ("factor_of_a_step", 2.0, "must give 10⁷"),
        ("rate_for_textures", 4e-4, "falls fastest"),
        ("rate_for_textures", 3e-4, "middle of the fall"),
        ("rate_for_textures", 2e-2, "lowest loss"),
        ("rate_for_textures", 5e-3, "for the digits"),
        ("rate_for_textures", TEXTURES, "whole test"),
        ("rate_for_textures", 1.0, "default settings"),
        ("better_rate", 1e-4, "Go up"),
        ("better_rate", 10.0, "too high"),
        ("better_rate", 2e-3, "three times as much"),
        ("better_rate", 0, "a number above 0"),
    ],
)
def test_each_misconception_has_its_hint(name, wrong, hint, told):
    getattr(check, name)(wrong)
    said = told()
    assert said.startswith("Not yet. ") and hint in said


@pytest.mark.slow
def test_the_truth_is_trained(monkeypatch, own_data_folder):
    monkeypatch.undo()
    monkeypatch.setenv("LAB_DATA", str(own_data_folder))
    rate, accuracy = check._digits.__wrapped__()
    assert 1e-4 < rate < 1e-2 and accuracy > 0.6
    assert 1e-4 < check._textures.__wrapped__().suggestion < 1e-2
