"""Checks for notebook 11: ``from labutils.course.exercises import bug_clinic as check``."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from labutils.course.bug_clinic import pictures, plain_network
from labutils.course.exercises.bug_clinic_cases import CASES
from labutils.course.exercises.bug_clinic_mends import SIZE, mend_1, mend_4, mend_7, mend_8, mend_9
from labutils.course.exercises.verdict import verdict
from labutils.data import load

__all__ = [
    "case_1",
    "case_2",
    "case_3",
    "case_4",
    "case_5",
    "case_6",
    "case_7",
    "case_8",
    "case_9",
    "case_10",
    "case_11",
    "case_12",
    "mend_1",
    "mend_4",
    "mend_7",
    "mend_8",
    "mend_9",
    "two_faulty_lines",
    "mended_network",
    "honest_loss",
]

ASKED, BATCH = 100, 32  # pictures and size of the batches of the hard case Z
TOLERANCE = 0.002  # of a loss


def _diagnosis(number: int) -> Callable[[str], None]:
    case = CASES[number]
    letters = ", ".join(case.letters)

    def check(answer: str) -> None:
        verdict(
            answer,
            lambda letter: isinstance(letter, str) and letter.strip().upper() == case.right,
            case.why,
            [
                (
                    lambda given, letter=letter: isinstance(given, str) and given.strip().upper() == letter,
                    hint,
                )
                for letter, hint in case.against.items()
            ],
            f"Give one letter as a text, one of {letters}.",
        )

    check.__name__, check.__doc__ = f"case_{number}", f"The letter of the diagnosis of case {number}."
    return check


case_1, case_2, case_3, case_4, case_5, case_6 = map(_diagnosis, range(1, 7))
case_7, case_8, case_9, case_10, case_11, case_12 = map(_diagnosis, range(7, 13))


def two_faulty_lines(answer: set[str]) -> None:
    """1: the lines of the hard case X that leak copies and that choose by test pictures."""
    right = {"B", "F"}
    innocent = {
        "A": "Line A makes versions of the pictures: that does no harm as long as all versions of a picture stay on one side.",
        "C": "Line C makes a new head and sets the best score to the lowest there is: nothing wrong with that.",
        "D": "Line D leaves weight decay out. That may cost some accuracy, but makes no figure too good.",
        "E": "Line E trains on the training rows only. Which rows these are was decided before.",
        "G": "Line G compares as it should: what matters is *which pictures* the score was measured on.",
        "H": "Line H has to copy the head, or it would be trained on: that is right.",
    }
    known = right | set(innocent)
    given = None
    if isinstance(answer, (str, set, frozenset, list, tuple)) and all(
        isinstance(each, str) for each in answer
    ):
        given = {each.strip().upper() for each in answer if each.strip(" ,")}
    verdict(
        answer,
        lambda _: given == right,
        "B divides rows instead of pictures, so validation rows have sisters among the training rows; F lets the test pictures choose the epoch.",
        [
            (
                lambda _: not given or not given <= known,
                'Give a set of two letters from A to H, such as {"C", "D"}.',
            ),
            (
                lambda _: given > right,
                "Both are among them, but two letters are asked for, and the others are innocent.",
            ),
            (
                lambda _: given == {"B"},
                "That one is at fault. Now the line that makes the *test* figure too good.",
            ),
            (
                lambda _: given == {"F"},
                "That one is at fault. Now the line that makes the *validation* figure too good.",
            ),
            *((lambda _, letter=letter: letter in given, hint) for letter, hint in innocent.items()),
        ],
        'Give a set of two letters from A to H, such as {"C", "D"}.',
    )


def mended_network(answer: nn.Sequential) -> None:
    """2: layer4 and the head have learned; all tensors before layer4 are those of the pretrained network."""
    fault = _fault_of_network(answer) if answer is not ... else None
    verdict(
        answer,
        lambda _: fault is None,
        "What was to learn has learned, and what was to stand still stood still, statistics included.",
        [(lambda _: True, fault)],
        "",
    )


def _fault_of_network(answer: Any) -> str | None:
    new = plain_network(2)
    fresh = new.state_dict()
    if not isinstance(answer, nn.Module) or answer.state_dict().keys() != fresh.keys():
        return "Give the trained network itself: one that plain_network(2) has made."
    if any(tensor.shape != fresh[name].shape for name, tensor in answer.state_dict().items()):
        return "This network has another head: take plain_network(2)."
    now = {name: tensor.cpu() for name, tensor in answer.state_dict().items()}
    if not all(tensor.isfinite().all() for tensor in now.values()):
        return "Some weights are no numbers any more: with which rate did you train?"
    weights = {name for name, _ in new.named_parameters()}
    moved = {name for name, tensor in now.items() if not torch.equal(tensor, fresh[name])}
    if not moved:
        return "Nothing has moved at all: run the training, too."
    early = {name for name in moved if not name.startswith(("layer4.", "head."))}
    if early & weights:
        return f"{len(early & weights)} weights before layer4 have moved: they must be frozen, and not in the optimizer."
    of_layer4 = {name for name in weights if name.startswith("layer4.")}
    if not of_layer4 & moved:
        return "layer4 stands still: was the optimizer made before layer4 asked for gradients? Case 1."
    if early:
        return (
            f"layer4 has learned, but {len(early)} buffers before it have drifted. Which call puts frozen groups into training mode, and what "
            "has to come after it? Case 2. And start from a new network: what has drifted stays so."
        )
    if not {"head.linear.weight", "head.linear.bias"} <= moved:
        return "layer4 has learned, and the head was left out: both are to learn."
    if not of_layer4 <= moved:
        return f"Only {len(of_layer4 & moved)} of {len(of_layer4)} weights of layer4 have moved: unfreeze the whole group."
    return None


def honest_loss(answer: float, head: nn.Linear) -> None:
    """3: mean loss of ``head`` on a hundred of the validation pictures, with all three faults mended."""
    if answer is ... or answer is None:
        verdict(answer, 0.0, "", [], "")
        return
    values = _losses(head)

    def near(*names: str) -> Callable[[Any], bool]:
        return lambda number: any(abs(float(number) - values[name]) < TOLERANCE for name in names)

    verdict(
        answer,
        near("honest"),
        "A new network in evaluation mode, normalised pixels, and each picture counts the same.",
        [
            (near("as printed"), "That is what the broken code prints: three things are to be mended first."),
            (
                near("mean of means"),
                "The network and the pixels are right now. But the last part has four pictures, and counts as much as the others with 32.",
            ),
            (
                near("raw pixels", "raw pixels, mean of means"),
                "The mode is right now. The pixels are still from 0 to 1: normalise them.",
            ),
            (
                near("drifted", "drifted, mean of means"),
                "Mode and pixels are right, but this is the network that the broken code has run through in training mode: its statistics have "
                "drifted. Make a new one.",
            ),
            (
                near("training mode", "training mode, mean of means", "training mode, one batch"),
                "The pixels are right now. The network is still in training mode.",
            ),
            (near("sum"), "That is the sum over the pictures: divide by their number."),
            (near("accuracy"), "That is the accuracy. Asked is the mean cross-entropy."),
        ],
        "Three faults: the mode of the network, the pixels, and a mean of four parts of different size. Take a new network, so that the "
        "statistics are those it was made with.",
    )


def _losses(head: nn.Linear) -> dict[str, float]:
    """The loss that is asked for, and those that come out when some of the faults are left in."""
    raw, labels = pictures(load("solar", image_size=SIZE), "validation", count=200)
    order = torch.cat([(labels == label).nonzero()[: ASKED // 2, 0] for label in (0, 1)])
    raw, labels = raw[order], labels[order]
    x = (raw - 0.5) / 0.5

    def losses(net: nn.Module, x: torch.Tensor, batch: int = BATCH) -> tuple[float, float, float]:
        """Mean over the pictures, mean over the batches, and accuracy."""
        with torch.no_grad():
            outputs = [net(part) for part in x.split(batch)]
        parts = [cross_entropy(*pair).item() for pair in zip(outputs, labels.split(batch), strict=True)]
        together = torch.cat(outputs)
        right = (together.argmax(1) == labels).float().mean().item()
        return cross_entropy(together, labels).item(), sum(parts) / len(parts), right

    used, training, whole = (plain_network(2, head=head) for _ in range(3))
    values = {"as printed": losses(used, raw)[1]}
    net = plain_network(2, head=head).eval()
    values["honest"], values["mean of means"], values["accuracy"] = losses(net, x)
    values["raw pixels"], values["raw pixels, mean of means"], _ = losses(net, raw)
    values["drifted"], values["drifted, mean of means"], _ = losses(used.eval(), x)
    values["training mode"], values["training mode, mean of means"], _ = losses(training, x)
    values["training mode, one batch"] = losses(whole, x, ASKED)[0]
    return values | {"sum": ASKED * values["honest"]}
