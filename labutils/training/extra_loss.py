"""What may be added to the loss at every step: the one interface between `fit` and the ways against forgetting."""

import torch

from labutils.networks.groups import LayerGroups


class ExtraLoss:
    """Something that `fit` adds to the loss of each batch; give it as ``against_forgetting``.

    `fit` calls `enter` when a stage begins and `begin_epoch` when an epoch does, then `loss` for every batch, or
    for every part of it where batches come in parts. Whatever is drawn at random must depend on seed and epoch
    only, or an interrupted run could not go on as if nothing had happened.
    """

    @property
    def identity(self) -> str:
        """Differs when anything differs that can change a training; kept in checkpoints."""
        raise NotImplementedError

    def enter(self, trainer) -> None:
        """A stage begins: groups are frozen and thawed, ``trainer.suffix`` is what is trained."""

    def begin_epoch(self, epoch: int) -> None:
        """An epoch begins, counted from 0 over all stages."""

    def loss(self, ids: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        """What to add to the mean loss of the pictures ``ids``, a number with a gradient.

        Parameters
        ----------
        ids : Tensor of int64, shape (n,)
            Sample ids of the new task's pictures, on the CPU.
        features : Tensor, shape (n, width)
            What the head is given for them, with the graph behind it.
        """
        raise NotImplementedError


def body(model: LayerGroups) -> dict[str, torch.nn.Parameter]:
    """The parameters that all tasks share, by name: those of every group but the head."""
    return {name: p for name, p in model.named_parameters() if not name.startswith("head.")}


def copied(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies that later training does not move."""
    return {name: tensor.detach().clone() for name, tensor in weights.items()}
