"""The checks of notebook 04: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import math

import pytest
import torch

from labutils import build_feature_extractor, discriminative_lr_optimizer
from labutils.course.exercises import discriminative_lr as check

FALLING = [1e-3 / 3**k for k in range(6)]
NAMES = ("decay_for_the_stem", "stem_first", "steps_to_half")


@pytest.fixture(scope="module")
def model():
    return build_feature_extractor()


@pytest.mark.parametrize(
    "name, right",
    [
        ("decay_for_the_stem", 100 ** (1 / 5)),
        ("decay_for_the_stem", 2.51),
        ("steps_to_half", math.log(0.5) / math.log(1 - 1e-7)),
        ("steps_to_half", 6.93e6),
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
        ("decay_for_the_stem", 100 ** (1 / 6), "only five steps"),
        ("decay_for_the_stem", 100, "in all"),
        ("decay_for_the_stem", 20, "take a root"),
        ("decay_for_the_stem", 100 / 6, "number of groups"),
        ("decay_for_the_stem", 0.01 ** (1 / 5), "layer_decay"),
        ("decay_for_the_stem", 3, "once for each step"),
        ("steps_to_half", 6931, "1 − η · λ"),
        ("steps_to_half", 693, "rate alone"),
        ("steps_to_half", 5e6, "smaller together"),
        ("steps_to_half", 1e7, "37 %"),
        ("steps_to_half", 78, "logarithms"),
    ],
)
def test_each_misconception_has_its_hint(name, wrong, hint, told):
    getattr(check, name)(wrong)
    said = told()
    assert said.startswith("Not yet. ") and hint in said


@pytest.mark.parametrize(
    "rates, hint",
    [
        ([*FALLING[:5], 1e-3], "Right. "),
        (FALLING, "slowest of all"),
        ([1e-3, *FALLING[4::-1]], "wrong way round"),
        (FALLING[::-1], "usual order"),
        ([1e-3] * 6, "Compare"),
    ],
)
def test_the_stem_learns_fast(model, rates, hint, told):
    check.stem_first(discriminative_lr_optimizer(model, rates))
    assert hint in told()


def test_rates_by_decay_and_plain_optimizers_are_told_apart(model, told):
    check.stem_first(discriminative_lr_optimizer(model, 1e-3, 3.0))
    assert "usual order" in told()
    check.stem_first(torch.optim.AdamW(model.parameters(), 1e-3))
    assert "no names" in told()
    check.stem_first([*FALLING[:5], 1e-3])
    assert "Give the optimizer" in told()
