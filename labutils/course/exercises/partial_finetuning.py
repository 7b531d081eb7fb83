"""Checks for notebook 03: ``from labutils.course.exercises import partial_finetuning as check``."""

from collections.abc import Callable
from typing import Any

import pandas as pd
import torch

from labutils.course.exercises.verdict import verdict, verdict_on_code
from labutils.course.measured_tables import measured
from labutils.course.small_networks import changed, changed_groups, small_network, small_pictures, state_of
from labutils.experiments.statistics import at_best_rate


def reads_bgr(answer: Callable) -> None:
    """1: ``answer(net)`` gives a copy that answers pictures in the order blue, green, red as ``net`` answers them in red, green, blue."""
    verdict_on_code(
        answer,
        _fault_of_reading,
        "The shift of the input is undone in the very first weights, and everything behind them may stay as it was.",
    )


def _fault_of_reading(answer: Callable) -> str | None:
    net, (pictures, _) = small_network().eval(), small_pictures()
    before = state_of(net)
    with torch.no_grad():
        wanted, untouched = net(pictures), net(pictures.flip(1))
    adapted = answer(net)
    if changed(before, net):
        return "The network that was handed in has changed, too: it shares its weights with the answer. Work on copy.deepcopy(net)."
    with torch.no_grad():
        given = adapted(pictures.flip(1))
    if torch.allclose(given, wanted, atol=1e-4):
        return None
    if torch.allclose(given, untouched, atol=1e-4):
        return "It answers as before: nothing was changed, or in a copy of the weights that was thrown away."
    weight = before["stem.0.weight"]
    other = {
        "You turned the output channels round. A filter has the shape (out, in, height, width), and red, green and blue come in.": 0,
        "You turned the filters upside down: dimension 1 holds the colours, the last two the places.": 2,
        "You mirrored the filters: dimension 1 holds the colours, the last two the places.": 3,
    }
    for hint, dimension in other.items():
        if torch.equal(adapted.stem[0].weight, weight.flip(dimension)):
            return hint
    if torch.equal(adapted.stem[0].weight, weight.flip(1)):
        return "The first filters are right, but something behind them was changed as well."
    return "Its answers to pictures in blue, green, red are not those of the network to the same pictures in red, green, blue."


def trains_block(answer: Callable) -> None:
    """2: ``answer(net, first, last)`` trains a block of groups and the head, while no BatchNorm statistics move."""
    verdict_on_code(
        answer,
        _fault_of_a_block,
        "The block and the head learn, scales and shifts of its norms included, and all statistics stand still.",
    )


def _fault_of_a_block(answer: Callable) -> str | None:
    net, (pictures, _) = small_network(dropout=0.5), small_pictures()
    names = [name for name, _ in net.named_children()]
    for first, last in (("layer3", "layer4"), ("layer1", "layer2"), ("layer4", "head")):
        net.train()  # as a training loop does before every epoch
        answer(net, first, last)
        wanted = {*names[names.index(first) : names.index(last) + 1], "head"}
        asking = {name: [p.requires_grad for p in group.parameters()] for name, group in net.named_children()}
        block = f"Asked for {first} to {last}"
        if not any(asking["head"]):
            return f"{block}, the head was left out: it is new and must always learn."
        if last != "head" and not any(asking[last]):
            return f"{block}, it leaves out {last}: a slice ends before its end."
        for name, flags in asking.items():
            if name not in wanted and any(flags):
                return f"{block}, it trains {name}, too. Freeze everything first, what an earlier call has thawed included."
            if name in wanted and not any(flags):
                return f"{block}, it leaves out {name}."
            if name in wanted and not all(flags):
                return (
                    f"{block}, only {sum(flags)} of {len(flags)} tensors of {name} learn. Standing still is about the running statistics: scales and "
                    "shifts of the norms do learn."
                )
        before = state_of(net)
        net(pictures)
        if drifting := changed_groups(before, net):
            return (
                f"{block}, BatchNorm statistics of {', '.join(sorted(drifting))} move: every BatchNorm layer needs eval(), in the trained "
                "groups, too, and after the last train()."
            )
        if "layer4" in wanted and not net.layer4[-1].training:
            return f"{block}, the dropout of layer4 is off: put the BatchNorm layers into evaluation mode, and nothing else that learns."
    return None


def _means(table: pd.DataFrame) -> dict[str, float]:
    """The right answer, and those that come from choosing the rate in another way."""
    part = table[(table["shift"] == "inverted") & (table["block"] == "first")]
    per_rate = part.groupby("base_lr")["test_accuracy"].mean()
    other = table[(table["shift"] == "inverted") & (table["block"] == "last")]
    return {
        "right": at_best_rate(part)["test_accuracy"].mean(),
        "on test": part.groupby("seed")["test_accuracy"].max().mean(),
        "one rate, on test": per_rate.max(),
        "all rates": part["test_accuracy"].mean(),
        "validation": at_best_rate(part)["validation_accuracy"].mean(),
        "other block": at_best_rate(other)["test_accuracy"].mean(),
    }


def chosen_on_validation(answer: Any) -> None:
    """3: mean test accuracy of the first groups on inverted pictures, the rate of each seed chosen on validation."""
    means = _means(measured("surgical"))
    verdict(
        answer,
        lambda a: abs(float(a) - means["right"]) < 5e-4,
        f"{means['right']:.1%}. Choosing on the test pictures would have read {means['on test']:.1%}: a promise that new "
        "pictures need not keep.",
        [
            (
                lambda a: (
                    abs(float(a) - means["on test"]) < 5e-4
                    or abs(float(a) - means["one rate, on test"]) < 5e-4
                ),
                "The rate was chosen by test accuracy. Then the test pictures took part in a choice, and their figure is too good: "
                "choose by validation_accuracy.",
            ),
            (
                lambda a: abs(float(a) - means["all rates"]) < 5e-4,
                "That is the mean over all rates, good and bad: pick one row for each seed first.",
            ),
            (
                lambda a: abs(float(a) - means["validation"]) < 5e-4,
                "That is the validation accuracy of the chosen rows. The choice was made on it, so it is too good: report "
                "test_accuracy of the same rows.",
            ),
            (
                lambda a: abs(float(a) - means["other block"]) < 5e-4,
                "That is the block of the last groups: take the first ones.",
            ),
            (
                lambda a: abs(float(a) / 100 - means["right"]) < 5e-4,
                "In per cent. The table, and this check, count from 0 to 1.",
            ),
        ],
        'Take the rows with shift "inverted" and block "first", for each seed the row with the best validation accuracy, and '
        "then the mean of their test_accuracy, from 0 to 1.",
    )
