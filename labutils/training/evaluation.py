"""The evaluation loop: how a network does on one split."""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from labutils.data import Domain
from labutils.networks.groups import LayerGroups, inference
from labutils.runtime.devices import pick_device
from labutils.runtime.distributed import gather_rows, share
from labutils.runtime.progress import progress_bar
from labutils.training.activation_cache import ActivationCache, Inputs, autocast, pictures_per_pass
from labutils.training.compatibility import require_fitting
from labutils.training.settings import Settings


@dataclass(frozen=True)
class Evaluation:
    """How a model does on some pictures, all on the CPU and in the order of the split.

    Attributes
    ----------
    loss : float
        Mean cross-entropy.
    accuracy : float
        Share of right answers, 0 to 1.
    logits : Tensor of shape (N, classes)
    labels : Tensor of shape (N,)
    """

    loss: float
    accuracy: float
    logits: torch.Tensor
    labels: torch.Tensor

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have pictures: a rare class counts as much as a common one."""
        right = (self.logits.argmax(1) == self.labels).float()
        return float(
            torch.stack([right[self.labels == label].mean() for label in self.labels.unique()]).mean()
        )


def evaluate_inputs(suffix: LayerGroups, inputs: Inputs, ids: torch.Tensor) -> Evaluation:
    mine, labels = share(ids), inputs.domain.labels[ids]
    parts = mine.split(pictures_per_pass(inputs.device))
    source, logits = inputs.lookup(mine, batches=parts), []
    with inference(suffix):
        for part in progress_bar(parts, desc="Evaluating"):
            with autocast(inputs.settings, inputs.device):
                logits.append(suffix(source(part)).float().cpu())
    logits = gather_rows(torch.cat(logits), len(ids))
    accuracy = (logits.argmax(1) == labels).float().mean()
    return Evaluation(float(F.cross_entropy(logits, labels)), float(accuracy), logits, labels)


def evaluate(
    model: LayerGroups,
    domain: Domain,
    split: str = "test",
    settings: Settings = Settings(),
    cache: ActivationCache | None = None,
) -> Evaluation:
    """Run the model over one split, without augmentation and in evaluation mode; nothing in it changes.

    Parameters
    ----------
    split : {"train", "validation", "test"}, default "test"
        Use "test" once, after every choice was made on "validation".
    cache : ActivationCache, optional
        Reuses the activations of a frozen prefix between models.

    Raises
    ------
    ValueError
        Unknown split, or a head that does not fit (see `fit`).
    """
    if split not in ("train", "validation", "test"):
        raise ValueError(f"split={split!r}: use 'train', 'validation' or 'test'")
    require_fitting(model, domain, settings)
    model.to(pick_device(settings.device))
    inputs = Inputs(model, domain, settings, cache if cache is not None else ActivationCache(0))
    return evaluate_inputs(model[inputs.depth :], inputs, getattr(domain, split))
