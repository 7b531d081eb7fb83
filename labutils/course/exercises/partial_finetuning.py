"""Checks for notebook 03: ``from labutils.course.exercises import partial_finetuning as check``."""

from functools import lru_cache
from typing import Any

import pandas as pd

from labutils.course.exercises.verdict import verdict
from labutils.course.measured_tables import measured
from labutils.experiments.surgical_finetuning import at_best_rate
from labutils.networks.backbones import build_feature_extractor
from labutils.networks.freezing import block
from labutils.training.stages import Stage

SHARE = 0.99
BLOCK, EPOCHS, RATE = ("layer1", "layer3"), 6, 3e-4


@lru_cache(maxsize=1)
def _least_groups() -> int:
    """The least n with which at least 99 % of ResNet-50's parameters are trained."""
    counts = [
        row["parameters"]
        for row in build_feature_extractor("torchvision/resnet50", pretrained=False).table(64)
    ]
    return next(n for n in range(1, len(counts) + 1) if sum(counts[-n:]) >= SHARE * sum(counts))


def nearly_all_parameters(answer: Any) -> None:
    """1: the least n that trains at least 99 % of ResNet-50's parameters."""
    n = _least_groups()
    verdict(
        answer,
        n,
        f"With the last {n} groups. What is left, the stem and layer1, holds less than a hundredth of the weights, "
        "but works on the largest pictures.",
        [
            (n - 1, "Close: is the head, the first of the n groups, counted? And is it 99 %, not 90 %?"),
            (n + 1, "That many do, but so does one less: add up from the head until 99 % are reached."),
            (lambda a: 0 < float(a) <= 1, "That is a share. Asked is n, the number of groups."),
            (
                lambda a: float(a) > 6,
                "ResNet-50 has six groups here: n counts groups, not layers or parameters.",
            ),
            (
                lambda a: float(a) in (1, 2),
                "Add up the parameters from the head backwards: model.summary() prints them.",
            ),
        ],
        "A whole number from 1 to 6: add up the parameters from the head backwards until they are 99 % of all.",
    )


def _plan(answer: Any) -> list[Stage]:
    stages = [answer] if isinstance(answer, Stage) else list(answer)
    if not stages or not all(isinstance(stage, Stage) for stage in stages):
        raise TypeError("not a plan")
    return stages


def _wanted() -> tuple[str, ...]:
    return block(build_feature_extractor(), BLOCK, head=False)


def block_in_the_middle(answer: Any) -> None:
    """2: a plan for layer1 to layer3 alone, 6 epochs at 3e-4."""
    wanted = _wanted()

    def groups(answer: Any) -> tuple[str, ...]:
        return _plan(answer)[-1].groups

    verdict(
        answer,
        lambda a: (
            len(_plan(a)) == 1
            and set(groups(a)) == set(wanted)
            and _plan(a)[0].epochs == EPOCHS
            and abs(_plan(a)[0].base_lr / RATE - 1) < 1e-6
        ),
        "Three neighbouring groups, and the head stays what it was: that is right only if the head already fits the task.",
        [
            (
                lambda a: set(groups(a)) == {*wanted, "head"},
                "The head is trained too. That is the default, because after feature extraction it is new; here it is to be "
                "kept: which argument of partial_finetune says so?",
            ),
            (
                lambda a: "head" in groups(a) and len(groups(a)) > 4,
                "These are the last groups up to the head. A number counts from the back; a block has a first and a last name.",
            ),
            (
                lambda a: len(groups(a)) < 3,
                f"Some of the block are missing: give its first and last group, {BLOCK}, as a pair.",
            ),
            (lambda a: len(_plan(a)) > 1, 'One stage is asked for: how="at once".'),
            (
                lambda a: set(groups(a)) == set(wanted),
                f"The right groups. Now look at epochs ({EPOCHS}) and base_lr ({RATE:g}).",
            ),
        ],
        "Give what partial_finetune returns: a tuple of stages, for the block from layer1 to layer3 without the head.",
    )


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
