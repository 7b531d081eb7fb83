"""The runs behind the measured table "forgetting": an old and a new task, for each method over its strength."""

import copy
import hashlib
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from time import perf_counter

import pandas as pd
import torch

from labutils.analysis.agreement_with_original import answers, between, known_pictures, with_old_head
from labutils.data import Domain
from labutils.experiments.runs import FULL, Strategy, open_domain, run_all
from labutils.forgetting.distillation import LearningWithoutForgetting
from labutils.forgetting.rehearsal import Buffer, Rehearsal
from labutils.forgetting.tasks import TaskSequence
from labutils.forgetting.weight_penalties import EWC, L2SP, Anchor
from labutils.networks.backbones import DEFAULT_BACKBONE, load_backbone
from labutils.networks.groups import LayerGroups
from labutils.runtime.devices import pick_device
from labutils.training.evaluation import evaluate
from labutils.training.extra_loss import ExtraLoss
from labutils.training.settings import Settings

FORMAT = 2  # raise it when a change makes stored results incomparable
PLAIN, PATH = "fine-tuning", "weight interpolation"
# Method to what its strength is, and to the strengths tried. Interpolation needs no run of its own.
STRENGTHS = {
    PLAIN: ("", (1.0,)),
    "L2-SP": ("pull", (0.3, 3.0, 30.0)),
    "EWC": ("pull", (1e9, 1e10, 1e11)),
    "rehearsal": ("old pictures a class", (1, 3, 10)),
    "distillation": ("weight of the old answers", (0.3, 1.0, 3.0)),
    "low rates": ("decay of the rate from group to group", (1.2, 1.5, 2.0, 3.0)),
    "progressive unfreezing": ("rate, compared with fine-tuning", (0.3, 1.0)),
    "fewer groups": ("trained groups", (1, 2, 3, 4)),
    PATH: ("share of the way", (0.1, 0.3, 0.5, 0.7, 0.9)),
}
OLD = Settings(epochs=6, batch_size=16, base_lr=1e-2, lr_decay=3.0, keep_best=False, validate_every=6)
# One rate for all groups, the habit that forgets most.
NEW = Settings(epochs=12, batch_size=16, base_lr=5e-3, lr_decay=1.0, keep_best=False, validate_every=12)
FISHER_PICTURES = 60
CROPS = 8


@dataclass(frozen=True)
class ForgettingRun:
    """An old task, then a new one learned by one method at one strength; see `STRENGTHS`.

    Goes through `run_all` as a `Run` does.

    Parameters
    ----------
    method : str
        A key of `STRENGTHS` but the interpolation, which comes with "fine-tuning".
    strength : float
    seed : int
        Chooses pictures, heads and order of both tasks.
    old, domain : str or Domain
        The old and the new task.
    old_labels, labels : int
        Labelled training pictures of each.
    old_settings, settings : Settings
        Their seed is set; the rates of the new task too where the method is about rates.
    """

    method: str
    strength: float
    seed: int
    old: str | Domain = "textures"
    domain: str | Domain = "digits"
    old_labels: int = 120
    labels: int = 150
    old_settings: Settings = OLD
    settings: Settings = NEW
    image_size: int = 64
    backbone: str = DEFAULT_BACKBONE

    def __post_init__(self):
        if self.method not in STRENGTHS or self.method == PATH:
            known = ", ".join(name for name in STRENGTHS if name != PATH)
            raise ValueError(f"method={self.method!r}: use one of {known}")

    @property
    def strategy(self) -> Strategy:
        """How the new task is learned."""
        base, decay, groups, how = self.settings.base_lr, self.settings.lr_decay, None, FULL.how
        if self.method == "low rates":
            decay = self.strength
        elif self.method == "fewer groups":
            groups, how = int(self.strength), "at once" if self.strength == 1 else how
        elif self.method == "progressive unfreezing":
            base, how = base * self.strength, "progressively"
        return Strategy(self.method, groups, how, base, decay)

    @property
    def key(self) -> str:
        """Name of the stored result: differs when anything differs that can change the numbers."""
        pictures = [open_domain(name, self.image_size).fingerprint for name in (self.old, self.domain)]
        facts = (FORMAT, pictures, self.method, self.strength, self.seed, self.old_labels, self.labels)
        facts += (self.old_settings.digest, self.settings.digest, self.backbone, asdict(self.strategy))
        facts += (pick_device(self.settings.device).type,)
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]

    def execute(self) -> dict:
        """Learn both tasks. Returns ``rows``, one for each strength that the run speaks of, and seconds."""
        begun = perf_counter()
        old, new = (open_domain(name, self.image_size) for name in (self.old, self.domain))
        old = old.labelled(self.old_labels, self.seed)
        start = (self.backbone, self.old, self.old_labels, self.seed, self.image_size, self.old_settings)
        started = _started(*start)
        sequence, plan = copy.deepcopy(started), self.strategy
        settings = replace(self.settings, seed=self.seed, base_lr=plan.base_lr, lr_decay=plan.lr_decay)
        extra = self._extra(started, old)
        began = perf_counter()
        sequence.learn(
            new.labelled(self.labels, self.seed), settings, plan.groups, plan.how, against_forgetting=extra
        )
        seconds = perf_counter() - began
        look = _Look(started, sequence.heads[new.name], old, new, self.backbone)
        rows = [{"method": self.method, "strength": self.strength, **look(sequence.model)}]
        if self.method == PLAIN:
            for share in STRENGTHS[PATH][1]:
                mixed = between(started.model, sequence.model, share)
                rows.append({"method": PATH, "strength": share, **look(mixed)})
        return {"rows": rows, "seconds_learning": seconds, "seconds": perf_counter() - begun}

    def _extra(self, started: TaskSequence, old: Domain) -> ExtraLoss | None:
        model, head = started.at(old.name), started.heads[old.name]
        if self.method == "L2-SP":
            return L2SP(model, self.strength)
        if self.method == "EWC":
            few = old.labelled(min(FISHER_PICTURES, len(old.train)), self.seed)
            return EWC(Anchor.of(model, few, seed=self.seed), self.strength)
        if self.method == "distillation":
            return LearningWithoutForgetting(model, head, self.strength)
        if self.method == "rehearsal":
            return Rehearsal(Buffer.of(old, head, int(self.strength), self.seed))
        return None


