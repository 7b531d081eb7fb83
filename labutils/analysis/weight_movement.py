"""How far training moved the weights of each layer group."""

from collections.abc import Iterator, Mapping

import torch

from labutils.networks.groups import LayerGroups


def movement(before: Mapping[str, torch.Tensor], model: LayerGroups) -> dict[str, float]:
    """Relative distance ‖w − w₀‖ / ‖w₀‖ that the parameters of each group moved; buffers do not count.

    Parameters
    ----------
    before : mapping of str to Tensor
        A copy of ``model.state_dict()`` from before the training: the tensors themselves are trained in place.
    model : LayerGroups

    Returns
    -------
    dict of str to float
        Group to distance, 0 where nothing moved, shallow to deep.

    Raises
    ------
    KeyError
        When ``before`` is of another network.

    Examples
    --------
    >>> from torch import nn
    >>> net = LayerGroups({"stem": nn.Linear(2, 2), "head": nn.Linear(2, 2)})
    >>> before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    >>> with torch.no_grad():
    ...     for parameter in net.head.parameters():
    ...         _ = parameter.mul_(1.5)
    >>> {name: round(moved, 4) for name, moved in movement(before, net).items()}
    {'stem': 0.0, 'head': 0.5}
    """
    moved = {}
    for name, pairs in _pairs(before, model):
        change = sum(float((now - then).square().sum()) for then, now in pairs)
        size = sum(float(then.square().sum()) for then, _ in pairs)
        moved[name] = (change / size) ** 0.5
    return moved


def share_changed(before: Mapping[str, torch.Tensor], model: LayerGroups) -> dict[str, float]:
    """Share, 0 to 1, of each group's single weights that are no longer the same to the last bit.

    A step that is smaller than half the gap between a weight and the next number that float32 can hold, about one
    part in 10 or 20 million, leaves the weight as it was, however often it is repeated.

    Parameters and errors as in `movement`.
    """
    shares = {}
    for name, pairs in _pairs(before, model):
        changed = sum(int((now != then).sum()) for then, now in pairs)
        shares[name] = changed / sum(then.numel() for then, _ in pairs)
    return shares


def _pairs(
    before: Mapping[str, torch.Tensor], model: LayerGroups
) -> Iterator[tuple[str, list[tuple[torch.Tensor, torch.Tensor]]]]:
    """Each group with its parameters then and now."""
    for name, group in model.named_children():
        yield (
            name,
            [
                (before[f"{name}.{path}"].cpu(), parameter.detach().cpu())
                for path, parameter in group.named_parameters()
            ],
        )
