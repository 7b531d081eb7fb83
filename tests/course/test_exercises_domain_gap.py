"""The checks of notebook 07: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import numpy as np
import pandas as pd
import pytest

from labutils import build_feature_extractor, load
from labutils.analysis.domain_distance import distance_from_pretraining
from labutils.course.exercises import domain_gap as check

FEATURES, PARTIAL = "feature extraction", "partial fine-tuning"
FULL, SCRATCH = "full, discriminative rates", "from scratch"
NAMES = ("worth_of_a_label", "negative_digits", "seeds_for_a_clear_lead")


@pytest.fixture(autouse=True)
def made_up_table(monkeypatch):
    """Accuracies that can be checked by hand, in place of the measured ones."""
    rows = [
        ("digits", SCRATCH, labels, 0, accuracy) for labels, accuracy in ((50, 0.3), (250, 0.6), (1000, 0.8))
    ]
    rows += [("digits", FULL, 250, 0, 0.8), ("digits", FEATURES, 250, 0, 0.7)]
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
def test_open_and_nonsense(name, answer, begins, told):
    getattr(check, name)(answer)
    assert told().startswith(begins)


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
def test_worth_of_a_label(answer, part, told):
    check.worth_of_a_label(answer)
    assert part in told()


@pytest.mark.slow
def test_negative_digits(told):
    digits = load("digits", image_size=64)
    images = digits.images[digits.labelled(200, seed=0).train]
    before, after = (
        distance_from_pretraining(build_feature_extractor(), some)["distance"]
        for some in (images, 255 - images)
    )
    for answer, part in [
        (after.mean(), "Right. They are further now"),
        (before.mean(), "white on black"),
        (before.mean() - after.mean(), "That is the difference"),
        (after.sum(), "the sum over the groups"),
        (after, "Give one number"),
        (17, "stays uint8"),
    ]:
        check.negative_digits(answer)
        assert part in told()


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
def test_seeds_for_a_clear_lead(answer, part, told):
    check.seeds_for_a_clear_lead(answer)
    assert part in told()
