"""Independent training runs: described by a frozen dataclass, done by worker processes, each result kept on disk."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from labutils.analysis.weight_movement import movement
from labutils.data import INSTALLED, PUBLIC, Domain, folder, load
from labutils.experiments.executors import default_workers, execute, open_executor
from labutils.networks.adapters import add_adapters
from labutils.networks.backbones import build_feature_extractor
from labutils.networks.groups import LayerGroups
from labutils.runtime.devices import pick_device
from labutils.runtime.distributed import alone, from_all, from_main, share, world_size
from labutils.runtime.files import read_json, write_json
from labutils.runtime.progress import progress_bar
from labutils.training.activation_cache import ActivationCache
from labutils.training.evaluation import evaluate
from labutils.training.loop import fit
from labutils.training.optimizers import discriminative_lr_optimizer
from labutils.training.settings import Settings
from labutils.training.stages import partial_finetune

MEASURED = ("validation_accuracy", "test_accuracy", "test_balanced_accuracy", "seconds")
FORMAT = 2  # raise it when a change makes stored results incomparable


@dataclass(frozen=True)
class Strategy:
    """A way of using, or not using, a pretrained network.

    Parameters
    ----------
    name : str
    groups : int or None
        How many groups are trained, counted from the head; None for all.
    how : str
        See `partial_finetune`.
    base_lr : float or tuple of float
        Rate of the head in the first stage; or one rate for each group, shallow to deep.
    lr_decay : float
        Not used with a rate for each group.
    pretrained : bool
        False starts from random weights.
    weights : str
        Which weights of the groups, see `partial_finetune`; "adapters" are added first.
    """

    name: str
    groups: int | None
    how: str
    base_lr: float | tuple[float, ...]
    lr_decay: float = 3.0
    pretrained: bool = True
    weights: str = "all"

    @property
    def head_lr(self) -> float:
        """Rate of the head in the first stage."""
        return self.base_lr[-1] if isinstance(self.base_lr, tuple) else self.base_lr


FEATURES = Strategy("feature extraction", 1, "at once", 1e-2)
PARTIAL = Strategy("partial fine-tuning", 2, "linear probe first", 1e-2)
# A milder decay than for a few groups: at 3, the stem of six groups would learn 243 times more slowly than the head and not move.
FULL = Strategy("full, discriminative rates", None, "linear probe first", 1e-2, lr_decay=1.5)
SCRATCH = Strategy("from scratch", None, "at once", 3e-3, lr_decay=1.0, pretrained=False)
STRATEGIES = (FEATURES, PARTIAL, FULL, SCRATCH)


@dataclass(frozen=True)
class Pictures:
    """One's own pictures by their place, so that a worker process can open them, too.

    Parameters
    ----------
    path : str
        A whole path: never taken for the name of a domain.
    options : tuple of (str, value)
        For `folder`; see `at`.
    """

    path: str
    options: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def at(cls, path: str | Path, **options) -> "Pictures":
        """The folder at ``path``; ``options`` as `folder` takes them."""
        return cls(str(Path(path).expanduser().resolve()), tuple(sorted(options.items())))

    def open(self, image_size: int) -> Domain:
        return folder(self.path, image_size, **dict(self.options))


@dataclass(frozen=True)
class Run:
    """One training run from start to test accuracy.

    Parameters
    ----------
    domain : str, Pictures or Domain
        A name for `load`, the path of a folder of pictures, with `Pictures` also how to read it, or a Domain (then the run
        stays in this process).
    backbone : str
    strategy : Strategy
    labels : int
        Labelled training pictures.
    seed : int
        Chooses the pictures, the head and the order.
    settings : Settings
        Its rate, decay and seed are set by strategy and seed.
    image_size : int
        In pixels; a Domain brings its own.
    test : bool, default True
        False for runs that choose something: they do not look at the test split.
    """

    domain: str | Pictures | Domain
    backbone: str
    strategy: Strategy
    labels: int
    seed: int
    settings: Settings = Settings()
    image_size: int = 128
    test: bool = True

    @property
    def key(self) -> str:
        """Name of the stored result: differs when anything differs that can change the numbers."""
        pictures = open_domain(self.domain, self.image_size).fingerprint
        facts = (
            FORMAT,
            pictures,
            self.backbone,
            asdict(self.strategy),
            self.labels,
            self.seed,
            self.settings.digest,
            pick_device(self.settings.device).type,
            self.test,
        )
        return hashlib.sha256(repr(facts).encode()).hexdigest()[:16]

    def execute(self, on_epoch: Callable[[dict, LayerGroups], bool | None] | None = None) -> dict:
        """Train and evaluate; ``on_epoch`` as in `fit`, and it is given the network, too, which it must not change.

        Returns accuracies (0 to 1), seconds, and ``history``, a list of rows an epoch.
        """
        started = perf_counter()
        domain = open_domain(self.domain, self.image_size)
        few = domain.labelled(self.labels, self.seed)
        plan = self.strategy
        settings = replace(self.settings, seed=self.seed, lr_decay=plan.lr_decay)
        model = build_feature_extractor(
            self.backbone, len(domain.classes), pretrained=plan.pretrained, seed=self.seed
        )
        if plan.weights == "adapters":
            add_adapters(model, seed=self.seed)
        before = {name: weights.clone() for name, weights in model.state_dict().items()}
        optimizer = discriminative_lr_optimizer(model, plan.base_lr, plan.lr_decay, settings.weight_decay)
        stages = partial_finetune(
            model,
            plan.groups or len(model),
            how=plan.how,
            epochs=settings.epochs,
            base_lr=plan.head_lr,
            weights=plan.weights,
        )
        trained = {name for stage in stages for name in stage.groups}
        cache = _shared_cache(settings.cache_limit_gb)
        watch = on_epoch and (lambda row: on_epoch(row, model))
        history = fit(model, few, settings, stages, optimizer=optimizer, cache=cache, on_epoch=watch)
        result = {
            "validation_accuracy": float(history["validation_accuracy"].iloc[-1]),
            "frozen_unmoved": all(
                torch.equal(before[name].cpu(), tensor.cpu())
                for name, tensor in model.state_dict().items()
                if name.split(".")[0] not in trained
            ),
            "movement": movement(before, model),
            "history": history.to_dict("records"),
        }
        if settings.keep_best:
            kept = history[settings.score_column].idxmax()
            result["validation_accuracy"] = float(history["validation_accuracy"][kept])
        if self.test:
            seen = evaluate(model, domain, "test", settings, cache)
            result["test_accuracy"], result["test_balanced_accuracy"] = seen.accuracy, seen.balanced_accuracy
            result["test_recall"] = seen.per_class["recall"].to_dict()
        return {**result, "seconds": perf_counter() - started}


@lru_cache(maxsize=4)
def _open(name: str | Pictures, image_size: int) -> Domain:
    if isinstance(name, Pictures):
        return name.open(image_size)
    # A folder here that is called like a domain is meant by ./solar only.
    is_path = Path(name).name != name or (name not in (*INSTALLED, *PUBLIC) and Path(name).is_dir())
    return (folder if is_path else load)(name, image_size)


def open_domain(domain: str | Pictures | Domain, image_size: int = 128) -> Domain:
    """The pictures behind a name, a folder's path, or a Domain itself."""
    if isinstance(domain, Domain):
        return domain
    return _open(domain if isinstance(domain, Pictures) else str(domain), image_size)


