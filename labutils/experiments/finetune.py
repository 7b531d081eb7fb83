"""One call that does it well: the best linear head, then deeper training while that helps beyond noise."""

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from numbers import Real
from time import perf_counter

import pandas as pd

from labutils.data import Domain
from labutils.experiments.comparisons import augmentation_for, steps_for
from labutils.experiments.linear_head import fit_linear_head, last_linear
from labutils.experiments.runs import FEATURES
from labutils.experiments.trials import Finetuned, gain_of, in_words, score_of
from labutils.networks.backbones import DEFAULT_BACKBONE, build_feature_extractor
from labutils.networks.freezing import freeze_all_but
from labutils.networks.groups import LayerGroups
from labutils.runtime.devices import pick_device
from labutils.runtime.distributed import world_size
from labutils.runtime.seeds import default_seed
from labutils.runtime.threads import fastest_thread_count
from labutils.training.activation_cache import ActivationCache
from labutils.training.compatibility import require_domain
from labutils.training.evaluation import Evaluation, evaluate
from labutils.training.loop import fit
from labutils.training.settings import Settings
from labutils.training.stages import Stage
from labutils.training.trainer import Trainer, TrainingDiverged

RATE = 1e-3  # of the head, once it is as good as a head can be; deeper groups learn slower (see `Settings.lr_decay`)
DOMINATES = (
    4  # times the pictures of the smallest class: from there on a rare class counts as much as a common one
)
BATCH = 16


@dataclass(frozen=True)
class Trial:
    """Training of the last ``groups`` groups, beginning with the best linear head."""

    groups: int
    base_lr: float
    epochs: int

    def name(self, model: LayerGroups) -> str:
        if self.groups == 1:
            return "linear head on frozen features"
        which = "all groups" if self.groups == len(model) else f"last {self.groups} groups"
        return f"{which}, rate {self.base_lr:g}, {self.epochs} epochs"


def finetune(
    domain: Domain,
    minutes: float = 3,
    backbone: str = DEFAULT_BACKBONE,
    seed: int | None = None,
    *,
    weights: str | None = None,
    augmentation: tuple[str, ...] | None = None,
    device: str | None = None,
) -> Finetuned:
    """A pretrained network for these pictures: everything is chosen on training and validation pictures, within a time.

    1. The best linear head on frozen features: logistic regression, strength and augmentation by cross-validation over
       the training pictures.
    2. From that head on the last two groups are trained, then all, then the better of them at three times and a third of
       the rate, half of the groups, and twice as long. A range test would see nothing: at its minimum the head's loss
       can only rise.

    A trial is taken when its gain on the validation pictures is more than one standard error of the difference, picture
    by picture: (b − c) / n > √(b + c) / n, where it is right on b pictures that the best before was wrong about, and
    wrong on c (McNemar 1947). Nothing is learned from validation pictures, and the test pictures are looked at once, at
    the end.

    Parameters
    ----------
    domain : Domain
    minutes : float, default 3
        For all of it. What a trial will take is estimated from measured steps; what does not fit is left out, and the
        table says so. The linear head and the test are always done.
    backbone : str, default "efficientnet_lite0", or the variable LAB_BACKBONE
        See `build_feature_extractor`, also for ``weights``.
    seed : int, default 0, or the variable LAB_SEED
    augmentation : tuple of str, optional
        See `Settings`. Default chosen by cross-validation: none, small crops, crops and mirrors, or what suits the
        lab's own domains.
    device : str, optional

    Returns
    -------
    Finetuned
        ``model``, ``tried``, ``evaluation``, ``seconds``. Where the largest class has more than four times the training
        pictures of the smallest, classes weigh the same in the loss, and balanced accuracy decides.

    Raises
    ------
    ValueError, WeightsError
        Minutes out of range, several processes, or whatever `build_feature_extractor` and `fit` refuse.

    Examples
    --------
    >>> import labutils as lab
    >>> result = lab.finetune(lab.folder("flowers"))  # doctest: +SKIP
    >>> lab.save(result.model, domain, "flowers.safetensors")  # doctest: +SKIP
    """
    if not (isinstance(minutes, Real) and 0 < minutes < math.inf):
        raise ValueError(f"minutes={minutes!r} is out of range: use a number above 0, 3 is usual")
    if world_size() > 1:
        raise ValueError(
            "finetune is the work of one process: what it tries depends on the clock. Call it on one of them"
        )
    require_domain(domain)
    if not (len(domain.train) and len(domain.validation) and len(domain.test)):
        raise ValueError(f"{domain!r}: finetune needs pictures for training, for validation and for the test")
    started, seed = perf_counter(), default_seed() if seed is None else seed
    settings = _settings(domain, seed, device)
    model = build_feature_extractor(backbone, len(domain.classes), weights=weights, seed=seed)
    model.to(pick_device(device))
    choice = _Choice(domain, settings, lambda: 60 * minutes - (perf_counter() - started))
    with fastest_thread_count(_some_work(domain, backbone)):
        choice.head(model, _augmentations(domain) if augmentation is None else (augmentation,))
        choice.deeper()
        seen = evaluate(choice.best, domain, "test", choice.settings, choice.cache)
    tried = pd.DataFrame(choice.rows)
    result = Finetuned(choice.best, tried, seen, choice.settings, perf_counter() - started)
    print(f"Taken: {result.chosen}, after {result.seconds:.0f} s")
    return result


