"""What is left of the old knowledge: does a fine-tuned network still answer like the original one?"""

import copy
from dataclasses import dataclass

import torch
from PIL import Image
from torch.nn import functional as F

from labutils.data.decoding import to_tensor
from labutils.data.photographs import photograph
from labutils.networks.groups import LayerGroups, inference

# Bundled with scikit-image, and of things that ImageNet knows: a tripod, a cat, an espresso, a moped.
PHOTOGRAPHS = ("camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png")
SMALLEST = 0.6  # of the shorter side of a photograph


@dataclass(frozen=True)
class Agreement:
    """How alike the answers of two networks are.

    Attributes
    ----------
    top1 : float
        Share of pictures, 0 to 1, for which both give the same class.
    kl : float
        Mean Kullback-Leibler divergence of the answers from those of the original, in nats; 0 when they are
        equal, with no upper limit.
    """

    top1: float
    kl: float


def known_pictures(image_size: int = 160, crops: int = 16) -> torch.Tensor:
    """Random square crops of photographs that a network trained on ImageNet knows.

    Always the same. They are read from scikit-image's files: nothing is downloaded.

    Parameters
    ----------
    image_size : int, default 160
        Side in pixels.
    crops : int, default 16
        Of each photograph; every other one is mirrored.

    Returns
    -------
    Tensor of uint8, shape (photographs × crops, 3, S, S)
        The crops of the first photograph in `PHOTOGRAPHS` first.
    """
    generator, pictures = torch.Generator().manual_seed(0), []
    for name in PHOTOGRAPHS:
        whole = photograph(name).convert("RGB")
        for number in range(crops):
            side, left, top = torch.rand(3, generator=generator).tolist()
            side = round((SMALLEST + (1 - SMALLEST) * side) * min(whole.size))
            left, top = round(left * (whole.width - side)), round(top * (whole.height - side))
            box = (left, top, left + side, top + side)
            crop = whole.resize((image_size, image_size), Image.Resampling.BICUBIC, box)
            pictures.append(
                to_tensor(crop.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if number % 2 else crop)
            )
    return torch.stack(pictures)


def imagenet_name(index: int) -> str:
    """What the class with this number, 0 to 999, is called in ImageNet.

    Examples
    --------
    >>> imagenet_name(967)
    'espresso'
    """
    from timm.data import ImageNetInfo

    return ImageNetInfo().index_to_description(int(index)).split(",")[0]


def with_old_head(model: LayerGroups, original: LayerGroups) -> LayerGroups:
    """A copy of ``model`` that answers through the head of ``original``: new groups, old questions.

    Raises
    ------
    ValueError
        When the two are not cut into the same groups.
    """
    if model.names != original.names:
        raise ValueError(f"Not the same groups: {', '.join(model.names)} and {', '.join(original.names)}")
    together = copy.deepcopy(model)
    together.head = copy.deepcopy(original.head).to(next(model.parameters()).device)
    return together


def between(original: LayerGroups, model: LayerGroups, share: float) -> LayerGroups:
    """A copy of ``model`` whose weights lie on the straight line from the original's to its own.

    Parameters
    ----------
    share : float
        0 gives the original's weights, 1 the model's; the head is that of ``model``.

    Notes
    -----
    Wortsman et al. 2022, "Robust fine-tuning of zero-shot models" (there called WiSE-FT), section 3.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"share={share} is out of range: use 0 (the original) to 1 (the model)")
    mixed, old = copy.deepcopy(model), original.state_dict()
    with torch.no_grad():
        for name, tensor in mixed.state_dict().items():
            if not name.startswith("head.") and tensor.is_floating_point():
                tensor.copy_(torch.lerp(old[name].to(tensor), tensor, share))
    return mixed


def answers(model: LayerGroups, images: torch.Tensor, batch_size: int = 32) -> torch.Tensor:
    """Logarithms of the probabilities that a network gives, on the CPU, shape (N, classes).

    Parameters
    ----------
    images : Tensor of uint8, shape (N, 1 or 3, S, S)
    """
    device = next(model.parameters()).device
    with inference(model):
        logits = [
            model(model.normalise(part.to(device).float() / 255)).float().cpu()
            for part in images.split(batch_size)
        ]
    return torch.cat(logits).log_softmax(1)


def agreement(model: LayerGroups, original: LayerGroups, images: torch.Tensor) -> Agreement:
    """Compare the original's answers with those that the groups of ``model`` give under the original's head.

    Parameters
    ----------
    model : LayerGroups
        Fine-tuned; its own head is left out of it, for it answers other questions. Not changed.
    original : LayerGroups
        Such as ``load_backbone("efficientnet_lite0")``, with its ImageNet head.
    images : Tensor of uint8, shape (N, 1 or 3, S, S)
        Pictures that the original knows, such as `known_pictures`.

    Notes
    -----
    Top-1 agreement counts right answers no more than wrong ones: it asks what changed, not what is true. The
    divergence is the measure that Li and Hoiem 2016, "Learning without forgetting", keep small while training.
    """
    old, new = answers(original, images), answers(with_old_head(model, original), images)
    return Agreement(
        top1=float((old.argmax(1) == new.argmax(1)).float().mean()),
        kl=float(F.kl_div(new, old, reduction="batchmean", log_target=True).clamp(min=0)),
    )
