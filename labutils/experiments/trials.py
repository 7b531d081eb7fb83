"""What `finetune` gives back, and how two networks are compared on the same pictures."""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from labutils.networks.groups import LayerGroups
from labutils.training.evaluation import Evaluation
from labutils.training.settings import Settings


@dataclass(frozen=True)
class Finetuned:
    """What `finetune` made.

    Attributes
    ----------
    model : LayerGroups
        In evaluation mode, on the device where it was trained.
    tried : DataFrame
        A row a trial: trial, groups (trained, counted from the head), base_lr, epochs, score (of validation, 0 to 1: what
        ``settings.select_by`` says), gain over the best before, error (standard error of that gain), seconds, taken,
        note.
    evaluation : Evaluation
        On the test pictures, which nothing was chosen on.
    settings : Settings
        Of the trials.
    seconds : float
    """

    model: LayerGroups
    tried: pd.DataFrame
    evaluation: Evaluation
    settings: Settings
    seconds: float

    @property
    def chosen(self) -> str:
        """Name of the trial whose weights these are."""
        return self.tried[self.tried["taken"]]["trial"].iloc[-1]

    def __repr__(self) -> str:
        return f"Finetuned({self.chosen}, {self.seconds:.0f} s; test: {self.evaluation!r})"

    def report(self) -> str:
        """What was tried and taken, and how it does on the test pictures, for a reader."""
        return (
            f"{in_words(self.tried).to_string(index=False)}\n\nTaken: {self.chosen}, after {self.seconds:.0f} s. "
            f"On the test pictures:\n{self.evaluation.report()}"
        )


def in_words(tried: pd.DataFrame) -> pd.DataFrame:
    """The table of trials with per cent and points, as text cells."""

    def show(column: str, form: Callable[[float], str]) -> pd.Series:
        return tried[column].map(lambda value: "–" if pd.isna(value) else form(value))

    return pd.DataFrame(
        {
            "trial": tried["trial"],
            "validation": show("score", "{:.1%}".format),
            "gain, points": [
                "–" if pd.isna(gain) else f"{100 * gain:+.1f} ± {100 * error:.1f}"
                for gain, error in zip(tried["gain"], tried["error"], strict=True)
            ],
            "seconds": show("seconds", "{:.0f}".format),
            "taken": tried["taken"].map({True: "yes", False: "no"}),
            "note": tried["note"],
        }
    )


def score_of(seen: Evaluation, select_by: str) -> float:
    return seen.accuracy if select_by == "accuracy" else seen.balanced_accuracy


def gain_of(seen: Evaluation, before: Evaluation, select_by: str = "accuracy") -> tuple[float, float]:
    """How much better one network is than another on the same pictures, and the standard error of that.

    Examples
    --------
    >>> import torch
    >>> labels = torch.tensor([0, 0, 1, 1])
    >>> right, half = (Evaluation(0.0, 0.0, torch.eye(2)[answers], labels) for answers in (labels, labels * 0))
    >>> gain_of(right, half)
    (0.5, 0.3535533905932738)
    """
    weights = (seen.targets >= 0).double() / len(seen.labels)
    if select_by == "balanced accuracy":  # each class weighs the same, and its pictures share that
        counts = seen.targets.bincount()
        weights = 1 / ((counts > 0).sum() * counts[seen.targets]).double()
    right, was_right = seen.right, before.right
    changes = weights * (right.double() - was_right.double())
    return float(changes.sum()), float(changes.square().sum().sqrt())
