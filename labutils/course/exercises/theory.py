"""Checks for the exercises of notebook 01."""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache

import numpy as np
import torch
from torch import nn

from labutils.analysis.cka import linear_cka
from labutils.analysis.features import group_features
from labutils.course.exercises.verdict import verdict, verdict_on_code
from labutils.data import load
from labutils.experiments.runs import FULL, PARTIAL, Strategy
from labutils.networks.backbones import build_feature_extractor
from labutils.training.stages import partial_finetune

CHANGED = 0.5  # of the size of the features


def sizes_a_field(answer: Callable) -> None:
    """``answer(layers)`` gives how many pixels across a unit sees behind layers given as pairs (kernel, stride)."""
    verdict_on_code(
        answer,
        _fault_of_a_field,
        "Each layer adds its kernel less one, in steps of what the strides before it have grown to. Networks that we built say the same.",
    )


def _fault_of_a_field(answer: Callable) -> str | None:
    for layers in (
        [(3, 1)],
        [(3, 2), (5, 1), (3, 2), (3, 2)],  # each misconception gives another size here
        [(3, 2), (3, 1)],
        [(7, 2), (1, 1), (3, 3), (2, 1)],
    ):
        given, right = float(answer(list(layers))), _seen_by_gradient(layers)
        if given == right:
            continue
        told = " then ".join(f"{kernel} × {kernel} with stride {stride}" for kernel, stride in layers)
        told = f"For {told} it gives {given:g} pixels; the gradient of such a network reaches {right}."
        jumps = np.cumprod([1, *(stride for _, stride in layers)])
        adds = np.array([kernel - 1 for kernel, _ in layers])
        wrong = {
            "The pixel where a field begins is missing: without a layer a unit sees 1.": right - 1,
            "Strides play no part in it: behind a stride of 2 neighbours sit 2 pixels apart, so a kernel reaches twice as far.": 1
            + adds.sum(),
            "A layer's own stride does not widen its own field, only those of the layers behind it.": 1
            + (adds * jumps[1:]).sum(),
            "Fields do not add up like that: a kernel adds its size less one, for its middle was seen already.": sum(
                k for k, _ in layers
            ),
            "Begin at the picture: the strides *before* a layer count, not those behind it.": 1
            + (adds * np.cumprod([1, *(stride for _, stride in layers[::-1])])[:-1][::-1]).sum(),
        }
        return f"{told} {next((hint for hint, size in wrong.items() if size == given), '')}"
    return None


def _seen_by_gradient(layers: list[tuple[int, int]]) -> int:
    """Build the layers, and count the pixels in a row that change one unit."""
    net = nn.Sequential(*[nn.Conv1d(1, 1, kernel, stride, bias=False) for kernel, stride in layers])
    for layer in net:
        nn.init.ones_(layer.weight)
    x = torch.ones(1, 1, 128, requires_grad=True)
    units = net(x)[0, 0]
    units[len(units) // 2].backward()
    return int((x.grad != 0).sum())


def partly_trained(answer: int) -> None:
    """How many parameters partial fine-tuning trains for the ten digits."""
    right, of_textures, everything = (
        _trained(strategy, classes) for strategy, classes in ((PARTIAL, 10), (PARTIAL, 12), (FULL, 10))
    )
    head = _trained(replace(PARTIAL, groups=1), 10)
    verdict(
        answer,
        lambda count: int(count) == right,
        f"A group with {right - head:,} parameters, and a head with {head:,}.",
        [
            (
                lambda count: int(count) == of_textures,
                "That is for the twelve textures: the head of the digits has two outputs less.",
            ),
            (lambda count: int(count) == head, "That is the head alone, so it is feature extraction."),
            (
                lambda count: int(count) == right - head,
                "The head is trained as well: it is the first of the last two groups.",
            ),
            (
                lambda count: int(count) == _trained(replace(PARTIAL, groups=PARTIAL.groups + 1), 10),
                "Two groups, counted from the head: the head is one of them.",
            ),
            (lambda count: int(count) == everything, "That is every parameter, so it is full fine-tuning."),
        ],
        "Count the elements of all parameters with requires_grad after partial_finetune.",
    )


@lru_cache
def _trained(strategy: Strategy, classes: int) -> int:
    model = build_feature_extractor(num_classes=classes, pretrained=False)
    partial_finetune(model, strategy.groups or len(model))
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


def unseen_by_cka(answer: torch.Tensor) -> None:
    """Other numbers than layer4's features of the texture validation pictures, with a CKA of 1 to them."""
    count, alike, same, mixed = len(load("textures", image_size=64).validation), 0.0, False, False
    if isinstance(answer, torch.Tensor) and answer.ndim == 2 and len(answer) == count:
        answer, features = answer.detach().float().cpu(), _features_of_textures()
        if answer.isfinite().all() and answer.std(0).any():
            alike = linear_cka(features, answer)
        if answer.shape == features.shape:
            same = float((answer - features).norm() / features.norm()) < CHANGED
        norms = answer.norm(dim=1).sort().values, features.norm(dim=1).sort().values
        mixed = torch.allclose(*norms, rtol=1e-3)
    verdict(
        answer,
        lambda table: not same and alike > 0.999,
        "Other numbers, the same likeness: CKA does not see which channel holds what, how large it is, or where 0 lies.",
        [
            (
                lambda table: not isinstance(table, torch.Tensor) or table.ndim != 2,
                "Give a tensor with a row for each picture and a column for each feature.",
            ),
            (
                lambda table: len(table) != count,
                f"One row for each of the {count} validation pictures of the textures is needed.",
            ),
            (
                lambda table: same,
                "These are the old numbers, or almost: the difference should be at least half as large as they are.",
            ),
            (
                lambda table: mixed,
                f"CKA {alike:.3f}. These rows seem to be shuffled, and then row i is no longer picture i: shuffle the columns instead.",
            ),
        ],
        "CKA saw this change. It is blind to a rotation of all channels together, to one scale for all, and to a shift; "
        "not to noise, nor to a scale for each channel.",
    )


@lru_cache(maxsize=1)
def _features_of_textures() -> torch.Tensor:
    textures = load("textures", image_size=64)
    return group_features(build_feature_extractor(), textures.images[textures.validation])["layer4"]
