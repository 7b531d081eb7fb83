"""The checks of notebook 04: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import math

import numpy as np
import pytest
import torch

from labutils.course.exercises import discriminative_lr as check

NAMES = ("spreads_rates", "groups_parameters", "steps_to_half")


@pytest.mark.parametrize("right", [math.log(0.5) / math.log(1 - 1e-7), 6.93e6])
def test_right(right, printed):
    check.steps_to_half(right)
    assert printed().startswith("Right. ")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "answer, begins",
    [
        (..., "Not answered yet"),
        (None, "Not answered yet"),
        ("?", "Not yet. "),
        (-7, "Not yet. "),
        ([], "Not yet. "),
    ],
)
def test_unanswered_and_nonsense(name, answer, begins, printed):
    getattr(check, name)(answer)
    assert printed().startswith(begins)


@pytest.mark.parametrize(
    "wrong, hint",
    [
        (6931, "1 − η · λ"),
        (693, "rate alone"),
        (5e6, "smaller together"),
        (1e7, "37 %"),
        (78, "logarithms"),
    ],
)
def test_each_misconception_about_steps_has_its_hint(wrong, hint, printed):
    check.steps_to_half(wrong)
    said = printed()
    assert said.startswith("Not yet. ") and hint in said


def spread(of):
    return lambda names, stem, head: dict(zip(names, of(len(names), stem, head), strict=True))


@pytest.mark.parametrize(
    "answer, words",
    [
        (spread(lambda n, stem, head: np.geomspace(stem, head, n)), "Right. From the first to the last"),
        (spread(lambda n, stem, head: [stem * (head / stem) ** (k / (n - 1)) for k in range(n)]), "Right. "),
        (lambda names, stem, head: ..., "Not answered yet"),
        (spread(lambda n, stem, head: np.geomspace(head, stem, n)), "the wrong way round"),
        (spread(lambda n, stem, head: np.linspace(stem, head, n)), "evenly spaced"),
        (
            spread(lambda n, stem, head: stem * (head / stem) ** (np.arange(n) / n)),
            "Counted from the stem up",
        ),
        (
            spread(lambda n, stem, head: head * (stem / head) ** (np.arange(n)[::-1] / n)),
            "Counted from the head down",
        ),
        (spread(lambda n, stem, head: head / 100 ** (np.arange(n)[::-1] / 5)), "With 3 groups the rates are"),
        (lambda names, stem, head: {"head": head}, "a rate for each of group0"),
        (
            lambda names, stem, head: np.geomspace(stem, head, len(names)),
            "Asked is a dictionary",
        ),
    ],
)
def test_spreads_rates(answer, words, printed):
    check.spreads_rates(answer)
    assert words in printed()


def optimizer(chosen=lambda name, p: True, rate=lambda rates, name: rates[name], decays=lambda p: p.ndim > 1):
    def answer(net, rates, amount):
        groups = []
        for name, group in net.named_children():
            for decay in (True, False):
                kept = [p for p in group.parameters() if decays(p) == decay and chosen(name, p)]
                if kept:
                    own = amount if decay else 0.0
                    groups.append({"params": kept, "lr": rate(rates, name), "weight_decay": own})
        return torch.optim.AdamW(groups)

    return answer


@pytest.mark.parametrize(
    "answer, words",
    [
        (optimizer(), "Right. Every weight is in it once"),
        (lambda net, rates, amount: ..., "Not answered yet"),
        (
            optimizer(rate=lambda rates, name: list(rates.values())[::-1][list(rates).index(name)]),
            "reversed order",
        ),
        (optimizer(rate=lambda rates, name: 1e-3), "stem should learn at 3e-06, not at 0.001"),
        (optimizer(lambda name, p: name != "head"), "The head was left out"),
        (optimizer(lambda name, p: p.requires_grad), "The stem is frozen now and was left out"),
        (optimizer(lambda name, p: name != "layer2"), "3 weights of layer2 are in no parameter group"),
        (optimizer(decays=lambda p: True), "Norms and biases decay, too, for instance stem.1.weight"),
        (optimizer(decays=lambda p: False), "should have the weight decay 0.05"),
        (lambda net, rates, amount: rates, "Asked is the optimizer itself"),
        (
            lambda net, rates, amount: torch.optim.AdamW(net.parameters(), 1e-3, weight_decay=amount),
            "stem should learn at",
        ),
    ],
)
def test_groups_parameters(answer, words, printed):
    check.groups_parameters(answer)
    assert words in printed()
