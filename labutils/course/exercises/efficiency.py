"""Checks for the exercises of notebook 09."""

from collections.abc import Callable

import pandas as pd
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from labutils.analysis.training_memory import largest_batch
from labutils.course.exercises.verdict import verdict, verdict_on_code
from labutils.course.small_networks import small_network, small_pictures

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


def accumulates(answer: Callable) -> None:
    """``answer(net, optimizer, pictures, labels, size)`` takes one step, with at most ``size`` pictures at a time."""
    verdict_on_code(
        answer,
        _fault_of_a_step,
        "Each part weighs as much as it has pictures, their gradients add up, and the step is that of the whole batch.",
    )


def _fault_of_a_step(answer: Callable) -> str | None:
    pictures, labels = small_pictures(22)
    size, parts = 8, list(torch.arange(22).split(8))
    net = small_network().eval()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    cross_entropy(net(pictures[:4]), labels[:4]).backward()  # left over from a step before
    at_once = []
    counter = net.register_forward_pre_hook(lambda _, inputs: at_once.append(len(inputs[0])))
    stale = [weight.grad.clone() for weight in net.parameters()]
    answer(net, optimizer, pictures, labels, size)
    counter.remove()
    if max(at_once, default=0) > size:
        return f"{max(at_once)} pictures went through at once where only {size} fit."

    def after(*groups, weigh, left=None) -> nn.Module:
        """The network after a step for each of ``groups``, which are lists of parts."""
        twin = small_network().eval()
        steps = torch.optim.SGD(twin.parameters(), lr=0.1)
        for group in groups:
            steps.zero_grad()
            if left is not None:
                for weight, gradient in zip(twin.parameters(), left, strict=True):
                    weight.grad = gradient.clone()
            for rows in group:
                (cross_entropy(twin(pictures[rows]), labels[rows]) * weigh(rows)).backward()
            steps.step()
        return twin

    def share(rows) -> float:
        return len(rows) / len(labels)

    def like(twin: nn.Module) -> bool:
        pairs = zip(net.parameters(), twin.parameters(), strict=True)
        return all(torch.allclose(ours, theirs, atol=1e-6) for ours, theirs in pairs)

    if like(after(parts, weigh=share)):
        return None
    wrong = {
        "No step was taken.": after(weigh=share),
        "The gradients of an earlier step are still in it: clear them before the first part.": after(
            parts, weigh=share, left=stale
        ),
        "The parts are not of equal size: a mean of their means gives the pictures of the last one more weight. Weigh each loss by its share "
        "of the pictures.": after(parts, weigh=lambda rows: 1 / len(parts)),
        "The losses are means over their parts, and backward() adds them up: the step is as many times too long as there are parts.": after(
            parts, weigh=lambda rows: 1.0
        ),
        "Only the last part is in the step: zero_grad() between the parts throws away what was gathered.": after(
            parts[-1:], weigh=share
        ),
        "A step was taken after each part: that is training with small batches. Step once, after the last part.": after(
            *([part] for part in parts), weigh=share
        ),
    }
    for hint, twin in wrong.items():
        if like(twin):
            return hint
    if like(after(*([part] for part in parts), weigh=lambda rows: 1.0)):
        return "A step was taken after each part: that is training with small batches. Step once, after the last part."
    return "The weights afterwards are not those of one step with the mean cross-entropy of the whole batch."


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
