"""Checks for the exercises of notebook 04."""

import math
from collections.abc import Callable

import numpy as np
import torch

from labutils.course.exercises.verdict import verdict, verdict_on_code
from labutils.course.small_networks import small_network


def spreads_rates(answer: Callable) -> None:
    """1: ``answer(names, stem_rate, head_rate)`` gives a rate for each group, each the same multiple of the one before."""
    verdict_on_code(
        answer,
        _fault_of_rates,
        "From the first to the last of n groups there are n - 1 steps, and the decay is the root of that order.",
    )


def _fault_of_rates(answer: Callable) -> str | None:
    stem, head = 1e-5, 1e-3
    for count in (6, 3, 9):
        names = [f"group{k}" for k in range(count)]
        rates = answer(list(names), stem, head)
        if set(rates) != set(names):
            return f"Asked is a dictionary with a rate for each of {', '.join(names)}."
        given = [float(rates[name]) for name in names]
        if np.allclose(given, np.geomspace(stem, head, count), rtol=1e-3):
            continue
        per_group = (head / stem) ** (1 / count)
        wrong = {
            "The rates are the wrong way round: the stem is the slow one.": np.geomspace(head, stem, count),
            "The rates are evenly spaced: each should be the same *multiple* of the one before.": np.linspace(
                stem, head, count
            ),
            f"Counted from the head down, the factor is too small: from the first to the last of {count} groups there are {count - 1} "
            "steps.": head / per_group ** np.arange(count)[::-1],
            f"Counted from the stem up, the factor is too small: from the first to the last of {count} groups there are {count - 1} "
            "steps.": stem * per_group ** np.arange(count),
        }
        for hint, instead in wrong.items():
            if np.allclose(given, instead, rtol=1e-3):
                return hint
        return (
            f"With {count} groups the rates are {', '.join(f'{rate:.1e}' for rate in given)}. They should rise from {stem:g} to {head:g}, "
            "each by the same factor."
        )
    return None


def groups_parameters(answer: Callable) -> None:
    """2: ``answer(net, rates, weight_decay)`` gives an optimizer with these rates, and no decay of norms and biases."""
    verdict_on_code(
        answer,
        _fault_of_an_optimizer,
        "Every weight is in it once, at the rate of its group, frozen or not; and only filters and matrices decay.",
    )


def _fault_of_an_optimizer(answer: Callable) -> str | None:
    net, amount = small_network(), 0.05
    rates = dict(zip(dict(net.named_children()), (3e-6, 1e-5, 3e-5, 1e-4, 3e-4, 1e-3), strict=True))
    net.stem.requires_grad_(False)  # to be thawed later
    optimizer = answer(net, dict(rates), amount)
    if not isinstance(optimizer, torch.optim.Optimizer):
        return "Asked is the optimizer itself: return torch.optim.AdamW(…)."
    held = {id(p): group for group in optimizer.param_groups for p in group["params"]}
    for name, group in net.named_children():
        absent = [p for p in group.parameters() if id(p) not in held]
        if absent and name == "head":
            return "The head was left out: it would never learn."
        if absent and name == "stem":
            return "The stem is frozen now and was left out. When it is thawed later, this optimizer will not move it: put all groups in."
        if absent:
            return f"{len(absent)} weights of {name} are in no parameter group."
    given = {name: {held[id(p)]["lr"] for p in group.parameters()} for name, group in net.named_children()}
    if given != {name: {rate} for name, rate in rates.items()}:
        turned = dict(zip(rates, list(rates.values())[::-1], strict=True))
        if given == {name: {rate} for name, rate in turned.items()}:
            return "The rates are in reversed order: the head has that of the stem."
        wrong = next(name for name in rates if given[name] != {rates[name]})
        return f"{wrong} should learn at {rates[wrong]:g}, not at {', '.join(f'{rate:g}' for rate in sorted(given[wrong]))}."
    decayed = {name: held[id(p)]["weight_decay"] for name, p in net.named_parameters()}
    flat = [name for name, p in net.named_parameters() if p.ndim == 1]
    if any(decayed[name] for name in flat):
        return f"Norms and biases decay, too, for instance {next(name for name in flat if decayed[name])}: give those a weight_decay of 0."
    if any(decayed[name] != amount for name in set(decayed) - set(flat)):
        return f"Filters and matrices should have the weight decay {amount:g} that the function was given."
    return None


def steps_to_half(answer: float) -> None:
    """Steps until weight decay alone has halved the head's matrix, at rate 1e-3 and weight decay 1e-4."""
    rate, amount = 1e-3, 1e-4
    right = math.log(0.5) / math.log1p(-rate * amount)
    verdict(
        answer,
        right,
        f"About {right / 1e6:.1f} million steps. Over a fine-tuning of some hundred steps this weight decay does nothing "
        "that could be seen; it was made for long trainings.",
        [
            (
                math.log(0.5) / math.log1p(-amount),
                "That would be so if a step multiplied by 1 − λ; but the rate is in it, too: 1 − η · λ.",
            ),
            (
                math.log(0.5) / math.log1p(-rate),
                "That uses the rate alone: the factor of a step is 1 − η · λ, with both numbers.",
            ),
            (
                0.5 / (rate * amount),
                "You took off the same piece at every step. But the pieces get smaller together with the weights.",
            ),
            (
                1 / (rate * amount),
                "After 1 / (η · λ) steps it has shrunk to 37 %, that is 1/e. Half is reached a little earlier.",
            ),
        ],
        "Look for the n at which (1 − η · λ) to the power of n is a half: take logarithms of both sides.",
    )
