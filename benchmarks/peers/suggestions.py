"""How good are the rates that the tools suggest? Every rule is given the same curves.

python -m benchmarks.peers.suggestions [--quick]

Made-up curves, of which the right answer is known; and real tasks, where training shows what a rate is worth. One trainer, the
lab's, trains them all, so the rates alone differ. Finished tasks are kept: interrupted, the same command goes on.
"""

import argparse
import copy
import logging
import math
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from time import process_time

import numpy as np
import pandas as pd
import torch

from benchmarks.peers.contenders import origin
from benchmarks.peers.curves import DRAWS, LAB_DEFAULT, ask, curves, judge, lab_default
from benchmarks.peers.heads_side_by_side import train_heads
from benchmarks.peers.rules import RULES
from benchmarks.peers.tasks import Conditions
from benchmarks.peers.worth import TRIED, outwards, summary
from benchmarks.provenance import save
from labutils import (
    ActivationCache,
    LayerGroups,
    Settings,
    Stage,
    TrainingDiverged,
    build_feature_extractor,
    fit,
    freeze_all_but,
    load,
    lr_finder,
)
from labutils.data import Domain
from labutils.data.splits import choose
from labutils.experiments.comparisons import steps_for
from labutils.runtime.files import data_folder, read_json, write_json
from labutils.training import range_test

LABELS, IMAGE_SIZE = {"textures": 60, "solar": 500, "digits": 300}, 64
GROUPS = {"head": 1, "last two groups": 2, "all groups": 6}
FEW = (0, 1)  # where a seed takes minutes
SEEDS = {"head": tuple(range(10)), "last two groups": FEW, "all groups": FEW}
DEEPER_STEPS = 30  # of a training of more than the head
FOLDER = data_folder() / "peers" / "suggestions"
CACHE = ActivationCache()


