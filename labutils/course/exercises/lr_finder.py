"""Checks for the exercises of notebook 06."""

import copy
import math
from collections.abc import Callable
from functools import lru_cache
from itertools import cycle

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from labutils.course.exercises.verdict import verdict, verdict_on_code
from labutils.course.small_networks import changed, small_network, small_pictures, state_of
from labutils.data import load
from labutils.networks.backbones import build_feature_extractor
from labutils.training.activation_cache import ActivationCache
from labutils.training.loop import fit
from labutils.training.range_test import lr_finder
from labutils.training.settings import Settings
from labutils.training.trainer import TrainingDiverged

GAIN = 0.03


LOWEST, HIGHEST, STEPS = 1e-3, 1.0, 9


def writes_a_range_test(answer: Callable) -> None:
    """``answer(net, batches, lowest, highest, steps)`` gives the rates and the losses of a range test with SGD."""
    verdict_on_code(
        answer,
        _fault_of_a_range_test,
        "Rates in equal factors, each loss read before its step, batches again and again, and the network as it was.",
    )


def _fault_of_a_range_test(answer: Callable) -> str | None:
    pictures, labels = small_pictures()
    batches = list(zip(pictures.split(8), labels.split(8), strict=True))
    net = small_network()
    before = state_of(net)
    rates, losses = answer(net, batches, LOWEST, HIGHEST, STEPS)
    rates, losses = (np.array([torch.as_tensor(each).item() for each in list_]) for list_ in (rates, losses))
    if changed(before, net):
        return (
            "The network that was handed in is no longer the same: a range test trains, at the end with rates that destroy. Work on "
            "copy.deepcopy(net)."
        )
    if len(losses) == len(batches):
        return (
            f"It stops after {len(losses)} of {STEPS} steps, when the batches are used up: zip ends with the shorter one. Begin again "
            "with the first batch."
        )
    if not len(rates) == len(losses) == STEPS:
        return f"Asked for {STEPS} steps, it gives {len(rates)} rates and {len(losses)} losses."
    factors = [np.geomspace(LOWEST, HIGHEST, STEPS), np.linspace(LOWEST, HIGHEST, STEPS)]
    if np.allclose(rates, factors[1], rtol=1e-3):
        return "The rates are evenly spaced. Each should be the same multiple of the one before it."
    if np.isclose(rates[0], LOWEST) and np.isclose(rates[-1] * (HIGHEST / LOWEST) ** (1 / STEPS), HIGHEST):
        return "The last rate is too low: from the first to the last of n rates there are only n - 1 steps."
    if not np.allclose(rates, factors[0], rtol=1e-3):
        return (
            f"The rates should rise from {LOWEST:g} to {HIGHEST:g} in {STEPS} steps, each by the same factor."
        )
    faults = {
        "The losses belong to the steps after them: read the loss before the step, with the weights that it was computed with. "
        "Otherwise each rate is blamed for the loss of the next one.": {"read_after": True},
        "Gradients of earlier steps are still in each step: backward() adds to them, so clear them with zero_grad().": {
            "clear": False
        },
        "The rates were listed and not used: set the lr of the optimizer's param_groups before each step.": {
            "rates": [LOWEST] * STEPS
        },
        "No step is taken: the losses are those of the untouched network.": {"rates": [0.0] * STEPS},
    }
    if np.allclose(losses, _losses(net, batches, rates), rtol=1e-3):
        return None
    for hint, fault in faults.items():
        if np.allclose(losses, _losses(net, batches, **{"rates": rates, **fault}), rtol=1e-3):
            return hint
    return (
        "The losses differ from ours. Use torch.optim.SGD without momentum and cross_entropy, take the batches in their order, and "
        "leave the mode of the network as it is."
    )


def _losses(net: nn.Module, batches, rates, clear: bool = True, read_after: bool = False) -> list[float]:
    net = copy.deepcopy(net)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.0)
    losses = []
    for rate, (x, y) in zip(rates, cycle(batches), strict=False):
        optimizer.param_groups[0]["lr"] = rate
        loss = cross_entropy(net(x), y)
        if clear:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(cross_entropy(net(x), y).item() if read_after else loss.item())
    return losses


