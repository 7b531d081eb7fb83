"""Learning without forgetting: the old heads shall go on giving their old answers, on the new pictures."""

import copy
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F

from labutils.data.streaming import ReadAhead
from labutils.networks.groups import LayerGroups, inference
from labutils.runtime.tensors import digest
from labutils.training.extra_loss import ExtraLoss
from labutils.training.precision import autocast, pictures_per_pass


class LearningWithoutForgetting(ExtraLoss):
    """Keep what old heads say about the *new* pictures: no old picture is needed.

    Adds strength · the Kullback-Leibler divergence of the old heads' answers now from those before, both softened
    by the temperature; its gradient is that of the cross-entropy between them.

    Parameters
    ----------
    before : LayerGroups
        The network before the new task; it is copied.
    heads : Module or sequence of Module
        The heads of the old tasks; copied, and held fixed.
    strength : float, default 1.0
        0 or more; λ₀ in the paper.
    temperature : float, default 2.0
        Logits are divided by it, so that small probabilities count too.

    Notes
    -----
    Li and Hoiem 2016, "Learning without forgetting", equations 2 and 3, after Hinton, Vinyals and Dean 2015. The old
    answers are recorded once, on the pictures as they are; there the old heads went on learning, here they do not.
    """

    def __init__(
        self,
        before: LayerGroups,
        heads: nn.Module | Sequence[nn.Module],
        strength: float = 1.0,
        temperature: float = 2.0,
    ):
        heads = [heads] if isinstance(heads, nn.Module) else list(heads)
        if not heads:
            raise ValueError("Learning without forgetting needs the head of at least one old task")
        if not (0 <= strength < float("inf") and 0 < temperature < float("inf")):
            raise ValueError(f"strength={strength} must be 0 or more, temperature={temperature} above 0")
        self._before = copy.deepcopy(before)
        self._heads = [copy.deepcopy(head).requires_grad_(False).eval() for head in heads]
        self.strength, self.temperature = float(strength), float(temperature)
        self._answers = None

    @property
    def identity(self) -> str:
        digests = [digest(module.state_dict()) for module in (self._before[:-1], *self._heads)]
        return f"Learning without forgetting {self.strength!r} {self.temperature!r} {' '.join(digests)}"

    def enter(self, trainer) -> None:
        self._trainer = trainer
        self._heads = [head.to(trainer.device) for head in self._heads]
        if self._answers is None or self._domain is not trainer.domain:
            self._domain = trainer.domain
            self._answers = self._record(trainer.domain, trainer.device)

    def _record(self, domain, device: torch.device) -> list[torch.Tensor]:
        """Softened answers of each old head, rows by sample id; pictures that are not trained on stay NaN."""
        before = self._before.to(device)
        said = [[] for _ in self._heads]
        parts = domain.train.split(pictures_per_pass(device))
        pictures = ReadAhead(domain.images, parts)
        with inference(before):
            for part in parts:
                features = before[:-1](before.normalise(pictures[part].to(device).float() / 255))
                for answers, head in zip(said, self._heads, strict=True):
                    answers.append((head(features) / self.temperature).log_softmax(1))
        tables = []
        for answers in map(torch.cat, said):
            table = torch.full((len(domain.images), answers.shape[1]), torch.nan, device=device)
            table[domain.train.to(device)] = answers
            tables.append(table)
        return tables

    def loss(self, ids: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        total = features.new_zeros((), dtype=torch.float32)
        for head, then in zip(self._heads, self._answers, strict=True):
            with autocast(self._trainer.settings, self._trainer.device):
                logits = head(features).float()
            now = (logits / self.temperature).log_softmax(1)
            total = total + F.kl_div(now, then[ids.to(then.device)], reduction="batchmean", log_target=True)
        return self.strength * total
