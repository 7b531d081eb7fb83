"""The checks of notebook 10: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import math

import numpy as np
import pandas as pd
import pytest
import torch

from labutils.course.exercises import capstone as check
from labutils.experiments.learning_curve import fit_power_law
from labutils.training.evaluation import Evaluation

RESULT = Evaluation(0.4, 0.8, torch.zeros(400, 2), torch.zeros(400, dtype=torch.int64))
SPREAD = math.sqrt(0.8 * 0.2)
RIGHT = 1.96 * SPREAD / 20


@pytest.fixture(scope="module")
def law():
    """Error = 0.9 · labels ^ -0.25, with a little noise; 10 % at 6561 labels."""
    generator = np.random.default_rng(0)
    rows = [
        (n, seed, 1 - 0.9 * n**-0.25 * math.exp(0.03 * generator.standard_normal()))
        for seed in range(3)
        for n in (50, 100, 200, 400)
    ]
    return fit_power_law(pd.DataFrame(rows, columns=["labels", "seed", "test_accuracy"]))


@pytest.mark.parametrize(
    "answer, begins",
    [
        (..., "Not answered yet"),
        (None, "Not answered yet"),
        *[(nonsense, "Not yet. ") for nonsense in ("?", [], {}, float("nan"), np.zeros((3, 4)), -7, 10**12)],
    ],
)
def test_open_and_nonsense(answer, begins, law, told):
    check.alarm_from(answer)
    assert told().startswith(begins)
    check.width_of_the_interval(answer, RESULT)
    assert told().startswith(begins)
    check.labels_for_the_goal(answer, law)
    assert told().startswith(begins)


@pytest.mark.parametrize(
    "answer, part",
    [
        (0.2, "Right. At p = 1/5"),
        (0.5, "cost the same"),
        (0.25, "An alarm is in vain only"),
        (0.8, "other way round"),
        (20, "between 0 and 1"),
        (0.4, "Write down"),
    ],
)
def test_alarm_from(answer, part, told):
    check.alarm_from(answer)
    assert part in told()


@pytest.mark.parametrize(
    "answer, part",
    [
        (RIGHT, "Right. 400 pictures"),
        (2 * SPREAD / 20, "Right. 400 pictures"),  # 2 for 1.96
        (100 * RIGHT, "as a share"),
        (SPREAD / 20, "one standard error"),
        (2 * RIGHT, "the whole width"),
        (SPREAD, "of a single picture"),
        (1.96 * SPREAD, "of a single picture"),
        (1.96 * SPREAD / 400, "not by the number"),
        (0.5, "With share p"),
    ],
)
def test_width_of_the_interval(answer, part, told):
    check.width_of_the_interval(answer, RESULT)
    assert part in told()


def test_labels_for_the_goal(law, told):
    right, low, high = law.needed(0.1)
    now, per_label = law.error([500])["error"].iloc[0], law.gain(500)[0]
    for answer, part in [
        (right, "Right. About "),
        (round(right), "Right. About "),
        (500 + (now - 0.1) / per_label, "less and less"),
        ((now - 0.1) / per_label, "less and less"),
        (law.needed(0.9)[0], "an error of 0.1"),
        (low, "an end of the interval"),
        (high, "an end of the interval"),
        (right - 500, "beyond the 500"),
        (17, "law.needed(error)"),
    ]:
        check.labels_for_the_goal(answer, law)
        assert part in told(), answer


@pytest.mark.parametrize(
    "labels, words",
    [(6561.2, "6,600"), (48, "48"), (math.inf, "more than a billion"), (3e9, "more than a billion")],
)
def test_no_more_digits_than_can_be_believed(labels, words):
    assert check._rounded(labels) == words
