"""Runs that leave a mark on disk when they begin and when they end; in a file of their own, so that workers can import it."""

import os
import time
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import torch
from helpers import CLASSES, coloured_patterns, cut_tiny, make_tiny, numbers

from labutils import LayerGroups, Settings, Strategy, fit
from labutils.experiments.runs import FEATURES

SETTINGS = Settings(epochs=2, batch_size=8, base_lr=0.01, device="cpu")


@dataclass(frozen=True)
class MarkedRun:
    """Trains the tiny network. A run that ``waits`` does not end before its process is killed, or the gate opens."""

    seed: int
    marks: Path
    waits: bool = False
    fails: bool = False
    domain: str = "made up"
    labels: int = 30
    settings: Settings = field(default=SETTINGS)
    strategy: Strategy = FEATURES

    @property
    def key(self) -> str:
        return f"run{self.seed}"

    def execute(self) -> dict:
        self._mark("begun")
        if self.fails:
            raise ValueError("this run cannot be done")
        while self.waits and len(list(self.marks.glob(f"begun {self.seed} *"))) == 1:
            time.sleep(0.05)
        torch.manual_seed(self.seed)
        time.sleep(0.05)  # another thread would now draw from this generator
        model = LayerGroups(cut_tiny(make_tiny()), stored_statistics=True)
        model.head = torch.nn.Sequential(torch.nn.Linear(16, CLASSES))
        result = {"history": numbers(fit(model, coloured_patterns(), self.settings))}
        self._mark("ended")
        return result

    def _mark(self, what: str) -> None:
        (self.marks / f"{what} {self.seed} {os.getpid()} {uuid4().hex}").touch()


def marks(folder: Path, what: str) -> list[tuple[int, int]]:
    """Seed and process of each run that has begun, or ended; one entry for each time."""
    found = [file.name.split()[1:3] for file in folder.glob(f"{what} *")]
    return sorted((int(seed), int(process)) for seed, process in found)
