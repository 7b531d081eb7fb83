"""Rehearsal: a few old pictures are shown again while the new task is learned."""

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F

from labutils.data import Domain
from labutils.runtime.distributed import world_size
from labutils.runtime.seeds import default_seed, derived_seed
from labutils.runtime.tensors import digest
from labutils.training.activation_cache import Inputs
from labutils.training.extra_loss import ExtraLoss
from labutils.training.precision import autocast


@dataclass(frozen=True)
class Buffer:
    """Old pictures worth keeping, and the head that they were learned with.

    Attributes
    ----------
    domain : Domain
        Of the old task.
    ids : Tensor of int64, shape (N,)
        Sample ids of the kept pictures, all from its training split.
    head : Module
        A copy, which stays as it is.
    """

    domain: Domain
    ids: torch.Tensor
    head: nn.Module

    @classmethod
    def of(cls, domain: Domain, head: nn.Module, per_class: int, seed: int | None = None) -> "Buffer":
        """Keep ``per_class`` pictures of each class, at random; all of a class that has no more.

        Raises ValueError when ``per_class`` is less than 1.
        """
        if per_class < 1:
            raise ValueError(f"per_class={per_class}: keep at least 1 picture of each class")
        seed = default_seed() if seed is None else seed
        generator = torch.Generator().manual_seed(derived_seed(seed, "buffer"))
        mixed = domain.train[torch.randperm(len(domain.train), generator=generator)]
        labels = domain.labels[mixed]
        kept = [mixed[labels == label][:per_class] for label in range(len(domain.classes))]
        return cls(domain, torch.cat(kept).sort().values, copy.deepcopy(head).requires_grad_(False).eval())


class Rehearsal(ExtraLoss):
    """Mix old pictures into every batch; they are answered through their own heads.

    With the ratio r, each new picture brings r old ones with it, and every picture weighs the same: what is
    added is the sum of the old pictures' cross-entropies over the number of *new* pictures in the batch. At
    ratio 1 with all old pictures in the buffer and as many new ones, this is joint training on both sets. While
    a prefix is frozen, old pictures too are run through it only once.

    Parameters
    ----------
    buffers : Buffer or sequence of Buffer
        One for each old task; their pictures are drawn in a common order, each once before any comes again.
    ratio : float, default 1.0
        Old pictures for each new one, above 0.

    Notes
    -----
    Robins 1995, "Catastrophic forgetting, rehearsal and pseudorehearsal"; Chaudhry et al. 2019, "On tiny episodic
    memories in continual learning". Old heads are held fixed here, so that only the shared groups answer for them.
    """

    def __init__(self, buffers: Buffer | Sequence[Buffer], ratio: float = 1.0):
        self.buffers = [buffers] if isinstance(buffers, Buffer) else list(buffers)
        if not self.buffers:
            raise ValueError("Rehearsal needs a Buffer of old pictures: Buffer.of(domain, head, per_class)")
        if not 0 < ratio < math.inf:
            raise ValueError(
                f"ratio={ratio} is out of range: use a number above 0, such as 0.5 for one in three"
            )
        self.ratio = float(ratio)

    @property
    def identity(self) -> str:
        digests = [
            f"{buffer.domain.fingerprint} {digest({'ids': buffer.ids, **buffer.head.state_dict()})}"
            for buffer in self.buffers
        ]
        return f"Rehearsal {self.ratio!r} {' '.join(digests)}"

    def enter(self, trainer) -> None:
        if world_size() > 1:
            raise ValueError("Rehearsal draws its pictures in one process: train without torchrun")
        self._trainer = trainer
        self._heads = [copy.deepcopy(buffer.head).to(trainer.device) for buffer in self.buffers]
        self._inputs = [
            Inputs(trainer.model, buffer.domain, trainer.settings, trainer.cache) for buffer in self.buffers
        ]
        # Rows: which buffer, which of its pictures.
        self._pool = torch.cat(
            [
                torch.stack([torch.full_like(buffer.ids, number), buffer.ids], 1)
                for number, buffer in enumerate(self.buffers)
            ]
        )

    def begin_epoch(self, epoch: int) -> None:
        self._epoch, self._new, self._order = epoch, 0, self._pool[:0]
        self._sources = [
            inputs.lookup(buffer.ids, inputs.view(epoch))
            for inputs, buffer in zip(self._inputs, self.buffers, strict=True)
        ]

    def loss(self, ids: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        rows, total = self._next(len(ids)), features.new_zeros((), dtype=torch.float32)
        trainer = self._trainer
        for number, (buffer, head, source) in enumerate(
            zip(self.buffers, self._heads, self._sources, strict=True)
        ):
            old = rows[rows[:, 0] == number, 1]
            if len(old):
                with autocast(trainer.settings, trainer.device):
                    logits = head(trainer.features(source(old))).float()
                total = total + F.cross_entropy(
                    logits, buffer.domain.labels[old].to(logits.device), reduction="sum"
                )
        return total / len(ids)

    def _next(self, count: int) -> torch.Tensor:
        """Rows of the pool that go with the next ``count`` new pictures of the epoch.

        They depend on how many new ones came before, not on how these were cut into batches and parts.
        """
        start, self._new = math.floor(self._new * self.ratio), self._new + count
        stop = math.floor(self._new * self.ratio)
        while len(self._order) < stop:
            seed = derived_seed(self._trainer.settings.seed, "rehearsal", self._epoch, len(self._order))
            order = torch.randperm(len(self._pool), generator=torch.Generator().manual_seed(seed))
            self._order = torch.cat([self._order, self._pool[order]])
        return self._order[start:stop]
