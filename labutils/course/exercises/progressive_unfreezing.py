"""Checks for notebook 05: ``from labutils.course.exercises import progressive_unfreezing as check``."""

from collections.abc import Sequence
from typing import Any

from labutils.course.exercises.verdict import verdict
from labutils.networks.backbones import build_feature_extractor
from labutils.training.optimizers import group_rates
from labutils.training.stages import Stage, partial_finetune

BASE, DECAY, STAGE, GROUP = 1e-2, 3.0, 4, "layer1"
EPOCHS = 15


def rate_of_a_group(answer: Any) -> None:
    """1: the highest rate of layer1 in stage 4."""
    model = build_feature_extractor()
    stage = partial_finetune(model, len(model), how="progressively", epochs=4, base_lr=BASE)[STAGE - 1]
    right = group_rates(model, stage.base_lr, DECAY)[GROUP]
    away = len(model) - 1 - model.names.index(GROUP)
    verdict(
        answer,
        right,
        f"{right:.2g}: three stages took it down by {BASE / stage.base_lr:.0f}, and {away} groups between {GROUP} and the head by "
        f"{DECAY**away:.0f}.",
        [
            (
                stage.base_lr,
                "That is the rate of the head in this stage: each group is slower than the one behind it.",
            ),
            (
                group_rates(model, BASE, DECAY)[GROUP],
                "That is its rate at the rate of the first stage: each stage begins lower.",
            ),
            (
                right / 3,
                "One factor of 3 too many: the rate falls *between* stages and *between* groups. How many steps is it from "
                f"stage 1 to stage {STAGE}, and from {GROUP} to the head?",
            ),
            (
                right * 3,
                f"One factor of 3 is missing: from {GROUP} to the head it is {away} steps. Or was a stage left out?",
            ),
            (
                lambda a: float(a) > BASE,
                "Higher than the head in the first stage? Rates fall from stage to stage and towards the stem.",
            ),
        ],
        f"Start at {BASE:g}, divide by 3 for each stage after the first, and by {DECAY:g} for each group between {GROUP} and the head.",
    )


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
