"""Several tasks one after the other: shared groups, and a head for each task."""

import copy
from collections import OrderedDict
from collections.abc import Sequence

import pandas as pd
from torch import nn

from labutils.data import Domain
from labutils.networks.freezing import freeze_all_but
from labutils.networks.groups import LayerGroups, head_input
from labutils.runtime.seeds import seeded
from labutils.training.activation_cache import ActivationCache
from labutils.training.evaluation import Evaluation, evaluate
from labutils.training.extra_loss import ExtraLoss
from labutils.training.loop import fit
from labutils.training.settings import Settings
from labutils.training.stages import partial_finetune


class TaskSequence:
    """One network that learns tasks one after the other and keeps the head of each.

    Parameters
    ----------
    model : LayerGroups
        Trained in place by `learn`. Its own head is not used.

    Attributes
    ----------
    heads : dict of str to Module
        Name of the task to its head, in the order learned.
    """

    def __init__(self, model: LayerGroups):
        self.model, self.heads = model, {}

    def learn(
        self,
        domain: Domain,
        settings: Settings = Settings(),
        groups: int | None = None,
        how: str = "linear probe first",
        *,
        against_forgetting: ExtraLoss | None = None,
        cache: ActivationCache | None = None,
    ) -> pd.DataFrame:
        """Put a new head on the shared groups and train both; the heads of other tasks stay as they are.

        Parameters
        ----------
        domain : Domain
            Its name is that of the task.
        settings : Settings
            With the epochs and ``base_lr`` of the plan.
        groups : int, optional
            How many groups to train, counted from the head; default all.
        how : str
            See `partial_finetune`.
        against_forgetting, cache :
            See `fit`.

        Returns
        -------
        DataFrame
            The history of `fit`.

        Raises
        ------
        ValueError
            When a task of that name was learned before.
        """
        if domain.name in self.heads:
            raise ValueError(f"{domain.name} was learned before: its head would be lost")
        self.model.head = new_head(self.model, len(domain.classes), settings.seed, domain.image_size)
        count = len(self.model) if groups is None else groups
        stages = partial_finetune(
            self.model, count, how=how, epochs=settings.epochs, base_lr=settings.base_lr
        )
        history = fit(
            self.model, domain, settings, stages, cache=cache, against_forgetting=against_forgetting
        )
        self.heads[domain.name] = self.model.head
        return history

    def at(self, task: str) -> LayerGroups:
        """The network with the head of a task; raises KeyError for one not learned."""
        if task not in self.heads:
            raise KeyError(f"{task} was not learned; there are {', '.join(self.heads) or 'no tasks yet'}")
        self.model.head = self.heads[task]
        return self.model

    def evaluate(self, domain: Domain, split: str = "test", settings: Settings = Settings()) -> Evaluation:
        """Answers through the head that was learned for this domain; see `labutils.evaluate`."""
        return evaluate(self.at(domain.name), domain, split, settings)

    def accuracies(
        self, tasks: Sequence[Domain], probe_settings: Settings = Settings(base_lr=1e-2), split: str = "test"
    ) -> dict[str, float]:
        """Accuracy on each task as things stand: through its own head if it was learned, else through a `probe`."""
        found = {}
        for domain in tasks:
            learned = domain.name in self.heads
            model = self.at(domain.name) if learned else probe(self.model, domain, probe_settings)
            found[domain.name] = evaluate(model, domain, split, probe_settings).accuracy
        return found


def new_head(model: LayerGroups, classes: int, seed: int = 0, image_size: int = 128) -> nn.Sequential:
    """A fresh linear head as wide as the model's features of pictures of this size; the same for the same seed."""
    features = head_input(model, image_size)
    with seeded(seed):
        linear = nn.Linear(features.shape[1], classes)
    return nn.Sequential(OrderedDict(linear=linear)).to(features.device)


def probe(model: LayerGroups, domain: Domain, settings: Settings = Settings(base_lr=1e-2)) -> LayerGroups:
    """A copy of the model with a new head, trained for this domain on the groups as they are.

    Asks what the features are worth, whatever became of an old head: Davari et al. 2022, "Probing representation
    forgetting in supervised and unsupervised continual learning".
    """
    looked_at = copy.deepcopy(model)
    looked_at.head = new_head(model, len(domain.classes), settings.seed, domain.image_size)
    freeze_all_but(looked_at, ("head",))
    fit(looked_at, domain, settings)
    return looked_at
