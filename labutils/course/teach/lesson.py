"""What the widget does, without the widget: collect, train, predict, look at mistakes, save."""

import copy
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

import pandas as pd
import torch

from labutils.analysis.calibration import fit_temperature
from labutils.course.teach.collection import Collection
from labutils.course.teach.trained import Trained
from labutils.deploy.classifier import pack
from labutils.deploy.files import save_classifier
from labutils.deploy.pictures import found
from labutils.experiments.linear_head import fit_linear_head
from labutils.networks.backbones import DEFAULT_BACKBONE, build_feature_extractor, new_head
from labutils.networks.freezing import freeze_all_but
from labutils.runtime.devices import pick_device
from labutils.training.activation_cache import ActivationCache
from labutils.training.evaluation import Evaluation, evaluate
from labutils.training.loop import fit
from labutils.training.settings import Settings
from labutils.training.stages import Stage

EPOCHS = 8  # of deeper groups, from a head that is already good
# No epoch is chosen. At 1e-3 training of layer4 lost some of what the best head on sixty pictures of textures had gained.
SETTINGS = {"batch_size": 16, "base_lr": 3e-4, "keep_best": False}


class Lesson:
    """Pictures of some classes, and a pretrained network that is trained on them as often as asked.

    Parameters
    ----------
    *classes : str
        Names to begin with.
    backbone : str, default "efficientnet_lite0", or the variable LAB_BACKBONE
        See `build_feature_extractor`; its head must end in one linear layer.
    image_size : int, default 128
        Side of the square pictures in pixels.

    Attributes
    ----------
    collection : Collection
    rounds : list of Trained
        Every training, the latest last.

    Examples
    --------
    >>> lesson = Lesson("cup", "hand")
    >>> lesson.add("cup", "pictures/cup")  # doctest: +SKIP
    >>> lesson.train()  # doctest: +SKIP
    """

    def __init__(self, *classes: str, backbone: str = DEFAULT_BACKBONE, image_size: int = 128):
        super().__init__()
        self.collection = Collection(classes, image_size)
        self.network = build_feature_extractor(backbone)
        self.cache = ActivationCache()
        self.rounds: list[Trained] = []

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of the network's groups, shallow to deep."""
        return self.network.names

    def add(self, name: str, what: Any) -> None:
        """Add pictures to a class, see `Collection.add`."""
        self.collection.add(name, what)

    def add_shipped(self, *names: str, domain: str = "textures", train: int = 15, checks: int = 10) -> None:
        """Add classes of a data set that comes with pip, see `Collection.add_shipped`."""
        self.collection.add_shipped(domain, names, train, checks)

    def train(self, groups: int = 1, on_epoch: Callable[[dict], bool | None] | None = None) -> Evaluation:
        """Train a fresh network on the pictures.

        The head gets the best weights there are (`fit_linear_head`). Deeper groups are then trained with it, from there.

        Parameters
        ----------
        groups : int, default 1
            The last so many groups are trained; the head is the first of them.
        on_epoch : callable, optional
            As in `fit`.

        Returns
        -------
        Evaluation
            On the validation pictures.

        Raises
        ------
        ValueError
            Too few pictures, or ``groups`` out of range.
        """
        if not 1 <= groups <= len(self.groups):
            raise ValueError(
                f"groups={groups} is out of range: {self.network.backbone} has {len(self.groups)} groups"
            )
        started, numbers, domain = perf_counter(), self.collection.numbers, self.collection.domain()
        settings, cache, model = Settings(**SETTINGS), self.cache, copy.deepcopy(self.network)
        model.head = new_head(model.head, len(domain.classes), dropout=0)
        model.to(pick_device())
        fit_linear_head(model, domain, settings, cache=cache)
        if groups > 1:
            freeze_all_but(model, self.groups[-groups:])
            stage = Stage(self.groups[-groups:], EPOCHS, settings.base_lr)
            fit(model, domain, settings, [stage], cache=cache, on_epoch=on_epoch)
        model.classes = domain.classes
        seen = evaluate(model.eval(), domain, "validation", settings, cache)
        # Not below 1: a few pictures without a mistake would make it certain of everything.
        temperature = max(1.0, fit_temperature(seen.logits, seen.labels))
        seconds = perf_counter() - started
        self.rounds.append(Trained(model, domain, numbers, groups, seen, temperature, seconds))
        return seen

    @property
    def trained(self) -> Trained:
        """The latest training. Raises ValueError before the first."""
        if not self.rounds:
            raise ValueError("Nothing is trained yet: call train() first")
        return self.rounds[-1]

    def predict(self, what: Any) -> pd.DataFrame:
        """Probability of each class (columns, 0 to 1) for each picture (rows); ``what`` as in `Collection.add`."""
        trained = self.trained
        images = torch.stack([self.collection.preparation(picture) for _, picture in found(what)])
        return pd.DataFrame(trained.probabilities(images).numpy(), columns=trained.domain.classes)

    def test(self) -> Evaluation:
        """How the latest network does on the pictures that were kept for the end."""
        return evaluate(self.trained.model, self.trained.domain, "test", Settings(**SETTINGS))

    def save(self, path: str | Path) -> Path:
        """Write the latest network as a classifier that `labutils.open_classifier` reads."""
        trained = self.trained
        return save_classifier(pack(trained.model, trained.domain, trained.temperature), path)
