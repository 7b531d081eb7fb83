"""The checks of notebook 09: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import numpy as np
import pandas as pd
import pytest
from torch.nn.functional import cross_entropy

from labutils import build_feature_extractor
from labutils.analysis.training_memory import largest_batch
from labutils.course.exercises import efficiency as check

COSTS = pd.DataFrame(
    {
        "group": ["stem", "layer1", "head"],
        "weights": [10.0, 20.0, 4.0],
        "trainable": [8.0, 16.0, 4.0],
        "largest": [8.0, 16.0, 4.0],
        **{f"{name}_fixed": 0.0 for name in ("kept", "input", "forward", "step")},
        **{"kept_each": [50.0, 20.0, 1.0], "input_each": [1.0, 9.0, 3.0]},
        **{"forward_each": [20.0, 10.0, 2.0], "step_each": [90.0, 40.0, 3.0]},
    }
)
EACH = 23_512_130 * 4 / 1e6


def test_the_number_of_parameters_is_that_of_the_network():
    net = build_feature_extractor("resnet50", 2, pretrained=False)
    assert sum(p.numel() for p in net.parameters()) == check.PARAMETERS


@pytest.mark.parametrize(
    "answer, begins",
    [
        (..., "Not answered yet"),
        (None, "Not answered yet"),
        *[
            (nonsense, "Not yet. ")
            for nonsense in ("?", [], {}, float("nan"), np.zeros((3, 4)), -7, object())
        ],
    ],
)
def test_open_and_nonsense(answer, begins, printed):
    check.bytes_of_training(answer)
    assert printed().startswith(begins)
    check.accumulates(answer)
    assert printed().startswith(begins)
    check.batch_that_fits(answer, COSTS)
    assert printed().startswith(begins)


@pytest.mark.parametrize(
    "answer, part",
    [
        (4 * EACH, "Right. Sixteen bytes"),
        (EACH, "the weights alone"),
        (2 * EACH, "AdamW keeps something"),
        (3 * EACH, "two running means"),
        (4e6 * EACH, "divide by a million"),
        (100, "Count the numbers"),
    ],
)
def test_bytes(answer, part, printed):
    check.bytes_of_training(answer)
    assert part in printed()


def step(weigh=lambda part, whole: len(part) / len(whole), clear="before", steps="at the end", size=None):
    """One step in parts, or with one of the usual faults."""

    def answer(net, optimizer, pictures, labels, at_most):
        if clear == "before":
            optimizer.zero_grad()
        for x, y in zip(pictures.split(size or at_most), labels.split(size or at_most), strict=True):
            if clear == "for each part":
                optimizer.zero_grad()
            (cross_entropy(net(x), y) * weigh(y, labels)).backward()
            if steps == "for each part":
                optimizer.step()
        if steps == "at the end":
            optimizer.step()

    return answer


@pytest.mark.parametrize(
    "answer, part",
    [
        (step(), "Right. Each part weighs"),
        (step(size=5), "Right. Each part weighs"),
        (lambda *all: ..., "Not answered yet"),
        (step(size=22), "22 pictures went through at once where only 8 fit"),
        (step(weigh=lambda part, whole: 1 / 3), "a mean of their means"),
        (step(weigh=lambda part, whole: 1), "as many times too long"),
        (step(clear="never"), "gradients of an earlier step"),
        (step(clear="for each part"), "Only the last part"),
        (step(clear="for each part", steps="for each part"), "A step was taken after each part"),
        (
            step(clear="for each part", steps="for each part", weigh=lambda part, whole: 1),
            "A step was taken after each part",
        ),
        (step(steps="never"), "No step was taken"),
        (step(weigh=lambda part, whole: 5), "are not those of one step"),
        (lambda net, optimizer, pictures, labels: None, "The function stops with TypeError"),
    ],
)
def test_accumulates(answer, part, printed):
    check.accumulates(answer)
    assert part in printed()


def test_what_fits(printed):
    right = largest_batch(COSTS, 2, 8000)
    others = {largest_batch(COSTS, 3, 8000): "all groups", largest_batch(COSTS, 1, 8000): "head alone"}
    for answer, part in {right: "Right. ", right + 1: "One too many", 3: "gives it", **others}.items():
        check.batch_that_fits(answer, COSTS)
        assert part in printed(), answer
