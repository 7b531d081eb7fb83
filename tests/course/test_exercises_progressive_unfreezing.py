"""The checks of notebook 05: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

from dataclasses import replace

import pytest

from labutils import build_feature_extractor, partial_finetune
from labutils.analysis.agreement_with_original import Agreement
from labutils.course.exercises import progressive_unfreezing as check

NAMES = ["rate_of_a_group", "longer_last_stage", "on_the_way_back"]


@pytest.fixture(scope="module")
def plan():
    return partial_finetune(build_feature_extractor(), 6, how="progressively", epochs=15, base_lr=1e-2)


def with_epochs(plan, *epochs):
    return [replace(stage, epochs=count) for stage, count in zip(plan, epochs, strict=True)]


def test_right(plan, told):
    answers = (1e-2 / 27 / 81, with_epochs(plan, 3, 3, 3, 6), [1.0, 0.7, 0.3])
    for name, answer in zip(NAMES, answers, strict=True):
        getattr(check, name)(answer)
        assert told().startswith("Right. "), name
    check.on_the_way_back([Agreement(1.0, 0.0), Agreement(0.9, 0.1), Agreement(0.1, 3.0)])
    assert told().startswith("Right. ")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answer", [..., None])
def test_unanswered(name, answer, told):
    getattr(check, name)(answer)
    assert told().startswith("Not answered yet")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answer", ["?", -1, [], {}, object(), float("nan"), (1, "a")])
def test_nonsense_gets_the_general_hint(name, answer, told):
    getattr(check, name)(answer)
    assert told().startswith("Not yet. ")


@pytest.mark.parametrize(
    "answer, hint",
    [
        (1e-2 / 27, "rate of the head in this stage"),
        (1e-2 / 81, "at the rate of the first stage"),
        (1e-2 / 27 / 243, "too many"),
        (1e-2 / 27 / 27, "is missing"),
        (1e-2 * 3, "Higher than the head"),
        (1e-9, "Start at 0.01"),
    ],
)
def test_hints_about_a_rate(answer, hint, told):
    check.rate_of_a_group(answer)
    assert hint in told()


def test_hints_about_a_longer_stage(plan, told):
    wrong = {
        "as partial_finetune made it": plan,
        "4 stages belong to the plan": plan[:3],
        "another number of epochs than 15": with_epochs(plan, 4, 4, 4, 8),
        "not twice as long": with_epochs(plan, 2, 3, 4, 6),
        "The epochs are right": [
            replace(stage, epochs=count, base_lr=1e-3)
            for stage, count in zip(plan, (3, 3, 3, 6), strict=True)
        ],
        "Give a list of four stages": [3, 3, 3, 6],
    }
    for hint, answer in wrong.items():
        check.longer_last_stage(answer)
        assert hint in told(), hint


@pytest.mark.parametrize(
    "answer, hint",
    [
        ([1.0, 0.5], "Three values"),
        ([0.3, 0.7, 1.0], "other way round"),
        ([1.0, 1.0, 1.0], "Nothing was lost"),
        ([0.3, 0.2, 0.1], "At share 0 the network is the original"),
        ([0.0, 0.8, 3.5], "not the divergence"),
        ([1.0, 0.2, 0.5], "Give a list"),
    ],
)
def test_hints_about_the_way_back(answer, hint, told):
    check.on_the_way_back(answer)
    assert hint in told()
