"""What the groups of a network hold: their features, how alike two sets of them are, and how far from ImageNet's."""

from collections.abc import Iterator

import pandas as pd
import torch
from torch import Tensor

from labutils.activation_cache import pictures_per_pass
from labutils.domains import Domain
from labutils.groups import BatchNorm, LayerGroups, inference


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
                parts[name].append((x.mean((2, 3)) if x.ndim == 4 else x).float().cpu())
    return {name: torch.cat(seen) for name, seen in parts.items()}


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


def linear_cka(one: Tensor, other: Tensor) -> float:
    """Linear centred kernel alignment: how alike two sets of features of the same pictures are, 0 to 1.

    1 means equal up to a rotation, a scale and a shift; which channel holds what does not matter. It needs clearly more
    pictures than channels to be near 0 for unrelated features, so compare it with a value for a random network.

    Parameters
    ----------
    one, other : Tensor, shapes (N, C) and (N, D)
        Row i of both belongs to picture i.

    Raises
    ------
    ValueError
        Different numbers of pictures, or features that are the same for all pictures.

    Notes
    -----
    Kornblith et al. 2019, "Similarity of neural network representations revisited", section 3.

    Examples
    --------
    >>> features = torch.tensor([[0.0, 1.0], [2.0, 0.0], [1.0, 5.0]])
    >>> round(linear_cka(features, 10 * features.flip(1) - 3), 6)
    1.0
    """
    if one.ndim != 2 or other.ndim != 2 or len(one) != len(other):
        raise ValueError(
            f"Two tables with a row for each picture are needed, not {tuple(one.shape)} and {tuple(other.shape)}"
        )
    one, other = (table.double() - table.double().mean(0) for table in (one, other))
    sizes = [torch.linalg.matrix_norm(table.T @ table) for table in (one, other)]
    if min(sizes) == 0:
        raise ValueError("These features are the same for every picture: there is nothing to compare")
    return float(torch.linalg.matrix_norm(one.T @ other) ** 2 / (sizes[0] * sizes[1]))


def compare_groups(model: LayerGroups, other: LayerGroups, images: Tensor) -> pd.DataFrame:
    """`linear_cka` between two networks, group by group: columns group and cka."""
    pairs = [group_features(each, images) for each in (model, other)]
    cka = [linear_cka(pairs[0][name], pairs[1][name]) for name in pairs[0]]
    return pd.DataFrame({"group": list(pairs[0]), "cka": cka})


def probe_depths(model: LayerGroups, domain: Domain) -> pd.DataFrame:
    """Accuracy of a linear classifier on the features of each group.

    Logistic regression on standardised features, trained on ``domain.train`` and scored on ``domain.validation``: to
    compare depths is to choose between them, and the test pictures are not for choosing.

    Returns
    -------
    DataFrame
        domain, group, channels (count), accuracy (validation, 0 to 1); shallow to deep.

    Notes
    -----
    Alain and Bengio 2016, "Understanding intermediate layers using linear classifier probes".
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    ids = torch.cat([domain.train, domain.validation])
    labels, split = domain.labels[ids].numpy(), len(domain.train)
    rows = []
    for group, features in group_features(model, domain.images[ids]).items():
        x = features.numpy()
        probe = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
        probe.fit(x[:split], labels[:split])
        accuracy = float(probe.score(x[split:], labels[split:]))
        rows.append({"domain": domain.name, "group": group, "channels": x.shape[1], "accuracy": accuracy})
    return pd.DataFrame(rows)


def distance_from_pretraining(model: LayerGroups, images: Tensor) -> pd.DataFrame:
    """How far the activations of these pictures are from those of the pictures that the network was trained on.

    Each BatchNorm layer has stored mean μ₀ and standard deviation σ₀ of every channel over its training pictures. They are
    compared with μ and σ over these pictures: the distance of a layer is the root of the mean over its channels of
    ((μ − μ₀)² + (σ − σ₀)²) / σ₀². No training picture is needed.

    Parameters
    ----------
    model : LayerGroups
        With pretrained weights; not changed. On a network that was trained further it measures from the old pictures still.
    images : Tensor of uint8, shape (N, 1 or 3, S, S)

    Returns
    -------
    DataFrame
        group, distance: mean over the group's layers, in units of the stored standard deviation. Groups without
        BatchNorm have no row.

    Raises
    ------
    ValueError
        The network has no BatchNorm layer with stored statistics that were ever updated.

    Notes
    -----
    For Gaussians this is the Fréchet distance between the two, channel by channel; Heusel et al. 2017, "GANs trained by a
    two time-scale update rule", section 3, compare features in this way (with all covariances).
    """
    layers = {
        layer: name
        for name, group in model.named_children()
        for layer in group.modules()
        if isinstance(layer, BatchNorm) and layer.running_mean is not None
    }
    if not layers or all(not layer.running_mean.any() for layer in layers):
        raise ValueError("This network has no BatchNorm statistics of pretraining to measure from")
    sums = {layer: [0, 0.0, 0.0] for layer in layers}

    def add(layer, inputs: tuple[Tensor]) -> None:
        values = inputs[0].double().transpose(0, 1).flatten(1)
        seen = sums[layer]
        seen[0] += values.shape[1]
        seen[1] = seen[1] + values.sum(1)
        seen[2] = seen[2] + values.square().sum(1)

    hooks = [layer.register_forward_pre_hook(add) for layer in layers]
    try:
        with inference(model):
            for x in batches(model, images):
                model(x)
    finally:
        for hook in hooks:
            hook.remove()
    rows = []
    for layer, group in layers.items():
        count, total, squares = sums[layer]
        mean = total / count
        std = (squares / count - mean.square()).clamp_min(0).sqrt()
        stored_std = (layer.running_var + layer.eps).double().sqrt()
        squared = ((mean - layer.running_mean).square() + (std - stored_std).square()) / stored_std.square()
        rows.append({"group": group, "distance": float(squared.mean().sqrt())})
    return pd.DataFrame(rows).groupby("group", sort=False, as_index=False).mean()
