"""What is minimised: cross-entropy in which classes may weigh differently and labels may be softened."""

import torch
from torch.nn import functional as F

from labutils.data import Domain
from labutils.training.settings import Settings


class Loss:
    """Cross-entropy with the class weights and the label smoothing of the settings.

    The loss of a batch is the sum over its pictures, divided by what they weigh together, as in
    ``torch.nn.CrossEntropyLoss(weight)``. Both can be taken in parts: accumulation weighs like one large batch.

    Raises
    ------
    ValueError
        Class weights that do not belong to the classes of ``domain``.
    """

    def __init__(self, settings: Settings, domain: Domain):
        self.weights, self._smoothing = class_weights(settings, domain), settings.label_smoothing

    def sum(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Sum of the losses of pictures with these answers, shape (n, outputs), and labels, shape (n,)."""
        weights = self.weights
        if weights is not None:  # outputs beyond the classes of the pictures are never right, and weigh 1
            weights = F.pad(weights, (0, logits.shape[1] - len(weights)), value=1.0).to(logits.device)
        return F.cross_entropy(logits, labels, weights, reduction="sum", label_smoothing=self._smoothing)

    def weight(self, labels: torch.Tensor) -> float:
        """What pictures with these labels weigh together: their number, if all classes weigh the same."""
        return len(labels) if self.weights is None else float(self.weights[labels].sum())


def class_weights(settings: Settings, domain: Domain) -> torch.Tensor | None:
    """A weight for each class of ``domain``, shape (classes,); None where all weigh the same.

    "balanced" is scikit-learn's formula: pictures / (classes · pictures of the class), over the training pictures.
    """
    given = settings.class_weights
    if given is None:
        return None
    if given == "balanced":
        counts = domain.labels[domain.train].bincount(minlength=len(domain.classes))
        balanced = counts.sum() / ((counts > 0).sum() * counts)
        return torch.where(counts > 0, balanced, 1.0)  # a class without pictures has nothing to balance
    if isinstance(given[0], tuple):
        by_name = dict(given)
        missing, unknown = (
            ", ".join(sorted(set(one) - set(other)))
            for one, other in ((domain.classes, by_name), (by_name, domain.classes))
        )
        if missing or unknown:
            problems = [f"no weight for {missing}"] * bool(missing) + [f"no class called {unknown}"] * bool(
                unknown
            )
            raise ValueError(
                f"class_weights: {' and '.join(problems)}; {domain.name} has {', '.join(domain.classes)}"
            )
        given = [by_name[name] for name in domain.classes]
    if len(given) != len(domain.classes):
        raise ValueError(
            f"class_weights has {len(given)} numbers, {domain.name} has {len(domain.classes)} classes: give one each for "
            f"{', '.join(domain.classes)}, or a dictionary by name"
        )
    return torch.tensor(given, dtype=torch.float32)
