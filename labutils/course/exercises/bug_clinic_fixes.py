"""What students hand in as fixed in five cases of notebook 11; `bug_clinic` gives these checks to the page."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset, Subset

from labutils.course.bug_clinic import Pictures, pictures
from labutils.course.exercises.verdict import verdict, verdict_on_fault
from labutils.data import load

COPIES, ORIGINALS = 800, 200  # rows of case 8
PARTS = (32, 32, 32, 4)  # pictures in the parts of case 9
SIZE = 64  # pixels


def fix_1(answer: torch.optim.Optimizer, net: nn.Sequential) -> None:
    """Case 1: an optimizer that steps all trainable weights of ``net``, which are those of layer4 and the head."""
    is_optimizer = isinstance(answer, torch.optim.Optimizer)
    groups = answer.param_groups if is_optimizer else []
    stepped = {id(weight) for group in groups if group["lr"] > 0 for weight in group["params"]}
    given = {id(weight) for group in groups for weight in group["params"]}
    own = {id(weight) for weight in net.parameters()}

    def whole(group: nn.Module) -> bool:
        return all(id(weight) in stepped and weight.requires_grad for weight in group.parameters())

    verdict(
        answer,
        lambda _: is_optimizer and given <= own and whole(net.layer4) and whole(net.head),
        "It steps every weight that asks for a gradient. Compare the two sets whenever you freeze or unfreeze.",
        [
            (lambda _: not is_optimizer, "Give the optimizer itself, such as AdamW(…)."),
            (
                lambda _: not given & own,
                "It steps the weights of another network. Build it from this `net_1`, after everything that makes a new one of it.",
            ),
            (lambda _: given - own, "Some of its weights are not those of this `net_1`."),
            (
                lambda _: given != stepped,
                "Some of its weights have a rate of 0: they are in the optimizer and will never move.",
            ),
            (
                lambda _: not whole(net.layer4) and whole(net.head),
                "It steps the head and not all of layer4, like the broken one: make the list of weights after unfreezing.",
            ),
            (
                lambda _: whole(net.layer4),
                "Now layer4 is in it, and the head is left out: both are to learn.",
            ),
        ],
        "Every weight of layer4 and of the head must ask for a gradient and be in the optimizer.",
    )


def fix_4(answer: dict[str, float]) -> None:
    """Case 4: a rate for layer4 and a higher one for the head, in ranges where both learn."""
    verdict(
        answer,
        lambda rates: (
            set(rates) == {"layer4", "head"}
            and 1e-5 <= rates["layer4"] <= 5e-4
            and 1e-3 <= rates["head"] <= 5e-2
            and rates["head"] >= 3 * rates["layer4"]
        ),
        "High where everything is to be learned, low where much is known.",
        [
            (lambda rates: set(rates) != {"layer4", "head"}, "Give a rate for layer4 and one for the head."),
            (
                lambda rates: rates["layer4"] > rates["head"],
                "The pretrained group still has the higher rate: which of the two has more to learn, and which more to lose?",
            ),
            (
                lambda rates: rates["layer4"] > 5e-4,
                "The order is right, but at this rate layer4 still loses what it knows within a few steps: 5e-4 at most.",
            ),
            (
                lambda rates: rates["head"] < 3 * rates["layer4"],
                "Nearly one rate for both: the new head should learn several times as fast as the pretrained group.",
            ),
            (
                lambda rates: 0 <= rates["layer4"] < 1e-5,
                "With so low a rate layer4 might as well be frozen: it was to learn, too.",
            ),
            (
                lambda rates: 0 < rates["head"] < 1e-3,
                "The head is new: at this rate it would take hundreds of epochs.",
            ),
            (lambda rates: rates["head"] > 5e-2, "So high a rate makes AdamW throw the head about."),
        ],
        'Give a dictionary like {"layer4": …, "head": …} with two rates above 0.',
    )


def fix_7(answer: Sequence[Dataset]) -> None:
    """Case 7: training pictures that vary, validation pictures that stand still, none in both."""
    verdict_on_fault(
        answer,
        _fault_of_parts,
        "Variety for the training, a fixed yardstick for the validation, and no picture on both sides.",
    )


@lru_cache(maxsize=1)
def _pool() -> dict[bytes, int]:
    """The 200 pictures that are to be divided, with their labels."""
    images, labels = pictures(load("solar", image_size=SIZE), "validation", count=200)
    return dict(zip(map(_bytes, images), labels.tolist(), strict=True))


def _bytes(picture: torch.Tensor) -> bytes:
    return picture.contiguous().numpy().tobytes()


def _raw(data: Dataset) -> tuple[torch.Tensor, torch.Tensor]:
    """The pictures, without any transform, and labels behind a data set or a part of one."""
    if isinstance(data, Subset):
        images, labels = _raw(data.dataset)
        rows = torch.as_tensor([int(row) for row in data.indices])
        return images[rows], labels[rows]
    if not isinstance(data, Pictures):
        raise TypeError("not made from Pictures")
    return data.images[: len(data)], data.labels


def _fault_of_parts(answer: Any) -> str | None:
    try:
        parts = training, validation = tuple(answer)
        raw = [
            {_bytes(image): int(label) for image, label in zip(*_raw(part), strict=True)} for part in parts
        ]
        looks = [[torch.stack([part[row][0] for row in range(8)]) for _ in range(2)] for part in parts]
    except (TypeError, ValueError, IndexError, RuntimeError, AttributeError):
        return "Give a pair of two data sets, each made from Pictures or a part of one, that give pictures with their labels."
    pool = _pool()
    if min(map(len, raw)) < 50 or not raw[0].keys() | raw[1].keys() <= pool.keys():
        return "Each part should have about 100 of the pictures in x_val, none of them twice."
    if shared := len(raw[0].keys() & raw[1].keys()):
        return (
            f"{shared} pictures are in both parts. Two calls of random_split draw two different divisions: divide the row numbers once, "
            "and use them for both data sets."
        )
    if any(pool[key] != label for part in raw for key, label in part.items()):
        return "Some pictures have the label of another: divide pictures and labels by the same row numbers."
    varies, validation_varies = (not torch.equal(*look) for look in looks)
    if validation_varies and not varies:
        return (
            "The two are swapped: here the validation pictures vary, and the training pictures stand still."
        )
    if validation_varies:
        return "Asked twice, the validation part gives two different pictures: a random transform is still in it."
    if not varies:
        return "Now the training part stands still as well: it was to have crops and mirror images."
    if any(look[0].shape[1:] != (3, SIZE, SIZE) or look[0].min() >= 0 for look in looks):
        return "One of the parts is not normalised: no random transform does not mean no transform."
    return None


def fix_8(answer: Sequence[torch.Tensor]) -> None:
    """Case 8: training and validation rows without a common picture; row i shows picture i % 200."""
    verdict_on_fault(answer, _fault_of_rows, "All four versions of a picture are on one side.")


def _fault_of_rows(answer: Any) -> str | None:
    try:
        training, validation = ([int(row) for row in part if row == int(row)] for part in answer)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return "Give a pair of two lists or tensors of row numbers."
    both = training + validation
    if not both or min(both) < 0 or max(both) >= COPIES:
        return f"Row numbers go from 0 to {COPIES - 1}."
    if min(len(training), len(validation)) < COPIES // 10:
        return f"Leave at least {COPIES // 10} rows on either side."
    if shared := {row % ORIGINALS for row in training} & {row % ORIGINALS for row in validation}:
        return (
            f"{len(shared)} of the {ORIGINALS} pictures are on both sides, in one version or another: divide the "
            f"{ORIGINALS} pictures, not the {COPIES} rows."
        )
    if len(set(both)) < len(both):
        return "Some rows appear twice."
    if len(both) < COPIES:
        return f"No picture is on both sides, but {COPIES - len(both)} rows are not used: each picture has four rows."
    return None


def fix_9(answer: Sequence[float]) -> None:
    """Case 9: the factor for the mean loss of each part is its share of the batch."""
    total = sum(PARTS)

    def close(factors: Sequence[float], wanted: Sequence[float]) -> bool:
        return len(factors) == len(wanted) and all(
            abs(float(factor) - value) < 1e-4 for factor, value in zip(factors, wanted, strict=True)
        )

    verdict(
        answer,
        lambda factors: close(factors, [size / total for size in PARTS]),
        "Each picture counts one hundredth, whichever part it is in.",
        [
            (lambda factors: len(factors) != len(PARTS), "Four parts, four factors."),
            (
                lambda factors: close(factors, [1 / len(PARTS)] * len(PARTS)),
                "That is right for parts of equal size. Here each of the last four pictures would count eight times as much as any other.",
            ),
            (
                lambda factors: close(factors, [1 / size for size in PARTS]),
                "cross_entropy has already divided by the size of the part: that makes it the mean. Now weigh the means.",
            ),
            (
                lambda factors: close(factors, PARTS),
                "The proportions are right. For the mean of the whole batch, divide by its pictures as well.",
            ),
            (
                lambda factors: close(factors, [1 / total] * len(PARTS)),
                "A hundredth is the weight of one picture; the loss of a part is a mean over several.",
            ),
            (lambda factors: close(factors, [1] * len(PARTS)), "These factors change nothing."),
        ],
        "How much of the whole batch is each part? The four factors add up to 1.",
    )
