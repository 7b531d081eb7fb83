"""Pulls toward old weights: L2-SP, which pulls all alike, and EWC, which pulls where it matters."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from labutils.data import Domain
from labutils.forgetting.fisher import diagonal_fisher
from labutils.networks.groups import LayerGroups
from labutils.runtime.files import atomic_write
from labutils.runtime.tensors import digest
from labutils.training.extra_loss import ExtraLoss, body, copied

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Anchor:
    """Where a task left the shared weights, and how much each of them matters to it.

    Attributes
    ----------
    weights : dict of str to Tensor
        Parameters of all groups but the head.
    importance : dict of str to Tensor
        The same names and shapes, 0 or more: the diagonal of the Fisher information, see `diagonal_fisher`.
    """

    weights: Tensors
    importance: Tensors

    @classmethod
    def of(cls, model: LayerGroups, domain: Domain, **options) -> "Anchor":
        """After a task was learned: its weights and their importance. Options as in `diagonal_fisher`."""
        return cls(copied(body(model)), diagonal_fisher(model, domain, **options))

    def save(self, path: str | Path) -> None:
        """Write to a ``.safetensors`` file, whole or not at all."""
        parts = {"weights": self.weights, "importance": self.importance}
        tensors = {
            f"{kind}/{name}": t.cpu().contiguous() for kind, d in parts.items() for name, t in d.items()
        }
        with atomic_write(path) as temporary:
            save_file(tensors, temporary)

    @classmethod
    def load(cls, path: str | Path) -> "Anchor":
        """Read what `save` wrote. Raises ValueError for a damaged file or one of something else."""
        try:
            stored = load_file(path)
            parts = {"weights": {}, "importance": {}}
            for key, tensor in stored.items():
                kind, name = key.split("/", 1)
                parts[kind][name] = tensor
        except (SafetensorError, KeyError, ValueError) as error:
            raise ValueError(
                f"{path} is not a complete file written by Anchor.save: make it again"
            ) from error
        return cls(**parts)


class _WeightPenalty(ExtraLoss):
    """strength / 2 · Σ over anchors and weights of importance · (w − w_then)²"""

    def __init__(self, anchors: Sequence[Anchor], strength: float):
        if not 0 <= strength < float("inf"):
            raise ValueError(f"strength={strength} is out of range: use 0 (no pull) or more")
        self.anchors, self.strength = tuple(anchors), float(strength)

    @property
    def identity(self) -> str:
        digests = [f"{digest(anchor.weights)} {digest(anchor.importance)}" for anchor in self.anchors]
        return f"{type(self).__name__} {self.strength!r} {' '.join(digests)}"

    def enter(self, trainer) -> None:
        device, own = trainer.device, body(trainer.model)
        shapes = {name: parameter.shape for name, parameter in own.items()}
        for anchor in self.anchors:
            if shapes != {name: tensor.shape for name, tensor in anchor.weights.items()}:
                raise ValueError("The anchor is of another network: names or shapes of the weights differ")
        # What is frozen stands still, and its part of the sum is a constant.
        self._terms = [
            (p, a.weights[name].to(device), a.importance[name].to(device) if a.importance else None)
            for a in self.anchors
            for name, p in own.items()
            if p.requires_grad
        ]
        self._zero = torch.zeros((), device=device)

    def loss(self, ids: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        total = self._zero
        for parameter, then, importance in self._terms:
            moved = (parameter - then).square()
            total = total + (moved if importance is None else moved * importance).sum()
        return 0.5 * self.strength * total


class L2SP(_WeightPenalty):
    """Pull every shared weight toward where it started, all with the same force; the head only decays.

    Adds strength / 2 · ‖w − w₀‖² over the trainable groups but the head. Plain weight decay, which pulls toward 0,
    is switched off for these groups in the optimizer of the run, and stays on for the head.

    Parameters
    ----------
    start : LayerGroups
        Its weights as they are now, which are copied.
    strength : float, default 0.01
        0 or more.

    Notes
    -----
    Xuhong Li, Grandvalet and Davoine 2018, "Explicit inductive bias for transfer learning with convolutional
    networks", equation 3. There with plain gradient descent; Adam divides the gradient of the penalty, like any
    other, by its usual size, so strengths do not carry over.
    """

    def __init__(self, start: LayerGroups, strength: float = 0.01):
        super().__init__([Anchor(copied(body(start)), {})], strength)

    def enter(self, trainer) -> None:
        super().enter(trainer)
        shared = set(map(id, body(trainer.model).values()))
        for group in trainer.optimizer.param_groups:
            ours = [id(parameter) in shared for parameter in group["params"]]
            if all(ours):
                group["weight_decay"] = 0.0
            elif any(ours) and group["weight_decay"]:
                raise ValueError(
                    "L2SP replaces the weight decay of all groups but the head, and this optimizer has one for both: give "
                    "the head a parameter group of its own, as discriminative_lr_optimizer does, or set weight_decay=0"
                )


class EWC(_WeightPenalty):
    """Elastic weight consolidation: pull each shared weight toward its old value as strongly as it mattered.

    Adds strength / 2 · Σ_tasks Σ_i F_i (w_i − w_i,then)², with F the diagonal of the Fisher information.

    Parameters
    ----------
    anchors : Anchor or sequence of Anchor
        One for each task to be kept; their penalties are added.
    strength : float
        0 or more; λ in the paper. As F is small, useful values are in the hundreds and more.

    Notes
    -----
    Kirkpatrick et al. 2017, "Overcoming catastrophic forgetting in neural networks", equation 3.
    """

    def __init__(self, anchors: Anchor | Sequence[Anchor], strength: float = 1e3):
        anchors = [anchors] if isinstance(anchors, Anchor) else list(anchors)
        if not anchors or not all(anchor.importance for anchor in anchors):
            raise ValueError(
                "EWC needs an Anchor with importance for each old task: Anchor.of(model, domain)"
            )
        super().__init__(anchors, strength)