@lru_cache(maxsize=4)
def _started(
    backbone: str, old: str | Domain, labels: int, seed: int, image_size: int, settings: Settings
) -> TaskSequence:
    """The network after the old task: the same start for every method."""
    sequence = TaskSequence(load_backbone(backbone))
    sequence.learn(open_domain(old, image_size).labelled(labels, seed), replace(settings, seed=seed))
    return sequence


@lru_cache(maxsize=1)
def _original(backbone: str) -> tuple[LayerGroups, torch.Tensor, torch.Tensor]:
    """The network with its ImageNet head, pictures it knows, and the class it gives to each."""
    original, pictures = load_backbone(backbone), known_pictures(crops=CROPS)
    return original, pictures, answers(original, pictures).argmax(1)


class _Look:
    """Measures a network: both tasks on validation and test pictures, and agreement with the original network."""

    def __init__(self, started: TaskSequence, new_head, old: Domain, new: Domain, backbone: str):
        self.questions = {"old": (started.heads[old.name], old), "new": (new_head, new)}
        self.backbone = backbone

    def __call__(self, model: LayerGroups) -> dict[str, float]:
        original, pictures, then = _original(self.backbone)
        now = answers(with_old_head(model, original), pictures).argmax(1)
        seen = {"agreement": float((now == then).float().mean())}
        for task, (head, domain) in self.questions.items():
            model.head = head
            for split in ("validation", "test"):
                seen[f"{task}_{split}"] = evaluate(model, domain, split).accuracy
        return seen


def trade_off(seeds, store=None, workers=None, strengths=STRENGTHS, **options) -> pd.DataFrame:
    """New-task against old-task accuracy for every method, strength and seed.

    Parameters
    ----------
    seeds : sequence of int
    store, workers :
        See `run_all`.
    strengths : dict
        As `STRENGTHS`.
    options :
        Fields of `ForgettingRun`.

    Returns
    -------
    DataFrame
        A row for each method, strength and seed: accuracies ``old_validation``, ``new_validation``, ``old_test``,
        ``new_test`` and ``agreement`` with the original network, all from 0 to 1.
    """
    cases = [
        (name, s, seed)
        for name, (_, tried) in strengths.items()
        if name != PATH
        for s in tried
        for seed in seeds
    ]
    results = run_all([ForgettingRun(*case, **options) for case in cases], store, workers, label="Forgetting")
    return pd.DataFrame(
        {**row, "seed": seed, "seconds": result["seconds_learning"]}
        for (_, _, seed), result in zip(cases, results, strict=True)
        for row in result["rows"]
    )
