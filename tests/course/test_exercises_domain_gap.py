"""The checks of notebook 07: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from labutils.course.exercises import domain_gap as check

FEATURES, PARTIAL = "feature extraction", "partial fine-tuning"
FULL, SCRATCH = "full, discriminative rates", "from scratch"
NAMES = ("worth_of_a_label", "measures_a_lead", "seeds_for_a_clear_lead")


@pytest.fixture(autouse=True)
def made_up_table(monkeypatch):
    """Accuracies that can be checked by hand, in place of the measured ones."""
    digits = {
        50: {SCRATCH: 0.3, FEATURES: 0.5},
        250: {SCRATCH: 0.6, FEATURES: 0.7, FULL: 0.8},
        1000: {SCRATCH: 0.8, FEATURES: 0.9},
    }
    rows = [  # the same with every seed: all leads are clear
        ("digits", strategy, labels, seed, accuracy)
        for labels, reached in digits.items()
        for strategy, accuracy in reached.items()
        for seed in range(3)
    ]
    # Paired differences 0.02, 0.03, 0.04; apart, the seeds differ by more.
    for seed, base in enumerate((0.70, 0.75, 0.80)):
        rows += [
            ("solar", FEATURES, 200, seed, base),
            ("solar", PARTIAL, 200, seed, base + 0.005 + 0.015 * seed),
        ]
    columns = ["domain", "strategy", "labels", "seed", "test_accuracy"]
    monkeypatch.setattr(check, "measured", lambda name: pd.DataFrame(rows, columns=columns))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "answer, begins",
    [
        (..., "Not answered yet"),
        (None, "Not answered yet"),
        *[(nonsense, "Not yet. ") for nonsense in ("?", [], {}, float("nan"), np.zeros((3, 4)))],
    ],
)
def test_open_and_nonsense(name, answer, begins, printed):
    getattr(check, name)(answer)
    assert printed().startswith(begins)


@pytest.mark.parametrize(
    "answer, part",
    [
        (1000 / 250, "Right. From scratch 1,000"),
        (1000, "What is each of them worth"),
        (750, "divide the labels from scratch"),
        (750 / 250, "it is one more"),
        (250 / 1000, "other way round"),
        (2, "feature extraction; the question"),
        (17, "scratch_labels of this row"),
    ],
)
def test_worth_of_a_label(answer, part, printed):
    check.worth_of_a_label(answer)
    assert part in printed()


def lead(paired=True, factor=lambda n: t.ppf(0.975, n - 1), ddof=1, over=np.sqrt, sign=1, order=(0, 1, 2)):
    """Mean and interval as the exercise asks for, or with one of the usual faults."""

    def answer(ours, theirs):
        n, differences = len(ours), sign * (ours - theirs)
        spread = differences.std(ddof=ddof) if paired else np.sqrt(ours.var(ddof=1) + theirs.var(ddof=1))
        mean, half = differences.mean(), factor(n) * spread / over(n)
        found = mean, mean - half, mean + half
        return [found[place] for place in order]

    return answer


@pytest.mark.parametrize(
    "answer, part",
    [
        (lead(), "Right. The difference is taken within each seed"),
        (lambda ours, theirs: ..., "Not answered yet"),
        (lead(paired=False), "take the differences first"),
        (lead(factor=lambda n: 1.96), "1.96 is for many seeds"),
        (lead(factor=lambda n: t.ppf(0.975, n)), "t is taken with n - 1"),
        (lead(factor=lambda n: t.ppf(0.95, n - 1)), "2.5 % on either side"),
        (lead(factor=lambda n: 1), "one standard error"),
        (lead(factor=lambda n: 7), "Half the width of the interval is"),
        (lead(ddof=0), "std(ddof=1) in NumPy"),
        (lead(over=lambda n: 1), "the spread of single seeds"),
        (lead(sign=-1), "wrong sign"),
        (lead(order=(1, 0, 2)), "The mean lead of these 5 seeds"),
        (lead(order=(0, 0, 2)), "as far up from the mean as down"),
        (lambda ours, theirs: 0.02, "cannot be used as asked"),
    ],
)
def test_measures_a_lead(answer, part, printed):
    check.measures_a_lead(answer)
    assert part in printed()


@pytest.mark.parametrize(
    "answer, part",
    [
        (5, "Right. "),
        (3, "1.96 in place of t"),
        (11, "compute it anew"),
        (68, "without pairs"),
        (4, "One too few"),
        (100, "fewer would"),
        (-3, "A whole number"),
        (5.5, "fewer would"),
    ],
)
def test_seeds_for_a_clear_lead(answer, part, printed):
    check.seeds_for_a_clear_lead(answer)
    assert part in printed()


def test_scratch_that_never_gets_there_is_said(monkeypatch, printed):
    accuracies = {SCRATCH: (0.3, 0.6), FEATURES: (0.5, 0.7), FULL: (0.6, 0.9)}
    rows = [
        {"domain": "digits", "strategy": name, "labels": labels, "seed": 0, "test_accuracy": accuracy}
        for name, reached in accuracies.items()
        for labels, accuracy in zip((50, 250), reached, strict=True)
    ]
    monkeypatch.setattr(check, "measured", lambda name: pd.DataFrame(rows))
    check.worth_of_a_label(250 / 250)
    assert "From scratch 250 labels do not even what 250 do" in printed()
