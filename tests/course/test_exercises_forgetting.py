"""Exercises of notebook 08: the right answer, each misconception with its own hint, nonsense without a crash."""

import copy

import pandas as pd
import pytest
import torch
from forgetting_helpers import moved

from labutils.course.exercises import forgetting as check
from labutils.training.extra_loss import body


@pytest.mark.parametrize(
    "answer, hint",
    [
        ((-0.15, 0.2), "Right. Forgetting is the larger fall"),
        ([-0.15, 0.2], "Right."),
        (..., "Not answered yet"),
        ((0.15, 0.2), "a loss is negative"),
        ((-0.15, 0.15), "counts the fall from the diagonal twice"),
        ((-0.1, 0.2), "had no time to be forgotten"),
        (0.2, "Give two numbers as a pair"),
        ((1, 2), "Look at the columns"),
        ("ten", "Give two numbers as a pair"),
        (("a", "b"), "Look at the columns"),
    ],
)
def test_numbers_by_hand(answer, hint, told):
    check.numbers_by_hand(answer)
    assert hint in told()


@pytest.fixture
def table(monkeypatch):
    rows = [("fine-tuning", 0.90, 0.50), ("good", 0.88, 0.80), ("better", 0.86, 0.82), ("shy", 0.50, 0.90)]
    made_up = pd.DataFrame(
        {
            "method": name,
            "strength": 1.0,
            "seed": 0,
            "new_validation": new,
            "old_validation": old,
            "new_test": new,
            "old_test": old,
        }
        for name, new, old in rows
    )
    monkeypatch.setattr(check, "measured", lambda name: made_up)


@pytest.mark.parametrize(
    "answer, hint",
    [
        ("better", "Right. At 85% on the new task it keeps 82.0%"),
        (" Better ", "Right."),
        (None, "Not answered yet"),
        ("shy", "keeps most of all, but at that strength"),
        ("fine-tuning", "It learns most of all"),
        ("good", "Others that learn enough keep more"),
        ("prayer", "Answer with a name from the column method: fine-tuning, good"),
        (3, "Answer with a name"),
        ([1], "Answer with a name"),
    ],
)
def test_best_keeper(answer, hint, table, told):
    check.best_keeper(answer, 0.85)
    assert hint in told()


@pytest.fixture
def springs(tiny_net):
    before = tiny_net()
    after = moved(copy.deepcopy(before))
    importance = {
        name: torch.rand(p.shape, generator=torch.Generator().manual_seed(3))
        for name, p in body(before).items()
    }
    far = {name: (p - body(before)[name]).detach() for name, p in body(after).items()}
    return before, after, importance, far


def test_penalty(springs, told):
    before, after, importance, far = springs
    weighed = sum(float((importance[n] * d.square()).sum()) for n, d in far.items())
    alike = sum(float(d.square().sum()) for d in far.values())
    lengths = sum(float((importance[n] * d.abs()).sum()) for n, d in far.items())
    for answer, hint in (
        (0.5 * weighed, "Right. A spring on each weight"),
        (torch.tensor(0.5 * weighed), "Right."),
        (weighed, "The ½ is missing"),
        (alike, "which is L2-SP"),
        (0.5 * alike, "which is L2-SP"),
        (lengths, "The distance is squared"),
        (-1.0, "cannot be negative"),
        (1e9, "Go through the names"),
        ("much", "Go through the names"),
        (..., "Not answered yet"),
    ):
        check.penalty(answer, before, after, importance)
        assert hint in told(), answer


def test_penalty_is_what_ewc_adds(springs, tiny_domain, told):
    from forgetting_helpers import entered, thawed

    from labutils.forgetting import EWC, Anchor

    before, after, importance, _ = springs
    pull = EWC(Anchor({n: p.detach().clone() for n, p in body(before).items()}, importance), 1.0)
    entered(pull, thawed(after), tiny_domain)
    check.penalty(pull.loss(tiny_domain.train[:2], torch.zeros(2, 16)).item(), before, after, importance)
    assert "Right." in told()
