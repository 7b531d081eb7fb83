"""The one idea of the lab: a network is a sequence of named layer groups, shallow to deep."""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm


class LayerGroups(nn.Sequential):
    """A classifier as named groups ``stem, layer1, …, head``, in the order in which they are computed.

    ``model.layer4`` is a group, ``model[:k]`` the first k groups and ``model[k:]`` the rest, sharing the
    weights. A module none of whose parameters is trainable always runs in evaluation mode, also after
    ``model.train()``: BatchNorm then uses its stored statistics and does not move them (the rule of Keras'
    ``BatchNormalization.trainable``), and dropout is off.

    Parameters
    ----------
    groups : dict of str to Module
        Name to group; the last is called ``head``.
    mean, std : tuple of float
        Per channel (red, green, blue), of pixel values scaled to 0..1, as the pretrained weights expect.
    backbone : str
        Name in the registry of backbones, for messages and stored results.
    stored_statistics : bool, default False
        BatchNorm normalises by its stored statistics in trainable groups too. Right for pretrained weights and
        small data: batch statistics would change what every later group sees at the first step. Wrong for
        random weights, whose stored statistics mean nothing; and so never in the head, which is new.
    image_size : int, optional
        Side in pixels of the only pictures that the network takes: `normalise` resizes others.
    """

    def __init__(
        self,
        groups: dict[str, nn.Module],
        mean: Sequence[float] = (0.5, 0.5, 0.5),
        std: Sequence[float] = (0.5, 0.5, 0.5),
        backbone: str = "",
        stored_statistics: bool = False,
        image_size: int | None = None,
    ):
        super().__init__()
        if not isinstance(groups, Mapping):
            raise TypeError(
                f"Give the groups by name, {{'stem': …, 'head': …}}, not as {type(groups).__name__}"
            )
        if "head" in list(groups)[:-1]:
            raise ValueError(f"The group called head must be the last, not as in {', '.join(groups)}")
        if len(mean) != 3 or len(std) != 3:
            raise ValueError(
                "mean and std have one number each for red, green and blue; grey pictures are given as all three"
            )
        for name, group in groups.items():
            self.add_module(name, group)
        self.mean, self.std, self.backbone = tuple(mean), tuple(std), backbone
        self.stored_statistics, self.image_size = stored_statistics, image_size

    def __getitem__(self, index):
        if not isinstance(index, slice):
            return super().__getitem__(index)
        groups = dict(list(self.named_groups())[index])
        part = LayerGroups(
            groups, self.mean, self.std, self.backbone, self.stored_statistics, self.image_size
        )
        part.training = self.training
        return part

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the groups, shallow to deep."""
        return tuple(self._modules)

    def named_groups(self) -> Iterator[tuple[str, nn.Module]]:
        """Name and group, shallow to deep; `named_children` leaves out a module that stands in two places."""
        return iter(self._modules.items())

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Names of the outputs, first to last, that `fit` notes; None before. They belong to the head, and go with it."""
        return getattr(self.head, "class_names", None)

    @classes.setter
    def classes(self, names: Sequence[str] | None) -> None:
        self.head.class_names = None if names is None else tuple(names)

    @property
    def trainable_names(self) -> tuple[str, ...]:
        """Names of the groups with at least one trainable parameter."""
        return tuple(name for name, group in self.named_groups() if is_trainable(group))

    @property
    def freeze_depth(self) -> int:
        """How many groups from the front are frozen: where the network can be cut into prefix and suffix."""
        flags = [is_trainable(group) for group in self]
        return flags.index(True) if True in flags else len(flags)

    def train(self, mode: bool = True) -> "LayerGroups":
        super().train(mode)
        if mode:
            for path, module in self.named_modules():
                frozen = any(True for _ in module.parameters()) and not is_trainable(module)
                stored = self.stored_statistics and path.split(".")[0] != "head"
                if frozen or (stored and isinstance(module, BatchNorm)):
                    for part in module.modules():
                        part.training = False
        return self

    def normalise(self, images: torch.Tensor) -> torch.Tensor:
        """Turn pixels 0..1, shape (N, 1 or 3, S, S), into what the stem expects, shape (N, 3, S, S).

        For a network of a fixed size, S is that one afterwards.
        """
        mean, std = (images.new_tensor(values).view(1, 3, 1, 1) for values in (self.mean, self.std))
        if self.image_size and images.shape[2:] != (self.image_size, self.image_size):
            side = self.image_size
            warnings.warn(
                f"{self.backbone} takes pictures of {side} px only: yours, of {images.shape[-1]} px, are resized",
                stacklevel=2,
            )
            images = nn.functional.interpolate(images, (side, side), mode="bilinear", antialias=True)
        return (images - mean) / std  # one grey channel is broadcast to three

    def table(self, image_size: int = 128) -> list[dict]:
        """Rows for `summary`: group, parameters (count), state and output shape of one picture."""
        first = next(self.parameters())
        image_size = self.image_size or image_size
        x = torch.zeros(1, 3, image_size, image_size, device=first.device, dtype=first.dtype)
        rows = []
        with inference(self):
            for name, group in self.named_groups():
                x = group(x)
                rows.append(
                    {
                        "group": name,
                        "parameters": sum(parameter.numel() for parameter in group.parameters()),
                        "state": "trainable" if is_trainable(group) else "frozen",
                        "output shape": " × ".join(map(str, x.shape[1:])),
                    }
                )
        return rows

    def summary(self, image_size: int = 128) -> None:
        """Print the table of groups for square pictures of ``image_size`` pixels."""
        image_size = self.image_size or image_size
        rows = self.table(image_size)
        print(f"{self.backbone or 'network'}, pictures of {image_size} × {image_size} px")
        print(f"{'group':<10}{'parameters':>12}  {'state':<11}output shape")
        for row in rows:
            print(f"{row['group']:<10}{row['parameters']:>12,}  {row['state']:<11}{row['output shape']}")
        total = sum(row["parameters"] for row in rows)
        trainable = sum(p.numel() for p in self.parameters() if p.requires_grad)
        print(f"{'total':<10}{total:>12,}  of which {trainable:,} ({trainable / total:.2%}) are trained")


