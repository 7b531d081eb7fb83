"""The checks of notebook 10: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import math

import numpy as np
import pytest
import torch

from labutils.course.exercises import capstone as check
from labutils.training.evaluation import Evaluation

RESULT = Evaluation(0.4, 0.8, torch.zeros(400, 2), torch.zeros(400, dtype=torch.int64))
SPREAD = math.sqrt(0.8 * 0.2)
RIGHT = 1.96 * SPREAD / 20


@pytest.mark.parametrize(
    "answer, begins",
    [
        (..., "Not answered yet"),
        (None, "Not answered yet"),
        *[(nonsense, "Not yet. ") for nonsense in ("?", [], {}, float("nan"), np.zeros((3, 4)), -7, 10**12)],
    ],
)
def test_open_and_nonsense(answer, begins, printed):
    check.width_of_the_interval(answer, RESULT)
    assert printed().startswith(begins)
    check.decides_by_cost(answer)
    assert printed().startswith(begins)
    check.chooses_a_recipe(answer)
    assert printed().startswith(begins)


@pytest.mark.parametrize(
    "answer, part",
    [
        (lambda p, costs: (p @ costs).argmin(1), "Right. The expected cost of each class"),
        (lambda p, costs: (p[:, :, None] * costs).sum(1).argmin(1).tolist(), "Right."),
        (lambda p, costs: ..., "Not answered yet"),
        (lambda p, costs: p.argmax(1), "the costs play no part"),
        (lambda p, costs: (p @ costs.T).argmin(1), "Rows and columns are swapped"),
        (lambda p, costs: (p @ costs).argmax(1), "the highest expected cost"),
        (lambda p, costs: p[:, 1] > costs[0, 1] / costs[1, 0], "in vain only"),
        (lambda p, costs: p[:, 1] > 0.2, "With 3 classes"),
        (lambda p, costs: p @ costs, "the shape (48, 2)"),
        (lambda p, costs: "alarm", "cannot be used as asked"),
    ],
)
def test_decides_by_cost(answer, part, printed):
    check.decides_by_cost(answer)
    assert part in printed()


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
def test_width_of_the_interval(answer, part, printed):
    check.width_of_the_interval(answer, RESULT)
    assert part in printed()


def chosen(by="validation_accuracy", how="mean", report="test_accuracy", of="mean"):
    def choose(runs):
        name = runs.groupby("recipe")[by].agg(how).idxmax()
        return name, runs.loc[runs["recipe"] == name, report].agg(of)

    return choose


@pytest.mark.parametrize(
    "answer, part",
    [
        (chosen(), "Right. The choice is made on validation"),
        (lambda runs: ..., "Not answered yet"),
        (chosen(by="test_accuracy"), "It chose by the test pictures"),
        (chosen(how="max"), "the best single run"),
        (chosen(how="std"), "the best single run"),
        (chosen(report="validation_accuracy"), "the winner looks better than it is"),
        (chosen(of="max"), "the best of its seeds"),
        (chosen(of="min"), "0.80, not 0.79"),
        (lambda runs: ("plain", 0.8), "It chose 'plain'"),
        (lambda runs: 0.8, "cannot be used as asked"),
    ],
)
def test_chooses_a_recipe(answer, part, printed):
    check.chooses_a_recipe(answer)
    assert part in printed()
