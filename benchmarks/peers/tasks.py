"""What every contender is given: the same task, pictures, network and clock."""

from collections import OrderedDict
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from time import perf_counter, process_time

import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from labutils.data import Domain, load
from labutils.data.splits import choose
from labutils.networks.backbones import BACKBONES
from labutils.networks.cutting import cut

BACKBONE = "efficientnet_lite0"
WEIGHT_DECAY = 1e-4
HEAD_RATE = 1e-2  # of the frozen epoch that begins the mixed recipe
EPOCHS = {"head": 10, "frozen": 1, "tuned": 5, "full": 2}
STEPS, LOWEST, HIGHEST = (
    100,
    1e-6,
    0.1,
)  # of the range test; no tool may stop early, so that all take the same steps

TASKS = {
    "head": f"{EPOCHS['head']} epochs of the head",
    "mixed": f"{EPOCHS['frozen']} epoch of the head, then {EPOCHS['tuned']} of the last two groups",
    "full": f"{EPOCHS['full']} epochs of the whole network",
    "range_head": f"range test of the head, {STEPS} steps",
    "range_full": f"range test of the whole network, {STEPS} steps",
}


@dataclass(frozen=True)
class Conditions:
    """The same for all contenders.

    Parameters
    ----------
    pictures, validation : int
        Labelled pictures of solar to train on and to validate with after each epoch.
    image_size : int
        Their side in pixels.
    batch_size, range_batch_size : int
        Pictures in a step of a training, and of a range test.
    threads : int
        Computing threads of a process.
    """

    pictures: int = 192
    validation: int = 96
    image_size: int = 64
    batch_size: int = 32
    range_batch_size: int = 8
    threads: int = 1


@dataclass(frozen=True)
class Job:
    """One measurement: a contender does a task.

    Parameters
    ----------
    task, contender : str
        Names in `TASKS` and in `benchmarks.peers.contenders.CONTENDERS`.
    seed : int
        Chooses the pictures, the new head and, where the tool lets it, the order.
    rate : float
        Learning rate of the head; what other groups get is the manner of the tool.
    conditions : Conditions
    scored : {"test", "validation"}
        Pictures that give the accuracy: "validation", to choose a rate, are those that no epoch is validated with.
    """

    task: str
    contender: str
    seed: int
    rate: float
    conditions: Conditions
    scored: str = "test"

    @property
    def batch_size(self) -> int:
        """Pictures in a step of this task."""
        ranged = self.task.startswith("range")
        return self.conditions.range_batch_size if ranged else self.conditions.batch_size


class Bench:
    """Pictures decoded and normalised, the network, and a clock that a contender starts when its training begins."""

    def __init__(self, job: Job):
        self.job, given = job, job.conditions
        domain = load("solar", given.image_size).labelled(given.pictures, job.seed)
        seen = choose(domain.validation, domain.labels, given.validation, job.seed)
        self.domain: Domain = replace(domain, validation=seen)
        spare = domain.validation[~torch.isin(domain.validation, seen)]
        self.scored = spare if job.scored == "validation" else domain.test
        self.seconds = self.cpu_seconds = 0.0

    @contextmanager
    def clock(self):
        """Count what happens inside."""
        wall, cpu = perf_counter(), process_time()
        yield
        self.seconds += perf_counter() - wall
        self.cpu_seconds += process_time() - cpu

    def network(self) -> nn.Sequential:
        """The pretrained network with a new head, as named groups of a plain ``nn.Sequential``: nothing of the lab in it.

        The head begins with the weights that `build_feature_extractor` gives it for the same seed.
        """
        backbone = BACKBONES[BACKBONE]
        torch.manual_seed(self.job.seed)
        groups = (backbone.groups or cut)(backbone.make(True))
        groups["head"] = nn.Linear(groups["head"][-1].in_features, len(self.domain.classes))
        return nn.Sequential(OrderedDict(groups))

    @cached_property
    def loaders(self) -> dict[str, DataLoader]:
        """Batches of normalised pictures that lie ready in memory, for "train" and "val"."""
        return {
            "train": DataLoader(self._pictures(self.domain.train), self.job.batch_size, shuffle=True),
            "val": DataLoader(self._pictures(self.domain.validation), self.job.batch_size),
        }

    def accuracy(self, predict: Callable[[torch.Tensor], torch.Tensor]) -> float:
        """Share of right answers; ``predict`` gives logits, shape (B, classes), for pictures of shape (B, 3, S, S)."""
        with torch.no_grad():
            batches = DataLoader(self._pictures(self.scored), batch_size=64)
            right = [predict(pictures).argmax(1) == labels for pictures, labels in batches]
        return float(torch.cat(right).float().mean())

    def _pictures(self, ids: torch.Tensor) -> TensorDataset:
        mean, std = (
            torch.tensor(v).view(3, 1, 1) for v in (BACKBONES[BACKBONE].mean, BACKBONES[BACKBONE].std)
        )
        return TensorDataset((self.domain.images[ids] / 255 - mean) / std, self.domain.labels[ids])
