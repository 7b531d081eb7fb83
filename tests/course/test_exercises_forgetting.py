"""Exercises of notebook 08: the right answer, each misconception with its own hint, nonsense without a crash."""

import numpy as np
import pandas as pd
import pytest
import torch

from labutils.course.exercises import forgetting as check
from labutils.forgetting import EWC, Anchor, forgetting


def fall(best=lambda R, j: R[j:, j].max(), sign=1, over=lambda falls: np.mean(falls[:-1])):
    return lambda R: over([sign * (best(R, j) - R[-1, j]) for j in range(len(R))])


@pytest.mark.parametrize(
    "answer, hint",
    [
        (forgetting, "Right. Each earlier task falls"),
        (fall(), "Right."),
        (..., "Not answered yet"),
        (lambda R: ..., "Not answered yet"),
        (fall(sign=-1), "counts a loss as positive"),
        (fall(best=lambda R, j: R[j, j]), "the fall from the diagonal"),
        (fall(best=lambda R, j: R[j, j], sign=-1), "That is backward transfer"),
        (fall(over=np.mean), "averages over all tasks"),
        (fall(over=np.sum), "That is a sum"),
        (fall(best=lambda R, j: R[:, j].max()), "when a probe stood in"),
        (fall(best=lambda R, j: 0.99), "For one matrix of 3 tasks it gives"),
        (lambda R: R, "cannot be used as asked"),
        ("ten", "Give the function itself"),
    ],
)
def test_measures_forgetting(answer, hint, printed):
    check.measures_forgetting(answer)
    assert hint in printed()


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
def test_best_keeper(answer, hint, table, printed):
    check.best_keeper(answer, 0.85)
    assert hint in printed()


def pull(
    half=0.5, power=2, weighed=True, head=False, from_zero=False, with_strength=True, give=lambda term: term
):
    """What EWC adds, or that with one of the usual faults."""

    def answer(net, start, importance, strength):
        term = 0
        for name, weight in net.named_parameters():
            if head or not name.startswith("head"):
                moved = (weight if from_zero else weight - start[name]).abs() ** power
                term = term + (moved * importance[name] if weighed else moved).sum()
        return give(half * (strength if with_strength else 1) * term)

    return answer


@pytest.mark.parametrize(
    "answer, hint",
    [
        (pull(), "Right. A spring on each shared weight"),
        (..., "Not answered yet"),
        (lambda *all: ..., "Not answered yet"),
        (pull(half=1), "The ½ is missing"),
        (pull(head=True), "The head is pulled, too"),
        (pull(weighed=False), "which is L2-SP"),
        (pull(weighed=False, half=1), "which is L2-SP"),
        (pull(from_zero=True), "which is weight decay"),
        (pull(power=1), "The distance is squared"),
        (pull(with_strength=False), "The strength is not in it"),
        (pull(half=-0.5), "must be positive"),
        (pull(half=7), "It gives"),
        (pull(give=lambda term: term.item()), "no gradient comes from it"),
        (pull(give=lambda term: term.detach()), "no gradient comes from it"),
        (lambda net, start, importance, strength: "much", "cannot be used as asked"),
    ],
)
def test_pulls_back(answer, hint, printed):
    check.pulls_back(answer)
    assert hint in printed()


def test_the_pull_is_what_ewc_adds(printed):
    def with_the_lab(net, start, importance, strength):
        shared = {n: w for n, w in start.items() if not n.startswith("head")}
        ewc = EWC(Anchor(shared, {n: importance[n] for n in shared}), strength)
        ewc._terms = [(w, start[n], importance[n]) for n, w in net.named_parameters() if n in shared]
        ewc._zero = torch.zeros(())
        return ewc.loss(torch.zeros(2), torch.zeros(2, 16))

    check.pulls_back(with_the_lab)
    assert "Right." in printed()
