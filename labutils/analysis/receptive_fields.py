"""What single channels answer to: how much of a picture they see, and the parts of real pictures that excite them most."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from labutils.analysis.features import as_maps, batches
from labutils.data.decoding import to_tensor
from labutils.data.photographs import photograph
from labutils.networks.groups import BatchNorm, LayerGroups, inference

# In scikit-image: those that "textures" is cut from, and four more.
PHOTOGRAPHS = (
    *("astronaut.png", "brick.png", "camera.png", "chelsea.png", "clock_motion.png", "coffee.png"),
    *("coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "ihc.png", "moon.png"),
    *("motorcycle_left.png", "page.png", "retina.jpg", "rocket.jpg"),
)


@dataclass(frozen=True)
class Field:
    """What the units of a group see: unit i of a row or column sees ``size`` pixels from ``start + stride · i`` on.

    Parameters
    ----------
    size : int
        Side of the square in pixels.
    stride, start : int
        In pixels. A stride of 0 means that every unit sees the whole picture.
    """

    size: int
    stride: int
    start: int

    def inside(self, units: int, image_size: int) -> Tensor:
        """Which of the units of a row, shape (units,), see nothing beyond the border of the picture; bool."""
        first = self.start + self.stride * torch.arange(units)
        return (first >= 0) & (first + self.size <= image_size)

    def crop(self, image: Tensor, row: int, column: int) -> Tensor:
        """The part of ``image``, shape (C, S, S), that one unit sees."""
        top, left = (max(0, self.start + self.stride * place) for place in (row, column))
        return image[:, top : top + self.size, left : left + self.size]


def receptive_field(model: LayerGroups, group: str, image_size: int = 256) -> Field:
    """Which pixels can change the units of a group, found by the gradient of the middle unit.

    In a copy all filters are set to the same positive weights and BatchNorm to nothing, so that no gradient vanishes by
    chance: what is left is the geometry.

    Parameters
    ----------
    model : LayerGroups
        A network of convolutions; not changed.
    group : str
        Its name.
    image_size : int, default 256
        Side of the picture in pixels. Units that see more than that count as seeing the whole picture.

    Raises
    ------
    ValueError
        Unknown group.

    Notes
    -----
    Luo et al. 2016, "Understanding the effective receptive field", section 2: the extent of the gradient. The pixels that
    matter most lie in the middle of it.
    """
    prefix = copy.deepcopy(prefix_to(model, group)).double()
    for module in prefix.modules():
        if isinstance(module, BatchNorm):
            module.reset_running_stats()
        for name, parameter in module.named_parameters(recurse=False):
            nn.init.constant_(parameter, 0.0 if name == "bias" else 1 / max(1, parameter[0].numel()))
    prefix = prefix.eval().requires_grad_(False)
    # Small values stay in the range where ReLU6 and its kind pass on every change.
    x = torch.full((1, 3, image_size, image_size), 0.01, dtype=torch.float64, requires_grad=True)
    x.data = x.data.to(next(model.parameters()).device)
    y = prefix(x)
    if y.ndim == 2:
        return Field(image_size, 0, 0)
    middle = y.shape[-1] // 2
    y[0, :, middle, middle].sum().backward()
    rows = x.grad[0].abs().sum((0, 2)).nonzero().flatten().tolist()
    first, last = rows[0], rows[-1]
    if first == 0 or last == image_size - 1:
        return Field(image_size, 0, 0)
    stride = image_size // y.shape[-1]
    return Field(last - first + 1, stride, first - stride * middle)


def prefix_to(model: LayerGroups, group: str) -> LayerGroups:
    """The groups from the first up to and with the one named."""
    if group not in model.names:
        raise ValueError(f"No group called {group!r}; this network has {', '.join(model.names)}")
    return model[: model.names.index(group) + 1]


def strongest_crops(
    model: LayerGroups, images: Tensor, group: str, channels: Sequence[int], count: int = 6
) -> dict[int, list[Tensor]]:
    """The parts of the pictures to which channels of a group respond most: at most one from each picture.

    Parameters
    ----------
    model : LayerGroups
        Not changed.
    images : Tensor of uint8, shape (N, 1 or 3, S, S)
    group : str
        Name of a group before the head.
    channels : sequence of int
    count : int, default 6
        Crops for each channel; fewer if there are fewer pictures.

    Returns
    -------
    dict of int to list of Tensor of uint8, shape (C, side, side)
        Channel to crops, the strongest first. The side is that of the receptive field: small in early groups, the
        picture in late ones. Units that see beyond the border of the picture do not count.

    Raises
    ------
    ValueError
        Unknown group, or a channel it does not have.

    Notes
    -----
    Zeiler and Fergus 2014, "Visualizing and understanding convolutional networks", section 4.1.
    """
    field = receptive_field(model, group, images.shape[-1])
    prefix, channels = prefix_to(model, group), list(channels)
    values, places = [], []
    with inference(prefix):
        for x in batches(model, images):
            y = as_maps(prefix(x))
            width = y.shape[-1] if y.ndim == 4 else 1
            if not 0 <= min(channels) <= max(channels) < y.shape[1]:
                raise ValueError(f"{group} has channels 0 to {y.shape[1] - 1}, not all of {channels}")
            y = y[:, channels].reshape(len(x), len(channels), width, width).cpu()
            inside = field.inside(width, images.shape[-1])
            best = y.masked_fill(~(inside[:, None] & inside), -torch.inf).flatten(2).max(2)
            values.append(best.values)
            places.append(best.indices)
    values, places = torch.cat(values), torch.cat(places)
    chosen = values.topk(min(count, len(images)), dim=0).indices  # (count, channels)
    return {
        channel: [
            field.crop(images[i], *divmod(int(places[i, column]), width)) for i in chosen[:, column].tolist()
        ]
        for column, channel in enumerate(channels)
    }


def photographs(image_size: int = 128, tiles: int = 3) -> Tensor:
    """The photographs that come with scikit-image, each whole and cut into tiles, in colour.

    Parameters
    ----------
    image_size : int, default 128
        Side of each returned picture in pixels.
    tiles : int, default 3
        The middle square of a photograph is scaled to ``tiles * image_size`` and cut into as many rows and columns.

    Returns
    -------
    Tensor of uint8, shape (16 · (1 + tiles²), 3, image_size, image_size)
        The whole photographs first.
    """
    from PIL import Image, ImageOps

    wholes, parts = [], []
    for name in PHOTOGRAPHS:
        picture = photograph(name).convert("RGB")
        square = ImageOps.fit(picture, [tiles * image_size] * 2, Image.Resampling.BICUBIC)
        wholes.append(to_tensor(square.resize([image_size] * 2, Image.Resampling.BICUBIC)))
        whole = to_tensor(square).unfold(1, image_size, image_size).unfold(2, image_size, image_size)
        parts.append(whole.permute(1, 2, 0, 3, 4).flatten(0, 1))
    return torch.cat([torch.stack(wholes), *parts])
