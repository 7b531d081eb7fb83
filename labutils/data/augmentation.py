"""Random changes of pictures, in batches on the device, drawn anew for every picture (by kornia)."""

import torch

from labutils.runtime.seeds import derived_seed, seeded


class Augmentation:
    """Views of pictures: the same picture, view number and seed always give the same view.

    The random numbers of a view are drawn for all pictures of a data set at once and looked up by sample id,
    so a view does not depend on the batch it is computed in. That is what lets cached activations equal
    recomputed ones, and an interrupted run equal an uninterrupted one.

    Parameters
    ----------
    names : tuple of str
        Any of "flip", "vertical_flip", "quarter_turns" (0, 90, 180 or 270°), "crop" (60 to 100 % of the area,
        scaled back) and "jitter" (brightness ± 0.2 of white, contrast 0.8 to 1.2 times); applied in this order.
    samples : int
        Pictures in the data set.
    image_size : int
        Side of the square pictures in pixels.
    seed : int, default 0
    """

    def __init__(self, names: tuple[str, ...], samples: int, image_size: int, seed: int = 0):
        self.names, self.samples, self.image_size, self.seed = tuple(names), samples, image_size, seed
        self._pipeline = _pipeline(self.names, image_size) if names else None
        self._view, self._parameters = None, None

    def key(self, view: int | None) -> tuple:
        """What a view depends on, as part of a cache key."""
        return (self.names, self.seed, view, self.samples) if self.names and view is not None else ()

    def __call__(self, pixels: torch.Tensor, ids: torch.Tensor, view: int | None) -> torch.Tensor:
        """Change ``pixels``, shape (B, C, S, S) from 0 to 1, of the pictures ``ids``; view None changes nothing."""
        if self._pipeline is None or view is None:
            return pixels
        if view != self._view:
            with seeded(derived_seed(self.seed, "augmentation", view)):
                shape = torch.Size((self.samples, 3, self.image_size, self.image_size))
                self._view, self._parameters = view, self._pipeline.forward_parameters(shape)
        if pixels.shape[1] == 1 and "jitter" in self.names:
            pixels = pixels.expand(-1, 3, -1, -1)  # kornia changes colour pictures only
        return self._pipeline(pixels, params=[_rows(item, ids, pixels) for item in self._parameters]).clamp_(
            0, 1
        )


def _rows(item, ids: torch.Tensor, pixels: torch.Tensor):
    """The parameters of the samples ``ids``; two entries describe the batch, not its samples."""
    shared = ("order", "forward_input_shape")
    data = {
        name: value if name in shared else value[ids.cpu()].to(pixels.device)
        for name, value in item.data.items()
    }
    data["forward_input_shape"] = torch.tensor(pixels.shape)
    return type(item)(item.name, data)


def _pipeline(names: tuple[str, ...], image_size: int):
    import kornia.augmentation as kornia

    known = {
        "flip": lambda: kornia.RandomHorizontalFlip(p=0.5),
        "vertical_flip": lambda: kornia.RandomVerticalFlip(p=0.5),
        "quarter_turns": lambda: kornia.RandomRotation90(times=(0, 3), p=1.0),
        "crop": lambda: kornia.RandomResizedCrop(
            (image_size, image_size), scale=(0.6, 1.0), ratio=(0.8, 1.25), cropping_mode="resample", p=1.0
        ),
        "jitter": lambda: kornia.ColorJiggle(brightness=0.2, contrast=0.2, saturation=0.0, hue=0.0, p=1.0),
    }
    return kornia.AugmentationSequential(
        *(known[name]() for name in known if name in names), data_keys=["input"]
    )
