"""Networks and pictures so small that an exercise can train one in a moment, in plain PyTorch."""

from collections import OrderedDict

import torch
from torch import Tensor, nn

from labutils.runtime.seeds import seeded

CLASSES = 4
WIDTHS = {"stem": 4, "layer1": 4, "layer2": 6, "layer3": 6, "layer4": 8}  # channels


def small_network(seed: int = 0, classes: int = CLASSES, dropout: float = 0.0) -> nn.Sequential:
    """Six groups with the names of a ResNet, of filters, BatchNorm and ReLU; the head is a linear layer.

    BatchNorm holds statistics of other pictures, as in a pretrained network: the two modes give different outputs.

    Parameters
    ----------
    seed : int, default 0
        The same seed gives the same weights.
    classes : int, default 4
        Outputs of the head.
    dropout : float, default 0
        Share of features that layer4 drops in training mode.

    Returns
    -------
    nn.Sequential
        ``net.stem`` … ``net.head``, everything trainable and in training mode. Takes shape (N, 3, S, S).
    """
    with seeded(seed):
        groups, before = OrderedDict(), 3
        for name, width in WIDTHS.items():
            groups[name] = nn.Sequential(
                nn.Conv2d(before, width, 3, 2 if name == "stem" else 1, 1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(),
            )
            before = width
        groups["layer4"].extend([nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)])
        net = nn.Sequential(OrderedDict(groups, head=nn.Linear(before, classes)))
        with torch.no_grad():
            for _ in range(20):
                net(torch.randn(16, 3, 8, 8))
    return net


def small_pictures(count: int = 24, seed: int = 1, classes: int = CLASSES) -> tuple[Tensor, Tensor]:
    """Normalised pictures of noise, shape (count, 3, 8, 8), each class with a brightness of its own, and their labels."""
    with seeded(seed):
        labels = torch.arange(count) % classes
        shade = torch.linspace(-1, 1, classes)[labels]
        return torch.randn(count, 3, 8, 8) + shade[:, None, None, None], labels


def changed(before: dict[str, Tensor], net: nn.Module) -> list[str]:
    """Names of weights and buffers of ``net`` that are no longer equal to ``before``, a copy of its state."""
    return [name for name, tensor in net.state_dict().items() if not torch.equal(tensor, before[name])]


def changed_groups(before: dict[str, Tensor], net: nn.Module) -> set[str]:
    """Names of the groups of ``net`` in which anything has `changed`."""
    return {name.split(".")[0] for name in changed(before, net)}


def state_of(net: nn.Module) -> dict[str, Tensor]:
    """A copy of all weights and buffers."""
    return {name: tensor.detach().clone() for name, tensor in net.state_dict().items()}
