"""Checks for notebook 11: ``from labutils.course.exercises import bug_clinic as check``."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from labutils.course import small_networks
from labutils.course.bug_clinic import plain_network
from labutils.course.exercises.bug_clinic_cases import CASES
from labutils.course.exercises.bug_clinic_fixes import fix_1, fix_4, fix_7, fix_8, fix_9
from labutils.course.exercises.verdict import verdict, verdict_on_code, verdict_on_fault

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
    "fix_1",
    "fix_4",
    "fix_7",
    "fix_8",
    "fix_9",
    "two_faulty_lines",
    "fixed_network",
    "honest_loss",
]

ASKED, BATCH = 100, 32  # pictures and size of the parts of the hard case Z


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


def fixed_network(answer: nn.Sequential) -> None:
    """2: layer4 and the head have learned; all tensors before layer4 are those of the pretrained network."""
    verdict_on_fault(
        answer,
        _fault_of_network,
        "What was to learn has learned, and what was to stand still stood still, statistics included.",
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


def honest_loss(answer: Callable) -> None:
    """3: ``answer(net, raw, labels)`` gives the mean loss of a network on pictures, in parts of 32."""
    verdict_on_code(
        answer,
        _fault_of_a_loss,
        "A network in evaluation mode, normalised pixels, and each picture counts the same.",
    )


def _fault_of_a_loss(answer: Callable) -> str | None:
    raw, labels = torch.rand(ASKED, 3, 8, 8), torch.arange(ASKED) % 4
    labels = labels.sort().values  # as a folder for each class gives them
    net = small_networks.small_network(dropout=0.5)
    before = small_networks.state_of(net)
    given = answer(net, raw.clone(), labels.clone())
    drifted = small_networks.changed(before, net)
    given = float(torch.as_tensor(given).detach())

    def losses(x: torch.Tensor) -> tuple[float, float, float]:
        """Mean over the pictures, mean over the parts, and accuracy."""
        fresh = small_networks.small_network(dropout=0.5).eval()
        with torch.no_grad():
            outputs = fresh(x)
        parts = [cross_entropy(*part) for part in zip(outputs.split(BATCH), labels.split(BATCH), strict=True)]
        right = (outputs.argmax(1) == labels).float().mean().item()
        return cross_entropy(outputs, labels).item(), (sum(parts) / len(parts)).item(), right

    honest, mean_of_means, accuracy = losses((raw - 0.5) / 0.5)
    if drifted:
        return "The statistics of the network have moved: it ran in training mode. Case 6. no_grad() is about gradients."

    def near(*values: float) -> bool:
        return any(math.isclose(given, value, rel_tol=1e-4) for value in values)

    if near(honest):
        return None
    if near(mean_of_means):
        return "Mode and pixels are right. But the last part has four pictures, and counts as much as the others with 32. Case 9."
    if near(*losses(raw)[:2]):
        return "The mode is right. The pixels are still from 0 to 1: normalise them. Case 3."
    if near(ASKED * honest):
        return "That is the sum over the pictures: divide by their number."
    if near(accuracy):
        return "That is the accuracy. Asked is the mean cross-entropy."
    return f"On {ASKED} pictures of ours it gives {given:.3f}, where the mean loss is {honest:.3f}. Three things are wrong in case Z."
