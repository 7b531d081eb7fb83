"""Where in the picture does the network find its reasons? (Selvaraju et al. 2017, "Grad-CAM")"""

import torch
from torch import Tensor
from torch.nn import functional as F

from labutils.analysis.features import as_maps, batches
from labutils.networks.groups import LayerGroups, inference

COARSEST = 4  # cells to a side that a map should have at least


def class_map(
    model: LayerGroups, images: Tensor, classes: Tensor | int | None = None, group: str | None = None
) -> Tensor:
    """Grad-CAM: which places speak for a class.

    The network is cut behind ``group``. Each channel there is weighed by how much the class gains, over the whole map,
    when the channel grows; the weighed channels are added up, and what speaks against the class is set to 0.

    Parameters
    ----------
    model : LayerGroups
        Run in evaluation mode, frozen or not; nothing in it changes.
    images : Tensor of uint8, shape (N, 1 or 3, S, S)
    classes : Tensor of int64, shape (N,), or int, optional
        The class asked for; default the network's own answer.
    group : str, optional
        Default the deepest whose map has at least 4 × 4 cells. Deeper groups know more, but see coarser.

    Returns
    -------
    Tensor of float32, shape (N, S, S)
        On the CPU, from 0 up, in logits per cell; scale it for a picture. All 0 where nothing speaks for the class.

    Raises
    ------
    ValueError
        A group without a map, or unknown.
    """
    sizes = _map_sizes(model, images.shape[-1])
    if not sizes:
        raise ValueError(f"No group of {model.backbone} gives a map")
    if group is None:
        fine = [name for name, side in sizes.items() if side >= COARSEST]
        group = fine[-1] if fine else next(iter(sizes))
    if group not in sizes:
        raise ValueError(f"{group!r} gives no map; use one of {', '.join(sizes)}")
    cut = model.names.index(group) + 1
    wanted = None if classes is None else torch.as_tensor(classes).expand(len(images))
    maps, done = [], 0
    for x in batches(model, images):
        with inference(model):
            features = model[:cut](x).requires_grad_(True)
            with torch.enable_grad():
                logits = model[cut:](features * 1)  # a copy: some layers work in place
                asked = logits.argmax(1) if wanted is None else wanted[done : done + len(x)].to(x.device)
                score = logits.gather(1, asked[:, None]).sum()
            slopes, values = as_maps(torch.autograd.grad(score, features)[0]), as_maps(features.detach())
        weights = slopes.mean((2, 3), keepdim=True)
        coarse = (weights * values).sum(1, keepdim=True).relu()
        full = F.interpolate(coarse, images.shape[-2:], mode="bilinear", align_corners=False)
        maps.append(full.squeeze(1).float().cpu())
        done += len(x)
    return torch.cat(maps)


def hide(images: Tensor, maps: Tensor, share: float = 0.1) -> Tensor:
    """Cover the places where a map is highest with the picture's mean brightness: a test of the map.

    Parameters
    ----------
    images : Tensor of uint8, shape (N, C, S, S)
    maps : Tensor of shape (N, S, S)
        Random numbers hide random pixels.
    share : float, default 0.1
        Of the pixels, above 0 up to 1; at least one.

    Returns
    -------
    Tensor of uint8, shape (N, C, S, S)
    """
    if not 0 < share <= 1:
        raise ValueError(f"share={share} is out of range: use above 0, up to 1")
    count = max(1, round(share * maps[0].numel()))
    places = maps.flatten(1).topk(count, 1).indices
    covered = torch.zeros_like(maps.flatten(1), dtype=torch.bool).scatter_(1, places, True)
    mean = images.float().mean((2, 3), keepdim=True).round().to(torch.uint8)
    return torch.where(covered.view(len(maps), 1, *maps.shape[1:]), mean, images)


def _map_sizes(model: LayerGroups, image_size: int) -> dict[str, int]:
    """Groups before the head that give maps, with the cells to a side."""
    first, image_size = next(model.parameters()), model.image_size or image_size
    x, sizes = torch.zeros(1, 3, image_size, image_size, device=first.device), {}
    with inference(model):
        for name in model.names[:-1]:
            x = getattr(model, name)(x)
            if x.ndim == 4:
                sizes[name] = as_maps(x).shape[-1]
    return sizes
