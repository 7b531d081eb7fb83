"""The checks of notebook 05: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

from dataclasses import replace

import pytest
import torch

from labutils import build_feature_extractor, partial_finetune
from labutils.analysis.agreement_with_original import Agreement
from labutils.course.exercises import progressive_unfreezing as check

NAMES = ["enters_a_stage", "longer_last_stage", "on_the_way_back"]


@pytest.fixture(scope="module")
def plan():
    return partial_finetune(build_feature_extractor(), 6, how="progressively", epochs=15, base_lr=1e-2)


def with_epochs(plan, *epochs):
    return [replace(stage, epochs=count) for stage, count in zip(plan, epochs, strict=True)]


def test_right(plan, printed):
    answers = (enter(), with_epochs(plan, 3, 3, 3, 6), [1.0, 0.7, 0.3])
    for name, answer in zip(NAMES, answers, strict=True):
        getattr(check, name)(answer)
        assert printed().startswith("Right. "), name
    check.on_the_way_back([Agreement(1.0, 0.0), Agreement(0.9, 0.1), Agreement(0.1, 3.0)])
    assert printed().startswith("Right. ")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answer", [..., None])
def test_unanswered(name, answer, printed):
    getattr(check, name)(answer)
    assert printed().startswith("Not answered yet")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answer", ["?", -1, [], {}, object(), float("nan"), (1, "a")])
def test_nonsense_gets_the_general_hint(name, answer, printed):
    getattr(check, name)(answer)
    assert printed().startswith("Not yet. ")


def enter(trained_only=True, rate=lambda lr, factor: lr * factor, clear=True, also=()):
    """As the exercise asks for, or with one of the usual faults."""

    def answer(net, optimizer, trained, factor):
        for name, group in net.named_children():
            learns = name in trained and name not in also
            if learns or trained_only:
                group.requires_grad_(learns)
            if not learns and clear:
                group.zero_grad()
        for group in optimizer.param_groups:
            group["lr"] = rate(group["lr"], factor)

    return answer


def new_optimizer(net, optimizer, trained, factor):
    before = [group["lr"] for group in optimizer.param_groups]
    enter()(net, optimizer, trained, factor)
    for group, rate in zip(optimizer.param_groups, before, strict=True):
        group["lr"] = rate
    optimizer = torch.optim.AdamW(net.parameters(), lr=before[0] * factor)


def adds_a_group(net, optimizer, trained, factor):
    enter()(net, optimizer, trained, factor)
    optimizer.add_param_group({"params": [torch.nn.Parameter(torch.zeros(1))]})


def zeros_instead_of_none(net, optimizer, trained, factor):
    enter(clear=False)(net, optimizer, trained, factor)
    optimizer.zero_grad(set_to_none=False)


@pytest.mark.parametrize(
    "answer, words",
    [
        (enter(), "Right. The optimizer goes on"),
        (lambda net, optimizer, trained, factor: ..., "Not answered yet"),
        (new_optimizer, "Was a new optimizer made?"),
        (adds_a_group, "nothing is to be added"),
        (enter(rate=lambda lr, factor: 1e-3), "All groups have one rate now"),
        (enter(rate=lambda lr, factor: lr / factor), "The rates rise"),
        (enter(rate=lambda lr, factor: lr - 5e-4), "In stage 1 the rates should be"),
        (enter(trained_only=False), "asks for a gradient"),
        (enter(also=("head",)), "The head must always learn"),
        (enter(clear=False), "the gradients of the stage before are still there"),
        (zeros_instead_of_none, "Set them to None"),
    ],
)
def test_enters_a_stage(answer, words, printed):
    check.enters_a_stage(answer)
    assert words in printed()


def test_hints_about_a_longer_stage(plan, printed):
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
        assert hint in printed(), hint


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
def test_hints_about_the_way_back(answer, hint, printed):
    check.on_the_way_back(answer)
    assert hint in printed()
