"""Material of the bug clinic: networks, pictures and a loop in plain PyTorch, without this lab's care for what is frozen."""

import copy
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset

from labutils.data import Domain
from labutils.networks.backbones import DEFAULT_BACKBONE, build_feature_extractor
from labutils.networks.groups import LayerGroups, inference

BATCH = 64  # pictures at once where nothing is learned


def plain_network(
    classes: int,
    trainable: tuple[str, ...] = ("head",),
    *,
    head: nn.Linear | None = None,
    dropout: float = 0.0,
    backbone: str = DEFAULT_BACKBONE,
) -> nn.Sequential:
    """The pretrained network as most tutorials have it: frozen by ``requires_grad``, and by nothing else.

    Parameters
    ----------
    classes : int
        Outputs of the new head.
    trainable : tuple of str, default ("head",)
        Names of the groups whose weights ask for a gradient.
    head : nn.Linear or None, default None
        Trained weights for the head; they are copied. None leaves it new.
    dropout : float, default 0
        Share of features that the head drops in training mode.
    backbone : str, default "efficientnet_lite0", or the variable LAB_BACKBONE
        A name as `build_feature_extractor` takes it.

    Returns
    -------
    nn.Sequential
        ``net.stem`` … ``net.head`` in training mode throughout, as a network is that was just made. Takes
        normalised pictures, shape (N, 3, S, S). ``head`` is a dropout and a linear layer.

    Raises
    ------
    ValueError
        As `build_feature_extractor`, or for names of groups that the network does not have.
    """
    groups = copy.deepcopy(_built(backbone, classes))
    groups.head.dropout.p = dropout
    unknown = set(trainable) - set(groups.names)
    if unknown:
        raise ValueError(
            f"No group called {', '.join(sorted(unknown))}; this network has {', '.join(groups.names)}"
        )
    if head is not None:
        groups.head.linear.load_state_dict(head.state_dict())
    net = nn.Sequential(OrderedDict(groups.named_children()))
    for name, group in net.named_children():
        group.requires_grad_(name in trainable)
    return net.train()


@lru_cache(maxsize=4)
def _built(backbone: str, classes: int) -> LayerGroups:
    """Making the network takes twenty times as long as copying it, and the clinic needs two dozen."""
    return build_feature_extractor(backbone, classes)


def pictures(domain: Domain, split: str = "train", count: int | None = None) -> tuple[Tensor, Tensor]:
    """Pixels from 0 to 1, shape (N, 3, S, S), *not* normalised, and the labels of one split.

    Parameters
    ----------
    domain : Domain
    split : {"train", "validation", "test"}, default "train"
    count : int or None, default None
        Only so many of them, spread evenly over the split.
    """
    ids = getattr(domain, split)
    if count is not None:
        ids = ids[torch.linspace(0, len(ids) - 1, count).round().long()]
    return domain.images[ids].float().div(255).expand(-1, 3, -1, -1), domain.labels[ids]


class Pictures(Dataset):
    """Pairs of picture and label by row number, as the data sets of torchvision give them.

    Parameters
    ----------
    images : Tensor, shape (N, 3, S, S)
    labels : Tensor of int64, shape (N,)
    transform : callable or None, default None
        Applied to a picture of shape (3, S, S), anew whenever the picture is asked for.
    """

    def __init__(self, images: Tensor, labels: Tensor, transform: Callable[[Tensor], Tensor] | None = None):
        self.images, self.labels, self.transform = images, labels, transform

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> tuple[Tensor, Tensor]:
        image = self.images[row]
        return image if self.transform is None else self.transform(image), self.labels[row]


def features_of(net: nn.Sequential, x: Tensor) -> Tensor:
    """What leaves the last group before the head in evaluation mode, shape (N, features); modes are as before."""
    body = net[:-1]
    with inference(body):
        return torch.cat([body(part) for part in x.split(BATCH)])


def accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    """Share of right answers, 0 to 1, in evaluation mode; the modes are as before afterwards."""
    with inference(net):
        answers = torch.cat([net(part).argmax(1) for part in x.split(BATCH)])
    return answers.eq(y).float().mean().item()


def train(
    net: nn.Module,
    x: Tensor,
    y: Tensor,
    optimizer: torch.optim.Optimizer,
    epochs: int,
    batch_size: int = 32,
) -> list[float]:
    """A loop without a bug: shuffled batches, cross-entropy, one step each. It sets no modes: its caller does.

    Returns
    -------
    list of float
        Mean loss of the pictures in each epoch, taken while the network learns.
    """
    losses = []
    for _ in range(epochs):
        total = 0.0
        for rows in torch.randperm(len(y), device=y.device).split(batch_size):
            optimizer.zero_grad()
            loss = cross_entropy(net(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            total += len(rows) * loss.item()
        losses.append(total / len(y))
    return losses
