"""The evaluation loop: how a network does on one split."""

from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd
import torch
from torch.nn import functional as F

from labutils.data import Domain
from labutils.networks.groups import LayerGroups, inference
from labutils.runtime.devices import pick_device
from labutils.runtime.distributed import gather_rows, share
from labutils.runtime.progress import progress_bar
from labutils.training.activation_cache import ActivationCache, Inputs
from labutils.training.compatibility import require_fitting
from labutils.training.precision import autocast, pictures_per_pass
from labutils.training.settings import Settings

FEWEST = (
    30  # pictures: below, a 95 % interval is wider than 20 points unless nearly all predictions are right
)
FEWEST_OF_A_CLASS = 5
WIDEST = 0.2  # of an interval that still says something


@dataclass(frozen=True)
class Evaluation:
    """How a model does on some pictures, all on the CPU and in the order of the split.

    Attributes
    ----------
    loss : float
        Mean cross-entropy.
    accuracy : float
        Share of right predictions, 0 to 1.
    logits : Tensor of shape (N, classes)
        A column an output of the network, named by ``classes``.
    labels : Tensor of shape (N,)
        As the domain numbers them, whose names are ``label_classes``. To compare them with predictions use ``targets`` or
        ``right``: network and domain may number the same classes differently.
    classes : tuple of str
        Names of the outputs, first to last; numbers where none were given.
    label_classes : tuple of str
        Names of the labels; by default those of the outputs.
    """

    loss: float
    accuracy: float
    logits: torch.Tensor
    labels: torch.Tensor
    classes: tuple[str, ...] = ()
    label_classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        spare = range(len(self.classes), self.logits.shape[-1])  # outputs of a head that is wider than needed
        object.__setattr__(self, "classes", (*self.classes, *map(str, spare)))
        object.__setattr__(self, "label_classes", self.label_classes or self.classes)

    @cached_property
    def targets(self) -> torch.Tensor:
        """Number of the output that is named like each picture's class, shape (N,)."""
        if self.label_classes == self.classes:
            return self.labels
        output = {name: number for number, name in enumerate(self.classes)}
        return torch.tensor([output.get(name, -1) for name in self.label_classes])[self.labels]

    @cached_property
    def predicted(self) -> torch.Tensor:
        """Number of the class that each picture was taken for, shape (N,)."""
        return self.logits.argmax(1)

    @cached_property
    def right(self) -> torch.Tensor:
        """Whether each picture was taken for its class, shape (N,), bool."""
        return self.predicted == self.targets

    @cached_property
    def per_class(self) -> pd.DataFrame:
        """A row a class: precision, recall, f1 (0 to 1) and count (pictures of the class), by scikit-learn.

        NaN where there is nothing to divide by: precision of a class that is never predicted, recall of one without
        pictures.
        """
        from sklearn.metrics import precision_recall_fscore_support

        columns = precision_recall_fscore_support(
            self.targets, self.predicted, labels=range(len(self.classes)), zero_division=float("nan")
        )
        named = dict(zip(("precision", "recall", "f1", "count"), columns, strict=True))
        return pd.DataFrame(named, index=pd.Index(self.classes, name="class"))

    @property
    def balanced_accuracy(self) -> float:
        """Mean recall of the classes that have pictures: a rare class counts as much as a common one."""
        return float(self.per_class["recall"].mean())

    @cached_property
    def confusion(self) -> pd.DataFrame:
        """How many pictures of each class (rows) were taken for which (columns), by scikit-learn."""
        from sklearn.metrics import confusion_matrix

        counts = confusion_matrix(self.targets, self.predicted, labels=range(len(self.classes)))
        names = pd.Index(self.classes)
        return pd.DataFrame(counts, index=names.rename("class"), columns=names.rename("predicted"))

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Where the accuracy on ever more pictures like these would lie, with 95 % confidence (Wilson 1927)."""
        from scipy.stats import binomtest

        return tuple(
            map(float, binomtest(int(self.right.sum()), len(self.labels)).proportion_ci(0.95, "wilson"))
        )

    @property
    def largest_share(self) -> float:
        """Accuracy of always predicting the largest class."""
        return float(self.labels.bincount().max()) / len(self.labels)

    @property
    def never_predicted(self) -> tuple[str, ...]:
        """Classes that have pictures and that the network takes no picture for."""
        table = self.per_class
        return tuple(table.index[(table["count"] > 0) & table["precision"].isna()])

    @property
    def cautions(self) -> tuple[str, ...]:
        """What these pictures cannot tell, and what the network never does, in sentences; none where all is well."""
        low, high = self.interval
        cautions = []
        if len(self.labels) < FEWEST or high - low > WIDEST:
            cautions.append(
                f"Too few pictures to tell much: {len(self.labels)} leave an interval {100 * (high - low):.0f} "
                "points wide"
            )
        if low <= self.largest_share:
            cautions.append("Not shown to be better than always predicting the largest class")
        counts = self.per_class["count"]
        if few := [f"{name} {count}" for name, count in counts.items() if 0 < count < FEWEST_OF_A_CLASS]:
            cautions.append(f"Too few test pictures to tell the recall of: {', '.join(few)}")
        if silent := self.never_predicted:
            cautions.append(f"Never predicted: {', '.join(silent)}")
        return tuple(cautions)

    def __repr__(self) -> str:
        return f"Evaluation({self._accuracy()})" if len(self.labels) else "Evaluation(no pictures)"

    def report(self) -> str:
        """Some lines for a reader: accuracy with its interval, what it is worth, and the table of classes."""
        largest = self.classes[int(self.targets.bincount().argmax())]
        lines = [
            f"{self._accuracy()}; always predicting {largest!r} would give {self.largest_share:.1%}",
            f"Balanced accuracy (mean recall of the classes): {self.balanced_accuracy:.1%}",
            *self.cautions,
        ]
        return "\n".join([*lines, self.per_class.to_string(float_format="{:.3f}".format, na_rep="–")])

    def _accuracy(self) -> str:
        low, high = self.interval
        return f"accuracy {self.accuracy:.1%} on {len(self.labels)} pictures, 95 % interval {low:.1%} to {high:.1%}"


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
    loss = F.cross_entropy(logits, labels)
    return Evaluation(float(loss), float(accuracy), logits, labels, inputs.domain.classes)


def evaluate(
    model: LayerGroups,
    domain: Domain,
    split: str = "test",
    settings: Settings = Settings(),
    cache: ActivationCache | None = None,
) -> Evaluation:
    """Run the model over one split, without augmentation and in evaluation mode; nothing in it changes.

    Classes are matched by name, whatever numbers network and domain give them: see `Evaluation.targets`.

    Parameters
    ----------
    split : {"train", "validation", "test"}, default "test"
        Use "test" once, after every choice was made on "validation".
    cache : ActivationCache, optional
        Reuses the activations of a frozen prefix between models.

    Raises
    ------
    ValueError
        Unknown split, a head that does not fit (see `fit`), classes that the network does not know, or a network whose
        answers are not numbers.
    """
    if split not in ("train", "validation", "test"):
        raise ValueError(f"split={split!r}: use 'train', 'validation' or 'test'")
    if isinstance(domain, Domain) and not len(getattr(domain, split)):
        raise ValueError(f"{domain.name} has no {split} pictures: it is a test set, evaluate split='test'")
    matched, _ = require_fitting(model, domain, settings)
    model.to(pick_device(settings.device))
    inputs = Inputs(model, matched, settings, cache if cache is not None else ActivationCache(0))
    ids = getattr(domain, split)
    seen = evaluate_inputs(model[inputs.depth :], inputs, ids)
    if not seen.logits.isfinite().all():
        raise ValueError(not_finite(model, int((~seen.logits.isfinite()).any(1).sum()), len(seen.labels)))
    return (
        seen if matched is domain else replace(seen, labels=domain.labels[ids], label_classes=domain.classes)
    )


def not_finite(model: LayerGroups, count: int, total: int) -> str:
    """What to say of answers that are NaN or infinite, and where they come from."""
    broken = [
        name
        for name, group in model.named_children()
        if not all(tensor.isfinite().all() for tensor in group.state_dict().values())
    ]
    where = (
        f"Weights of {', '.join(broken)} are NaN or infinite: train again with a lower base_lr"
        if broken
        else "All weights are finite: evaluate with precision='float32'"
    )
    return f"{count} of {total} answers are NaN or infinite, so there is no accuracy to state. {where}"