@lru_cache(maxsize=1)
def _shared_cache(limit_gb: float) -> ActivationCache:
    return ActivationCache(limit_gb)


def run_all(
    runs: Sequence[Run],
    store: str | Path | None = None,
    workers: int | str | Executor | None = None,
    label: str = "Runs",
) -> list[dict]:
    """Do every run, or read its result where it was done before.

    Parameters
    ----------
    runs : sequence of Run
    store : path, optional
        Folder for one file a run, written as soon as it ends: after a crash only the rest is done.
    workers : int, str or Executor, optional
        Who does them: so many processes of this machine, one computing thread each; a Dask cluster, by the address of its
        scheduler; or any executor, which is left open. Default one process for each core up to 4, and 1 on a GPU; small networks
        gain more from two processes than from two threads (1.4 to 2 times on two cores). With 1, and for runs that hold a
        Domain, this process does them. Under ``torchrun`` the ranks share the runs, each done by one of them.
    label : str
        Text before the progress bar.

    Returns
    -------
    list of dict
        In the order of ``runs``; see `Run.execute`.

    Raises
    ------
    RuntimeError
        Worker processes or the cluster were lost. Finished runs are in the ``store``; all else is cancelled, as it is when a
        run fails.
    """
    files = [Path(store) / f"{run.key}.json" if store else None for run in runs]
    results = from_main([(read_json(file) or None) if file else None for file in files])
    todo = [i for i, result in enumerate(results) if result is None]
    # Long runs first, so that nobody is left alone with one at the end.
    todo.sort(key=lambda i: -runs[i].labels * runs[i].settings.epochs * (runs[i].strategy.groups or 99))
    todo = share(todo)
    if workers is None:
        workers = default_workers()
    if world_size() > 1 or any(isinstance(runs[i].domain, Domain) for i in todo):
        workers = 1
    here = not todo or (isinstance(workers, int) and min(workers, len(todo)) <= 1)

    def keep(i: int, result: dict) -> None:
        results[i] = result
        if files[i]:
            write_json(files[i], result)
        bar.update()

    done = len(runs) - len(todo)
    with alone(), progress_bar(total=len(runs), initial=done, desc=label, unit="run") as bar:
        if here:
            for i in todo:
                keep(i, runs[i].execute())
        else:
            with open_executor(workers, len(todo)) as executor:
                _collect({executor.submit(execute, runs[i]): i for i in todo}, keep)
    # Of each run the one rank that did it has the result.
    by_rank = zip(*from_all(results), strict=True)
    return [next(result for result in found if result is not None) for found in by_rank]


def _collect(waiting: dict[Future, int], keep: Callable[[int, dict], None]) -> None:
    try:
        for done in as_completed(tuple(waiting)):
            keep(waiting.pop(done), done.result())
            del done  # Dask would compute again what is still held here when the worker that has it dies
    finally:
        for future in waiting:
            future.cancel()