def is_trainable(module: nn.Module) -> bool:
    """Whether any parameter of ``module`` asks for a gradient."""
    return any(parameter.requires_grad for parameter in module.parameters())


def head_input(model: LayerGroups, image_size: int = 128) -> torch.Tensor:
    """What the groups before the head give for one blank picture, shape (1, …): tells how wide a head must be."""
    weight = next(model.parameters())
    blank = torch.zeros(1, 3, image_size, image_size, device=weight.device, dtype=weight.dtype)
    with inference(model):
        return model[:-1](model.normalise(blank))


def head_output(model: LayerGroups, features: torch.Tensor) -> torch.Tensor:
    """What the head, whatever it is made of, gives for ``features``: a row of numbers each, shape (N, outputs).

    Raises
    ------
    ValueError
        The head cannot take such features, or does not give a row of numbers for each.
    """
    weight = next(model.head.parameters(), features)
    try:
        with inference(model.head):
            answers = model.head(features.to(weight.device))
    except Exception as error:
        kinds = {type(part).__name__ for part in model.head.modules()}
        flat = "Flatten" in kinds and not any("Pool" in kind for kind in kinds)
        width = features[0].numel() if flat else features.shape[1]
        linear = [part for part in model.head.modules() if isinstance(part, nn.Linear)]
        if linear and linear[0].in_features != width:
            raise ValueError(
                f"The head begins with nn.Linear({linear[0].in_features}, …), but {model.names[-2]} gives {width} "
                f"features: make it nn.Linear({width}, …)"
            ) from error
        given = " × ".join(map(str, features.shape[1:]))
        raise ValueError(
            f"The head cannot take what {model.names[-2]} gives, {given} numbers: {error}"
        ) from error
    if not (torch.is_tensor(answers) and answers.ndim == 2 and len(answers) == len(features)):
        found = tuple(answers.shape) if torch.is_tensor(answers) else type(answers).__name__
        raise ValueError(
            f"The head gives {found} for {len(features)} pictures: it must give one row of numbers for each, as nn.Linear "
            "does; put nn.AdaptiveAvgPool2d(1) and nn.Flatten() where feature maps come out of it"
        )
    return answers


@contextmanager
def inference(model: nn.Module) -> Iterator[None]:
    """Evaluation mode without gradients inside the block; every module's mode is as before afterwards."""
    # Only what is in another mode is set: for EfficientNet-Lite0 0.1 ms instead of 0.9, at every batch.
    training = [module for module in model.modules() if module.training]
    try:
        for module in training:
            module.training = False
        with torch.no_grad():
            yield
    finally:
        for module in training:
            module.training = True
