"""The checks of notebook 09: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import numpy as np
import pandas as pd
import pytest

from labutils import Settings, build_feature_extractor
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
def test_open_and_nonsense(answer, begins, told):
    check.bytes_of_training(answer)
    assert told().startswith(begins)
    check.settings_for_a_large_batch(answer)
    assert told().startswith(begins)
    check.batch_that_fits(answer, COSTS)
    assert told().startswith(begins)


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
def test_bytes(answer, part, told):
    check.bytes_of_training(answer)
    assert part in told()


@pytest.mark.parametrize(
    "batch_size, accumulate, part",
    [
        (256, 8, "Right. "),
        (32, 8, "of the whole step"),
        (256, 32, "not their size"),
        (256, 4, "how many parts"),
        (64, 2, "A step of 256"),
    ],
)
def test_large_batch(batch_size, accumulate, part, told):
    check.settings_for_a_large_batch(Settings(batch_size=batch_size, accumulate=accumulate))
    assert part in told()


def test_what_fits(told):
    right = largest_batch(COSTS, 2, 8000)
    others = {largest_batch(COSTS, 3, 8000): "all groups", largest_batch(COSTS, 1, 8000): "head alone"}
    for answer, part in {right: "Right. ", right + 1: "One too many", 3: "gives it", **others}.items():
        check.batch_that_fits(answer, COSTS)
        assert part in told(), answer
