"""Checks for the exercises of notebook 09."""

import pandas as pd

from labutils.analysis.training_memory import largest_batch
from labutils.course.exercises.verdict import verdict
from labutils.training.settings import Settings

PARAMETERS = 23_512_130  # of ResNet-50 with two classes


def bytes_of_training(answer: float) -> None:
    """Megabytes of weights, gradients and AdamW's state when all of ResNet-50 is trained in float32."""
    each = PARAMETERS * 4 / 1e6
    verdict(
        answer,
        4 * each,
        "Sixteen bytes for each parameter: the weight, its gradient and two running means, four bytes each. Activations "
        "come on top of that.",
        [
            (each, "That is the weights alone. What does training keep beside each weight?"),
            (2 * each, "Weights and gradients. AdamW keeps something for each weight, too."),
            (
                3 * each,
                "One of four is missing: AdamW keeps two running means, of the gradient and of its square.",
            ),
            (4 * each * 1e6, "In MB, please: divide by a million."),
        ],
        "Count the numbers that are kept for each parameter, times four bytes, times 23.5 million.",
    )


def settings_for_a_large_batch(answer: Settings) -> None:
    """Steps of 256 pictures where only 32 fit at a time."""
    verdict(
        answer,
        lambda given: (given.batch_size, given.accumulate) == (256, 8),
        "batch_size is what a step learns from, accumulate in how many parts it is computed: 256 / 8 = 32 at a time.",
        [
            (
                lambda given: not isinstance(given, Settings),
                "Give a Settings object: Settings(batch_size=…, accumulate=…).",
            ),
            (
                lambda given: (given.batch_size, given.accumulate) == (32, 8),
                "batch_size counts the pictures of the whole step, not of a part: this would compute 4 at a time.",
            ),
            (
                lambda given: (given.batch_size, given.accumulate) == (256, 32),
                "accumulate is the number of parts, not their size: this would compute 8 at a time.",
            ),
            (lambda given: given.batch_size == 256, "Right batch, but how many parts of 32 is that?"),
        ],
        "A step of 256 pictures, in parts of 32.",
    )


def batch_that_fits(answer: int, costs: pd.DataFrame) -> None:
    """The largest batch for training the last two groups in 8 GB, from the table ``costs``."""
    right = largest_batch(costs, 2, 8000)
    verdict(
        answer,
        lambda given: int(given) == right,
        f"{right} pictures fit, one more does not. Leave some room in practice: libraries and the desktop take some, too.",
        [
            (
                largest_batch(costs, len(costs), 8000),
                "That is for training all groups. Asked is the last two, the rest frozen.",
            ),
            (largest_batch(costs, 1, 8000), "That is for the head alone: one group more."),
            (largest_batch(costs, 2, 8), "8 GB are 8000 MB: room_mb is in MB."),
            (lambda given: float(given) == right + 1, "One too many: it must still fit."),
        ],
        "largest_batch(costs, trained_groups, room_mb) gives it.",
    )