@dataclass(frozen=True)
class Task:
    """What is trained on which pictures, in batches of which size; the seed chooses labels, head and order."""

    domain: str
    trained: str
    batch_size: int
    seed: int

    @property
    def file(self) -> str:
        return f"{self.domain}-{GROUPS[self.trained]}-{self.batch_size}-{self.seed}.json"

    @property
    def epochs(self) -> int:
        """The head takes the steps that the lab's comparisons take."""
        labels = LABELS[self.domain]
        steps = steps_for(labels) if self.trained == "head" else DEEPER_STEPS
        return max(1, round(steps / math.ceil(labels / self.batch_size)))

    @property
    def settings(self) -> Settings:
        return Settings(
            batch_size=self.batch_size, seed=self.seed, device="cpu", keep_best=False, validate_every=10**6
        )

    def pictures(self) -> tuple[Domain, Domain]:
        """Half of the validation pictures are there for the range test, the other half judge the training."""
        domain = _loaded(self.domain)
        seen = choose(domain.validation, domain.labels, len(domain.validation) // 2, seed=0)
        unseen = domain.validation[~torch.isin(domain.validation, seen)]
        few = domain.labelled(LABELS[self.domain], self.seed)
        return replace(few, validation=seen), replace(few, validation=unseen)

    def network(self) -> LayerGroups:
        model = copy.deepcopy(_network(len(_loaded(self.domain).classes), self.seed))
        freeze_all_but(model, model.names[-GROUPS[self.trained] :])
        return model


@lru_cache
def _loaded(name: str) -> Domain:
    return load(name, IMAGE_SIZE)


@lru_cache(maxsize=1)
def _network(classes: int, seed: int) -> LayerGroups:
    return build_feature_extractor(num_classes=classes, seed=seed)


def made_up() -> pd.DataFrame:
    """A row for each made-up curve and tool."""
    rows = []
    for curve in curves():
        low, high = curve.right or (np.nan, np.nan)
        for tool, rule in {LAB_DEFAULT: lab_default, **RULES}.items():
            rows.append(
                {"curve": curve.name, "right_from": low, "right_to": high, "tool": tool, **judge(rule, curve)}
            )
    return pd.DataFrame(rows)


def real(task: Task) -> dict:
    """What one range test makes each rule suggest, and the loss after training at it and at the rates tried."""
    seen, unseen = task.pictures()
    found = lr_finder(task.network(), seen, task.settings, cache=CACHE)
    rates, losses = found.curve["rate"].to_numpy(), found.curve["loss"].to_numpy()
    asked = {tool: ask(rule, rates, losses)[0] for tool, rule in RULES.items()}
    asked = {LAB_DEFAULT: None if found.reason else found.suggestion, **asked}
    wanted = sorted({rate for rate in asked.values() if rate is not None})
    if task.trained == "head":
        everything = [*TRIED, *wanted]
        worth = train_heads(task.network(), unseen, task.settings, task.epochs, everything, CACHE)
        tried, at = dict(zip(TRIED, worth, strict=False)), dict(zip(everything, worth, strict=True))
    else:
        tried = outwards(lambda rate: loss_after(task, unseen, rate))
        # Beyond the rates tried it is the loss of the last of them: to the advantage of who suggests such a rate.
        between = np.interp(np.log(wanted), np.log(list(tried)), list(tried.values()))
        at = dict(zip(wanted, between.tolist(), strict=True))
    told = {"domain": task.domain, "trained": task.trained, "batch_size": task.batch_size, "seed": task.seed}
    rows = [{**told, "tool": f"tried {rate:.3g}", "rate": rate, "loss": loss} for rate, loss in tried.items()]
    rows += [{**told, "tool": tool, "rate": rate, "loss": at.get(rate)} for tool, rate in asked.items()]
    return {"rows": rows, "reason": found.reason, "commit": origin((task.seed,))["commit"]}


def loss_after(task: Task, domain: Domain, rate: float) -> float:
    """Validation loss after a training by `fit`, infinite if it became no number."""
    model = task.network()
    stage = Stage(model.trainable_names, task.epochs, rate)
    try:
        return float(fit(model, domain, task.settings, [stage], cache=CACHE)["validation_loss"].iloc[-1])
    except TrainingDiverged:
        return np.inf


def seconds(task: Task) -> dict[str, float]:
    """CPU seconds of the range test as it is, and without looking at held-out pictures; nothing cached before."""
    measured, sample = {}, range_test._sample
    for name, way in (("without looks", lambda trainer: sample(trainer)[:0]), ("range test", sample)):
        model, (seen, _) = task.network(), task.pictures()
        range_test._sample, started = way, process_time()
        lr_finder(model, seen, task.settings)
        measured[name] = process_time() - started
        range_test._sample = sample
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed of the heads; nothing is written")
    quick = parser.parse_args().quick
    warnings.filterwarnings("ignore")  # the tools warn of what is done on purpose: too few steps, no model
    logging.disable(logging.ERROR)
    torch.set_num_threads(Conditions().threads)
    keep, told = not quick, origin(SEEDS["head"])
    save("peers_curves", made_up(), told, keep=keep, draws=DRAWS)
    tasks = [
        Task(domain, trained, batch_size, seed)
        for trained in (("head",) if quick else GROUPS)
        for seed in SEEDS[trained][: 1 if quick else None]
        for domain in LABELS
        for batch_size in (16, 64)
    ]
    rows, times = [], []
    how = {"labels": LABELS, "image_size": IMAGE_SIZE, "seeds": SEEDS, "deeper_steps": DEEPER_STEPS}
    for task in tasks:
        found = read_json(FOLDER / task.file) or real(task)
        if task.seed == 0 and "seconds" not in found:
            found["seconds"] = seconds(task)
        write_json(FOLDER / task.file, found)
        rows += found["rows"]
        if "seconds" in found:
            named = {"domain": task.domain, "trained": task.trained, "batch_size": task.batch_size}
            ratio = found["seconds"]["range test"] / found["seconds"]["without looks"]
            times.append({**named, **found["seconds"], "ratio": ratio})
        # After each task, so that what there is can be read when it is cut off.
        save("peers_suggestions_runs", rows, told, keep=keep, **how)
        save("peers_suggestions", summary(pd.DataFrame(rows)), told, keep=keep, **how)
        save("range_test_seconds", times, told, keep=keep, **how)


if __name__ == "__main__":
    main()
