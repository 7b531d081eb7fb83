"""The checks of notebook 06: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import copy
import math
from itertools import cycle

import numpy as np
import pytest
import torch
from torch.nn.functional import cross_entropy

from labutils.course.exercises import lr_finder as check


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    """What the check computes by training stands still here: 1.2e-3 gives 75 %, 1e-2 82 %, both ends are bad."""
    monkeypatch.setattr(check, "_digits", lambda: (1.2e-3, 0.75))
    monkeypatch.setattr(
        check, "_accuracy", lambda rate: 0.5 if rate < 1e-3 or rate > 1 else 0.82 if rate > 5e-3 else 0.76
    )


def test_better_rate_right(printed):
    check.better_rate(1e-2)
    assert printed().startswith("Right. ")


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
def test_better_rate_unanswered_and_nonsense(answer, begins, printed):
    check.better_rate(answer)
    assert printed().startswith(begins)


@pytest.mark.parametrize(
    "wrong, hint",
    [
        (1e-4, "Go up"),
        (10.0, "too high"),
        (2e-3, "three times as much"),
        (0, "a number above 0"),
    ],
)
def test_each_misconception_about_a_rate_has_its_hint(wrong, hint, printed):
    check.better_rate(wrong)
    said = printed()
    assert said.startswith("Not yet. ") and hint in said


def home_made(**fault):
    """A range test as the exercise asks for, or with one of the usual faults."""

    def range_test(net, batches, lowest, highest, steps):
        net = net if "on the network itself" in fault else copy.deepcopy(net)
        spaced = fault.get("spaced", np.geomspace)
        rates = spaced(lowest, highest, steps)
        if "one step too many" in fault:
            rates = lowest * (highest / lowest) ** (np.arange(steps) / steps)
        optimizer = torch.optim.SGD(net.parameters(), lr=lowest, momentum=fault.get("momentum", 0))
        losses = []
        for rate, (x, y) in zip(
            rates, batches if "each batch once" in fault else cycle(batches), strict=False
        ):
            if "rate not set" not in fault:
                optimizer.param_groups[0]["lr"] = rate
            loss = cross_entropy(net(x), y)
            if "gradients kept" not in fault:
                optimizer.zero_grad()
            loss.backward()
            if "no step" not in fault:
                optimizer.step()
            losses.append(cross_entropy(net(x), y) if "read after" in fault else loss.detach())
        return rates, losses

    return range_test


@pytest.mark.parametrize(
    "answer, words",
    [
        (home_made(), "Right. "),
        (..., "Not answered yet"),
        (lambda *all: ..., "Not answered yet: put your lines"),
        (3, "Give the function itself"),
        (home_made(**{"on the network itself": True}), "copy.deepcopy(net)"),
        (home_made(**{"each batch once": True}), "stops after 3 of 9 steps"),
        (home_made(spaced=np.linspace), "evenly spaced"),
        (home_made(**{"one step too many": True}), "only n - 1 steps"),
        (home_made(**{"read after": True}), "read the loss before the step"),
        (home_made(**{"gradients kept": True}), "backward() adds"),
        (home_made(**{"rate not set": True}), "set the lr of the optimizer's param_groups"),
        (home_made(**{"no step": True}), "No step is taken"),
        (home_made(momentum=0.9), "The losses differ from ours"),
        (
            lambda net, batches, lowest, highest, steps: ([1.0] * steps, [1.0] * steps),
            "The rates should rise",
        ),
        (lambda net, batches, lowest, highest, steps: ([1.0], [1.0]), "it gives 1 rates"),
        (lambda net, batches, lowest, highest, steps: None, "cannot be used as asked: TypeError"),
        (lambda net, batches: None, "The function stops with TypeError"),
    ],
)
def test_writes_a_range_test(answer, words, printed):
    check.writes_a_range_test(answer)
    assert words in printed()


def steepest(rates, losses):
    finite = np.isfinite(losses)
    usable = len(losses) if finite.all() else finite.argmin()
    return rates[np.gradient(losses[:usable], np.log(rates[:usable])).argmin()]


def over_log(pick, give=lambda rates, slope, at: rates[at]):
    def answer(rates, losses):
        slope = np.gradient(losses, np.log(rates))
        return give(rates, slope, pick(slope))

    return answer


def without_nan(rates, losses):
    kept = ~np.isnan(losses)
    with np.errstate(invalid="ignore"):
        return rates[kept][np.gradient(losses[kept], np.log(rates[kept])).argmin()]


@pytest.mark.parametrize(
    "answer, words",
    [
        (steepest, "Right. "),
        (lambda rates, losses: rates[np.diff(losses[np.isfinite(losses)]).argmin() + 1], "Right. "),
        (lambda rates, losses: ..., "Not answered yet"),
        (over_log(np.argmin), "With a last loss that is nan"),
        (without_nan, "With a last loss that is inf"),
        (over_log(np.argmax), "a fall is a negative slope"),
        (over_log(np.argmin, lambda rates, slope, at: at), "the number of the step"),
        (over_log(np.argmin, lambda rates, slope, at: slope[at]), "the slope itself"),
        (lambda rates, losses: rates[np.gradient(losses, rates).argmin()], "per unit of rate"),
        (lambda rates, losses: rates[losses.argmin()], "where the loss is lowest"),
        (lambda rates, losses: 0.1, "falls fastest at 1.0e-03 it answers 1.0e-01"),
        (lambda rates, losses: math.log(-1), "The function stops in its line 1 with ValueError"),
    ],
)
def test_finds_the_steepest_fall(answer, words, printed):
    check.finds_the_steepest_fall(answer)
    assert words in printed()


@pytest.mark.slow
def test_the_truth_is_trained(monkeypatch, own_data_folder):
    monkeypatch.undo()
    monkeypatch.setenv("LAB_DATA", str(own_data_folder))
    rate, accuracy = check._digits.__wrapped__()
    assert 1e-4 < rate < 1e-2 and accuracy > 0.6
