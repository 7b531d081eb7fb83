"""How far pictures are from those of pretraining, by the stored statistics of BatchNorm."""

import pandas as pd
from torch import Tensor

from labutils.analysis.features import batches
from labutils.networks.groups import BatchNorm, LayerGroups, inference


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
