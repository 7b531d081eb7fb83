"""Checks for the exercises of notebook 02."""

import copy

import torch
from torch import nn

from labutils.course.exercises.verdict import verdict
from labutils.networks.backbones import build_feature_extractor


def trained_parameters(answer: int) -> None:
    """How many parameters feature extraction trains for the twelve classes of the textures."""
    features, classes = build_feature_extractor(num_classes=2).head[-1].in_features, 12
    verdict(
        answer,
        lambda count: count == features * classes + classes,
        f"{features} weights for each of {classes} classes, and a bias for each class.",
        [
            (features * 2 + 2, "That is the head for two classes; the textures have twelve."),
            (
                lambda count: count == features * classes,
                "The weights are right, but each class has a bias, too.",
            ),
            (
                lambda count: count > 100_000,
                "Only the head is trained: the parameters of the frozen groups do not count.",
            ),
        ],
        "The head has one weight for each feature and class: how many features does the last frozen group give?",
    )


def stands_still(answer: nn.Module) -> None:
    """A plain network, with its mode set by the student, that does not change when pictures run through it."""
    if isinstance(answer, nn.Module):
        mode = answer.training
        seen = copy.deepcopy(answer)
        before = {name: tensor.clone() for name, tensor in seen.state_dict().items()}
        with torch.no_grad():
            for _ in range(2):  # twice: a count of batches would go on
                seen(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
        moved = [name for name, tensor in seen.state_dict().items() if not torch.equal(tensor, before[name])]
        trainable = sum(parameter.requires_grad for parameter in answer.parameters())
    verdict(
        answer,
        lambda net: isinstance(net, nn.Module) and mode and not moved and not trainable,
        "The network is in training mode and its frozen layers are not: nothing in it can move.",
        [
            (lambda net: not isinstance(net, nn.Module), "Give the network itself, not a number or a name."),
            (lambda net: trainable, "Some weights still ask for a gradient: use requires_grad_(False)."),
            (
                lambda net: moved and all(m.training for m in net.modules()),
                "Every layer is in training mode. If you put the BatchNorm layers into evaluation mode, train() afterwards has undone it: mind the order.",
            ),
            (
                lambda net: moved,
                "Some BatchNorm layers are still in training mode: go through net.modules(), which sees the layers inside of layers, too.",
            ),
        ],
        "Nothing moves, but the whole network is in evaluation mode, so that a dropout layer would be off, too: call train() first, then put the BatchNorm layers alone into evaluation mode.",
    )


def switches_for_a_cache(answer: set[str]) -> None:
    """Which of eval, no_grad and inference_mode are used for features that a head is trained on afterwards."""
    names = set(answer) if isinstance(answer, (set, list, tuple)) else answer
    verdict(
        names,
        lambda chosen: chosen == {"eval", "no_grad"},
        "eval() makes the features the same every time, no_grad() forgets the way to them, and a head can still learn from them.",
        [
            (
                lambda chosen: "inference_mode" in chosen and "eval" in chosen,
                "Autograd refuses inference tensors when it comes to train the head on them.",
            ),
            (
                lambda chosen: chosen == {"eval"},
                "The features would be right, but each would keep the whole graph behind it in memory.",
            ),
            (
                lambda chosen: "eval" not in chosen and chosen & {"no_grad", "inference_mode"},
                "That is about what is remembered. Dropout and BatchNorm would still run as in training.",
            ),
        ],
        'Give a set of names out of "eval", "no_grad" and "inference_mode".',
    )
