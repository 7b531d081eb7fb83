"""Checks for the exercises of notebook 01."""

from dataclasses import replace
from functools import lru_cache

import torch

from labutils.analysis.cka import linear_cka
from labutils.analysis.features import group_features
from labutils.analysis.receptive_fields import receptive_field
from labutils.course.exercises.verdict import verdict
from labutils.data import load
from labutils.experiments.runs import FULL, PARTIAL, Strategy
from labutils.networks.backbones import build_feature_extractor
from labutils.training.stages import partial_finetune

NEEDED = 64  # pixels
CHANGED = 0.5  # of the size of the features


def first_to_see_the_picture(answer: str) -> None:
    """Name of the first group whose units see a square of 64 pixels."""
    fields = _fields()
    right = next(name for name, size in fields.items() if size >= NEEDED)
    before = list(fields)[list(fields).index(right) - 1]
    verdict(
        answer,
        right,
        f"A unit of {right} sees {fields[right]} pixels, one of {before} only {fields[before]}.",
        [
            (
                lambda name: name in fields and fields[name] < NEEDED,
                f"Its units see less than {NEEDED} pixels. Compare the sizes that were printed, not the strides.",
            ),
            (
                "layer4",
                "That group averages over the picture, but a unit can see all of it long before anything is averaged.",
            ),
            (
                lambda name: name in fields,
                "Its units do see the whole picture, but an earlier group's do so already.",
            ),
            ("head", "The head only reads features: look at what comes before it."),
        ],
        f"Give the name of a group as a text, one of {', '.join(fields)}.",
    )


@lru_cache(maxsize=1)
def _fields() -> dict[str, int]:
    model = build_feature_extractor(pretrained=False)
    return {name: receptive_field(model, name).size for name in model.names[:-1]}


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
