"""Features of each group, averaged over the picture."""

from collections.abc import Iterator

import torch
from torch import Tensor

from labutils.networks.groups import LayerGroups, inference
from labutils.training.precision import pictures_per_pass


def group_features(model: LayerGroups, images: Tensor) -> dict[str, Tensor]:
    """Features after each group before the head, averaged over the picture, from one pass.

    Parameters
    ----------
    model : LayerGroups
        Run in evaluation mode; nothing in it changes.
    images : Tensor of uint8, shape (N, 1 or 3, S, S)

    Returns
    -------
    dict of str to Tensor of float32, shape (N, channels)
        Name of the group to its features, on the CPU.

    Raises
    ------
    ValueError
        No pictures, or not uint8.
    """
    parts: dict[str, list[Tensor]] = {name: [] for name in model.names[:-1]}
    with inference(model):
        for x in batches(model, images):
            for name in parts:
                x = getattr(model, name)(x)
                parts[name].append(_pooled(x).float().cpu())
    return {name: torch.cat(seen) for name, seen in parts.items()}


def as_maps(x: Tensor) -> Tensor:
    """Maps as (N, C, S, S), also where the network has its channels last, as Swin does."""
    last = x.ndim == 4 and x.shape[1] == x.shape[2] != x.shape[3]
    return x.movedim(-1, 1) if last else x


def _pooled(x: Tensor) -> Tensor:
    """The mean over the places of a map, or over the tokens of a sequence (N, T, C)."""
    return as_maps(x).mean((2, 3)) if x.ndim == 4 else x.mean(1) if x.ndim == 3 else x


def batches(model: LayerGroups, images: Tensor) -> Iterator[Tensor]:
    """The pictures as the stem expects them, on the model's device, a few at a time."""
    if images.dtype != torch.uint8 or images.ndim != 4 or not len(images):
        raise ValueError(
            f"images must be uint8 of shape (N, 1 or 3, S, S) with N at least 1, "
            f"not {images.dtype} of shape {tuple(images.shape)}"
        )
    device = next(model.parameters()).device
    for some in images.split(pictures_per_pass(device)):
        yield model.normalise(some.to(device).float() / 255).contiguous(memory_format=torch.channels_last)
