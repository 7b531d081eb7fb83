"""Whether network and pictures fit together, asked before any work."""

import torch
from torch import nn

from labutils.data import Domain
from labutils.data.class_names import renumbered
from labutils.networks.groups import LayerGroups, inference


def require_fitting(model: LayerGroups, domain: Domain) -> Domain:
    """The domain with its labels in the order of the network's outputs, matched by the names of the classes.

    A network that was not trained yet has no names; its outputs take those of the domain in their order.

    Raises
    ------
    TypeError
        Another kind of model or pictures.
    ValueError
        More classes than outputs, or names that the network does not know.
    """
    if not isinstance(model, LayerGroups):
        raise TypeError(
            f"The model is a {type(model).__name__}, not a network of named groups: make one with "
            "build_feature_extractor, or cut your own into LayerGroups"
        )
    if not isinstance(domain, Domain):
        raise TypeError(
            f"The pictures are given as {type(domain).__name__}, not as a Domain: open them with load or folder"
        )
    outputs = count_outputs(model, domain.image_size)
    if (
        model.classes is not None and len(model.classes) <= outputs
    ):  # else the names of a layer since replaced
        return renumbered(domain, model.classes)
    if len(domain.classes) > outputs:
        raise ValueError(
            f"{domain.name} has {len(domain.classes)} classes but the head only {outputs} outputs: "
            f"build the model with num_classes={len(domain.classes)}"
        )
    return domain


def count_outputs(model: LayerGroups, image_size: int) -> int:
    """How many numbers the network answers with, whatever its head is made of.

    Raises
    ------
    ValueError
        The head does not fit to the features, or does not give one row of numbers a picture.
    """
    last = model.head[-1] if isinstance(model.head, nn.Sequential) and len(model.head) else model.head
    if isinstance(last, nn.Linear):
        return last.out_features
    weight = next(model.parameters())
    blank = torch.zeros(1, 3, image_size, image_size, device=weight.device, dtype=weight.dtype)
    with inference(model):
        shape = model(blank).shape
    if len(shape) != 2 or shape[0] != 1:
        raise ValueError(
            f"The head gives {' × '.join(map(str, shape))} numbers for one picture: it must end in one row, "
            "such as nn.Linear gives of the features"
        )
    return shape[1]
