"""One training: the network, the pictures it was given, and how it does on those it was not trained on."""

from dataclasses import dataclass, replace
from functools import cached_property

import pandas as pd
from torch import Tensor

from labutils.analysis.errors import most_wrong
from labutils.data import Domain
from labutils.networks.groups import LayerGroups, inference
from labutils.training.evaluation import Evaluation


@dataclass(frozen=True, eq=False)
class Trained:
    """What `Lesson.train` leaves.

    Attributes
    ----------
    model : LayerGroups
    domain : Domain
        The pictures as they were then.
    numbers : list of int
        Of the pictures, see `Collection`.
    groups : int
        Trained, counted from the head.
    seen : Evaluation
        On the validation pictures.
    temperature : float
        Fitted on them, from 1: logits are divided by it.
    seconds : float
    """

    model: LayerGroups
    domain: Domain
    numbers: list[int]
    groups: int
    seen: Evaluation
    temperature: float
    seconds: float

    @property
    def right(self) -> int:
        """Validation pictures classified correctly."""
        return int(self.seen.right.sum())

    @property
    def checked(self) -> int:
        """Number of validation pictures."""
        return len(self.seen.labels)

    @property
    def name(self) -> str:
        """What was trained, in words."""
        if self.groups == 1:
            return "the head alone"
        return "all groups" if self.groups == len(self.model) else f"the last {self.groups} groups"

    @cached_property
    def mistakes(self) -> pd.DataFrame:
        """Wrong predictions on validation pictures, the surest first, see `most_wrong`; as sure as `probabilities` is."""
        as_sure = replace(self.seen, logits=self.seen.logits / self.temperature)
        return most_wrong(as_sure, self.domain.validation)

    def probabilities(self, images: Tensor) -> Tensor:
        """Of each class, shape (N, classes), for prepared bytes of shape (N, 3, S, S)."""
        with inference(self.model):
            pixels = self.model.normalise(images.to(next(self.model.parameters()).device).float() / 255)
            return (self.model(pixels) / self.temperature).softmax(1).cpu()
