"""Small things that several test files share."""

import pandas as pd
import torch
from torch import nn

from labutils import Domain
from labutils.networks.backbones import Backbone

CLASSES = 3


def conv(before: int, after: int, stride: int = 2) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )


def make_tiny() -> nn.Module:
    """Four groups, 3 thousand weights: fast, and with all that can go wrong (filters, norms, biases)."""
    return nn.Sequential(conv(3, 8), conv(8, 12), conv(12, 16), nn.Linear(16, 1000))


def cut_tiny(net: nn.Module) -> dict[str, nn.Module]:
    stem, layer1, layer2, linear = net
    last = nn.Sequential(layer2, nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
    return {"stem": stem, "layer1": layer1, "layer2": last, "head": nn.Sequential(linear)}


def tiny_weights() -> dict[str, torch.Tensor]:
    """Made-up "pretrained" weights, always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return make_tiny().state_dict()


def tiny(pretrained: bool) -> nn.Module:
    network = make_tiny()
    if pretrained:
        network.load_state_dict(tiny_weights())
    return network


TINY = Backbone(tiny, (0.5,) * 3, (0.5,) * 3, groups=cut_tiny)


def coloured_patterns(per_class: int = 16, size: int = 32) -> Domain:
    """Reddish horizontal stripes, greenish vertical ones and a bluish chessboard, with noise."""
    generator = torch.Generator().manual_seed(0)
    rows, columns = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    images, labels = [], []
    for i in range(CLASSES * per_class):
        label = i % CLASSES
        shift = int(torch.randint(8, (), generator=generator))
        horizontal, vertical = (rows + shift) // 4 % 2, (columns + shift) // 4 % 2
        pattern = (horizontal, vertical, horizontal ^ vertical)[label]
        noise = torch.randint(70, (3, size, size), generator=generator)
        picture = 60 * pattern + noise
        picture[label] += 60
        images.append(picture.to(torch.uint8))
        labels.append(label)
    ids = torch.arange(len(images))
    place = ids // CLASSES % 16  # 10, 3 and 3 of each 16 pictures of a class
    return Domain(
        "patterns",
        torch.stack(images),
        torch.tensor(labels),
        ("horizontal", "vertical", "chessboard"),
        ids[place < 10],
        ids[(place >= 10) & (place < 13)],
        ids[place >= 13],
        "made up",
    )


def with_statistics(net: nn.Module, images: torch.Tensor) -> nn.Module:
    """Fill the stored statistics of random weights.

    Without, deep features of a random network are as small as 1e-10 in evaluation mode, and any two of them
    would count as equal.
    """
    net.eval()
    for norm in norms(net):
        norm.training, norm.momentum = True, None  # None: the plain mean of what it sees
    with torch.no_grad():
        net(net.normalise(images.float() / 255))
    for norm in norms(net):
        norm.training, norm.momentum = False, 0.1
        norm.num_batches_tracked.zero_()
    return net.train()


def pixels(domain: Domain, count: int = 8) -> torch.Tensor:
    return domain.images[:count].float() / 255


def snapshot(module: nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in module.state_dict().items()}


def changed(before: dict[str, torch.Tensor], module: nn.Module) -> set[str]:
    """Names of the parameters and buffers that are no longer the same to the last bit."""
    now = module.state_dict()
    assert before.keys() == now.keys()
    return {name for name, tensor in before.items() if not torch.equal(tensor, now[name])}


def group_of(name: str) -> str:
    return name.split(".")[0]


def norms(module: nn.Module) -> list[nn.Module]:
    return [part for part in module.modules() if isinstance(part, nn.BatchNorm2d)]


def numbers(history) -> list[dict]:
    """The rows of a history without the time they took, which no two runs share."""
    return history.drop(columns="seconds").to_dict("records")


# Costs of a network of two groups, as `memory_costs` gives them, in bytes that are easy to add up
TWO_GROUPS = pd.DataFrame(
    {
        "group": ["stem", "head"],
        "weights": [10.0, 4.0],
        "trainable": [8.0, 4.0],
        "largest": [8.0, 4.0],
        **{"kept_fixed": 0.0, "kept_each": [5.0, 1.0], "input_fixed": 0.0, "input_each": [1.0, 2.0]},
        **{
            "forward_fixed": 0.0,
            "forward_each": [4.0, 2.0],
            "step_fixed": [8.0, 4.0],
            "step_each": [9.0, 3.0],
        },
    }
)
