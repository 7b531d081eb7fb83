"""Checks for notebook 05: ``from labutils.course.exercises import progressive_unfreezing as check``."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from labutils.course.exercises.verdict import verdict, verdict_on_code
from labutils.course.small_networks import changed_groups, small_network, small_pictures, state_of
from labutils.networks.backbones import build_feature_extractor
from labutils.training.stages import Stage, partial_finetune

BASE, EPOCHS = 1e-2, 15


def enters_a_stage(answer: Callable) -> None:
    """1: ``answer(net, optimizer, trained, factor)`` thaws and freezes groups, and slows all rates, in the same optimizer."""
    verdict_on_code(
        answer,
        _fault_of_a_stage,
        "The optimizer goes on with all that it remembers, every rate falls by the same factor, and what is frozen has no gradient.",
    )


def _fault_of_a_stage(answer: Callable) -> str | None:
    net, (pictures, labels) = small_network().eval(), small_pictures()
    names = [name for name, _ in net.named_children()]
    rates = dict(zip(names, (1e-3, 2e-3, 4e-3, 8e-3, 1.6e-2, 3.2e-2), strict=True))
    optimizer = torch.optim.AdamW(
        [{"params": group.parameters(), "lr": rates[name]} for name, group in net.named_children()]
    )
    # The last stage freezes again what was thawed.
    for number, trained in enumerate((["head"], ["layer4", "head"], names, ["head"]), start=1):
        cross_entropy(net(pictures), labels).backward()  # gradients of the stage before are still there
        answer(net, optimizer, list(trained), 0.5)
        if len(optimizer.param_groups) != len(names):
            return "The optimizer has other parameter groups than before: all groups are in it from the start, so nothing is to be added."
        given = [group["lr"] for group in optimizer.param_groups]
        wanted = [rate * 0.5**number for rate in rates.values()]
        if not np.allclose(given, wanted, rtol=1e-6):
            if np.allclose(given, list(rates.values())):
                return "The rates have not changed. Was a new optimizer made? The training loop goes on with the old one."
            if len(set(given)) == 1:
                return "All groups have one rate now: multiply each rate by the factor, so that their ratios stay."
            if np.allclose(given, [rate / 0.5**number for rate in rates.values()]):
                return "The rates rise from stage to stage: multiply by the factor."
            return f"In stage {number} the rates should be {', '.join(f'{r:g}' for r in wanted)}, not {', '.join(f'{r:g}' for r in given)}."
        for name, group in net.named_children():
            asking = {weight.requires_grad for weight in group.parameters()}
            if name in trained and asking != {True}:
                left_out = " The head must always learn." if name == "head" else ""
                return f"In stage {number}, {', '.join(trained)} should learn, and {name} does not.{left_out}"
            if name not in trained and asking != {False}:
                return f"In stage {number} only {', '.join(trained)} should learn, but {name} asks for a gradient."
        before = state_of(net)
        optimizer.step()
        moved = changed_groups(before, net) - set(trained)
        if moved:
            return (
                f"In stage {number} {', '.join(sorted(moved))} still moved, although frozen: the gradients of the stage before are still there, and the "
                "optimizer steps whatever has one. Set them to None."
            )
    return None


def _stages(answer: Any) -> list[Stage]:
    stages = list(answer)
    if not stages or not all(isinstance(stage, Stage) for stage in stages):
        raise TypeError("not a plan")
    return stages


def longer_last_stage(answer: Any) -> None:
    """2: the plan of four stages, 15 epochs in all, the last stage twice as long as each of the others."""
    model = build_feature_extractor()
    plan = partial_finetune(model, len(model), how="progressively", epochs=EPOCHS, base_lr=BASE)

    def same_but_epochs(answer: Any) -> bool:
        given = _stages(answer)
        return len(given) == len(plan) and all(
            set(one.groups) == set(other.groups) and abs(one.base_lr / other.base_lr - 1) < 1e-6
            for one, other in zip(given, plan, strict=True)
        )

    def epochs(answer: Any) -> list[int]:
        return [stage.epochs for stage in _stages(answer)]

    wanted = [3, 3, 3, 6]
    verdict(
        answer,
        lambda a: same_but_epochs(a) and epochs(a) == wanted,
        "3, 3, 3 and 6 epochs. A stage is a frozen dataclass: replace makes a new one, and the plan stays what it was.",
        [
            (
                lambda a: epochs(a) == [stage.epochs for stage in plan],
                "The plan is as partial_finetune made it. A stage cannot be changed in place, and replace gives a new one back: "
                "was that put into the new plan?",
            ),
            (
                lambda a: len(_stages(a)) != len(plan),
                f"{len(plan)} stages belong to the plan: this has another number.",
            ),
            (
                lambda a: same_but_epochs(a) and sum(epochs(a)) != EPOCHS,
                f"The stages take another number of epochs than {EPOCHS} in all. Equal budget: what the last stage gets must "
                "come from the others.",
            ),
            (
                lambda a: same_but_epochs(a),
                "The last stage is not twice as long as each of the others.",
            ),
            (
                lambda a: epochs(a) == wanted,
                f"The epochs are right. But groups or rates differ from the plan of partial_finetune with base_lr={BASE:g}.",
            ),
        ],
        'Give a list of four stages: those of partial_finetune(model, 6, how="progressively", …), changed by replace.',
    )


def _path(answer: Any) -> list[float]:
    if isinstance(answer, str) or not isinstance(answer, Sequence):
        raise TypeError("not a list")
    return [float(getattr(each, "top1", each)) for each in answer]


def on_the_way_back(answer: Any) -> None:
    """3: agreement at shares 0, ½ and 1 of the way from the original to the fine-tuned network."""
    verdict(
        answer,
        lambda a: (
            len(_path(a)) == 3
            and _path(a)[0] >= 0.999
            and _path(a)[0] >= _path(a)[1] > _path(a)[2]
            and _path(a)[2] >= 0
        ),
        "All of it at the start, and less and less on the way: so mixing weights is a way to get old knowledge back after the "
        "training is over. What it costs in new knowledge, validation pictures can tell.",
        [
            (lambda a: len(_path(a)) != 3, "Three values are asked for: at shares 0, 0.5 and 1."),
            (lambda a: max(_path(a)) > 1, "Agreement is a share from 0 to 1: give top1, not the divergence."),
            (
                lambda a: _path(a)[2] >= 0.999 and _path(a)[0] < 0.999,
                "The other way round: share 0 is the original network, which agrees with itself.",
            ),
            (
                lambda a: min(_path(a)) >= 0.999,
                "Nothing was lost anywhere, so nothing had moved: is it the fine-tuned network that was mixed, and not one whose "
                "head alone was trained?",
            ),
            (
                lambda a: max(_path(a)) < 0.999,
                "At share 0 the network is the original, and agrees with it wholly. Was agreement given the original and the "
                "known pictures?",
            ),
        ],
        "Give a list: agreement(between(original, model, share), original, pictures).top1 for the shares 0, 0.5 and 1.",
    )