def _some_work(domain: Domain, backbone: str) -> Callable[[], None]:
    """A step of the training to come, small and without consequences, for `fastest_thread_count`."""
    model = build_feature_extractor(backbone, 2, pretrained=False)
    freeze_all_but(model, model.names[-2:])
    pixels = model.normalise(domain.images[domain.train[:BATCH]].float() / 255)
    return lambda: model.eval()(pixels).sum().backward()


def _settings(domain: Domain, seed: int, device: str | None) -> Settings:
    counts = domain.labels[domain.train].bincount(minlength=len(domain.classes))
    counts = counts[counts > 0]
    rare = counts.max() > DOMINATES * counts.min()
    return Settings(
        batch_size=BATCH,
        views=2,
        keep_best=False,  # which epoch was best is not asked: fewer choices, and less looking
        validate_every=10**6,
        select_by="balanced accuracy" if rare else "accuracy",
        class_weights="balanced" if rare else None,
        seed=seed,
        device=device,
    )


def _augmentations(domain: Domain) -> tuple[tuple[str, ...], ...]:
    return tuple(dict.fromkeys([(), augmentation_for(domain), ("crop",), ("flip", "crop")]))


class _Choice:
    """The best network so far and the rows of what was tried; ``left`` gives the seconds that remain."""

    def __init__(self, domain: Domain, settings: Settings, left: Callable[[], float]):
        self.domain, self.settings, self.left = domain, settings, left
        self.cache = ActivationCache(settings.cache_limit_gb)
        self.rows: list[dict] = []

    def head(self, model: LayerGroups, augmentations: Sequence[tuple[str, ...]]) -> None:
        started = perf_counter()
        if last_linear(model) is not None:
            half = self.left() / 2  # the rest for what may come after
            found = fit_linear_head(model, self.domain, self.settings, augmentations, self.cache, half)
            # With too many pictures for views of them nothing is chosen: what was asked for stays.
            taken = augmentations[0] if len(augmentations) == 1 else found.augmentation
            self.settings = replace(self.settings, augmentation=taken)
            note = f"C = {found.strength:.2g}, augmentation: {', '.join(found.augmentation) or 'none'}"
        else:
            # Nothing is chosen here: what is known to suit the pictures, or what was asked for.
            self.settings = replace(self.settings, augmentation=augmentations[min(1, len(augmentations) - 1)])
            fit(model, self.domain, replace(self.settings, base_lr=FEATURES.base_lr), cache=self.cache)
            note = "the head does not end in one linear layer: trained by gradients"
        if self.settings.class_weights:
            note += "; one class is rare: all weigh the same, and balanced accuracy decides"
        model.classes = self.domain.classes
        model.eval()
        self.start = self.best = model
        self.trial, self.seen = None, self._look(model)
        score = score_of(self.seen, self.settings.select_by)
        self._note(Trial(1, math.nan, math.nan), started, score=score, taken=True, note=note)

    def deeper(self) -> None:
        """Try and take, until nothing is left to try."""
        for trial in self._trials():
            started = perf_counter()
            network = copy.deepcopy(self.start)
            groups = network.names[-trial.groups :]
            freeze_all_but(network, groups)
            stage = Stage(groups, trial.epochs, trial.base_lr)
            if (seconds := self._estimate(network, stage)) > self.left():
                would = f"would take about {seconds:.0f} s, " if math.isfinite(seconds) else ""
                note = f"left out: {would}{max(0, self.left()):.0f} s are left"
                self._note(trial, started, note=note)
                continue
            try:
                fit(network, self.domain, self.settings, [stage], cache=self.cache)
            except TrainingDiverged:
                self._note(trial, started, note="diverged")
                continue
            seen = self._look(network)
            gain, error = gain_of(seen, self.seen, self.settings.select_by)
            score = score_of(seen, self.settings.select_by)
            self._note(trial, started, score=score, gain=gain, error=error, taken=gain > error)
            if gain > error:
                self.best, self.seen, self.trial = network, seen, trial

    def _trials(self) -> Iterator[Trial]:
        """What to try next, given what was best so far; ends where neither depth helped."""
        pictures, groups = len(self.domain.train), len(self.start)
        epochs = max(4, round(2 * steps_for(pictures) / math.ceil(pictures / BATCH)))
        for depth in (2, groups):
            yield Trial(depth, RATE, epochs)
        if self.trial is None:
            return
        yield replace(self.trial, base_lr=3 * RATE)
        if self.trial.base_lr == RATE:
            yield replace(self.trial, base_lr=RATE / 3)
        if self.trial.groups != groups // 2 > 2:
            yield replace(self.trial, groups=groups // 2)
        yield replace(self.trial, epochs=2 * epochs)

    def _look(self, network: LayerGroups) -> Evaluation:
        return evaluate(network, self.domain, "validation", self.settings, self.cache)

    def _estimate(self, network: LayerGroups, stage: Stage) -> float:
        """Seconds that a trial takes, from the last of three of its steps on a copy; fills a part of the cache."""
        if self.left() <= 0:
            return math.inf
        trainer = Trainer(copy.deepcopy(network), self.domain, self.settings, stage, cache=self.cache)
        trainer.enter(stage)
        batches = list(trainer.batches(0))
        started = perf_counter()
        source = trainer.source(0)
        filling = perf_counter() - started
        for batch in batches[:3]:
            started = perf_counter()
            trainer.set_rate(stage.base_lr)
            trainer.backward(batch, source)
            trainer.update()
            step = perf_counter() - started
        looking = step / 3 * len(self.domain.validation) / BATCH  # a third of a step is forward
        return stage.epochs * len(batches) * step + filling + looking

    def _note(
        self,
        trial: Trial,
        started: float,
        *,
        score=math.nan,
        gain=math.nan,
        error=math.nan,
        taken=False,
        note="",
    ) -> None:
        row = {"trial": trial.name(self.start), **asdict(trial)}
        row |= {"score": score, "gain": gain, "error": error, "seconds": perf_counter() - started}
        self.rows.append({**row, "taken": taken, "note": note})
        shown = in_words(pd.DataFrame(self.rows[-1:])).iloc[0]
        parts = [f"validation {shown['validation']}"] * (score == score)
        parts += (
            [f"{shown['gain, points']} points"] * (gain == gain) + [note] * bool(note) + ["taken"] * taken
        )
        print(f"{shown['trial']}: {', '.join(parts)}")