def finds_the_steepest_fall(answer: Callable) -> None:
    """``answer(rates, losses)`` gives the rate at which the loss falls fastest per factor of the rate."""
    verdict_on_code(
        answer,
        _fault_of_a_suggestion,
        "Per factor of the rate, so noise at tiny rates weighs nothing; and a broken end is no answer.",
    )


def _fault_of_a_suggestion(answer: Callable) -> str | None:
    rates = np.geomspace(1e-6, 10, 57)
    fall = np.log10(rates) + 3  # steepest at 1e-3
    losses = 2.3 - 0.8 * np.tanh(2 * fall) + 0.002 * np.cos(5 * np.arange(57))
    right = rates[np.gradient(losses, np.log(rates)).argmin()]
    found = float(answer(rates.copy(), losses.copy()))
    others = {
        rates[
            np.gradient(losses, rates).argmin()
        ]: "It takes the slope per unit of rate, where noise at tiny rates is the steepest of "
        "all. Take it over the logarithm of the rate.",
        rates[losses.argmin()]: "That is where the loss is lowest. Asked is where it falls fastest.",
        rates[
            np.gradient(losses, np.log(rates)).argmax()
        ]: "That is where the loss rises fastest: a fall is a negative slope.",
        float(
            np.gradient(losses, np.log(rates)).argmin()
        ): "That is the number of the step. Asked is the rate at that step.",
        float(
            np.gradient(losses, np.log(rates)).min()
        ): "That is the slope itself. Asked is the rate at that step.",
    }
    for wrong, hint in others.items():
        if math.isclose(found, wrong, rel_tol=1e-6):
            return hint
    # The difference of two neighbours belongs to either of them.
    near = rates[max(rates.searchsorted(right) - 1, 0) : rates.searchsorted(right) + 2]
    if not np.isclose(found, near).any():
        return f"On a curve that falls fastest at {right:.1e} it answers {found:.1e}."
    for broken in (math.nan, math.inf):
        end = losses.copy()
        end[-2:] = broken
        again = float(answer(rates.copy(), end))
        if not np.isclose(again, near).any():
            return (
                f"With a last loss that is {broken} it answers {again:.1e} instead of {right:.1e}: argmin takes a NaN for the lowest "
                "of all. Use only the losses before the first one that is not finite."
            )
    return None


def better_rate(answer: float) -> None:
    """A base rate with which the head gets three points further on the digits than with the valley."""
    valley, before = _digits()
    after = _accuracy(float(answer)) if _is_rate(answer) else math.nan
    verdict(
        answer,
        lambda rate: after >= before + GAIN,
        f"Validation accuracy {after:.1%}, with the valley {before:.1%} (measured)",
        [
            (
                lambda rate: not _is_rate(rate),
                "Give a base rate: a number above 0 and below 100.",
            ),
            (
                lambda rate: rate < valley and after < before,
                f"Validation accuracy {after:.1%}, with the valley {before:.1%}: below it, ten epochs are too short. Go up.",
            ),
            (
                lambda rate: rate > 20 * valley,
                f"Validation accuracy {after:.1%}, with the valley {before:.1%}: too high. The best rates lie between.",
            ),
        ],
        f"Validation accuracy {after:.1%}, with the valley {before:.1%}: not yet three points more. Try three times as much.",
    )


def _is_rate(answer) -> bool:
    try:
        return 0 < float(answer) < 100
    except (TypeError, ValueError):
        return False


@lru_cache(maxsize=1)
def _cache() -> ActivationCache:
    return ActivationCache()


@lru_cache(maxsize=1)
def _digits() -> tuple[float, float]:
    """Valley of the range test on the digits, and the accuracy that training with it gives."""
    few = load("digits", image_size=64).labelled(300, seed=0)
    found = lr_finder(build_feature_extractor(num_classes=len(few.classes)), few, cache=_cache())
    valley = found.suggestions["valley"]
    return valley, _accuracy(valley)


def _accuracy(rate: float) -> float:
    few = load("digits", image_size=64).labelled(300, seed=0)
    settings = Settings(epochs=10, base_lr=rate, keep_best=False)
    try:
        history = fit(build_feature_extractor(num_classes=len(few.classes)), few, settings, cache=_cache())
    except TrainingDiverged:
        return 0.0
    return float(history["validation_accuracy"].iloc[-1])
