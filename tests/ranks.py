"""A program for `torchrun`: trains the tiny network in several ways; each rank writes down what it sees.

python -m torch.distributed.run --nproc-per-node 2 tests/ranks.py SCENARIO FOLDER
"""

import json
import os
import signal
import sys
from dataclasses import replace
from pathlib import Path

import torch
from helpers import CLASSES, TINY, coloured_patterns, numbers, with_statistics

from labutils import (
    ActivationCache,
    Settings,
    build_feature_extractor,
    evaluate,
    fit,
    lr_finder,
    partial_finetune,
    run_all,
)
from labutils.experiments.runs import FEATURES, SCRATCH, Run
from labutils.forgetting import L2SP
from labutils.networks.backbones import BACKBONES
from labutils.runtime.distributed import process_group, rank
from labutils.runtime.tensors import digest

DOMAIN = coloured_patterns()
# 30 pictures in batches of 8: the last has 6, and a part of a batch may have none.
SETTINGS = Settings(batch_size=8, base_lr=0.01, augmentation=("flip", "crop"), views=2, accumulate=2)
EPOCHS = 4


def network(seed: int = 0):
    model = build_feature_extractor("tiny", CLASSES, seed=seed)
    return with_statistics(model, DOMAIN.images[:16])


def train(settings: Settings = SETTINGS, seed: int = 0, **more) -> dict:
    """A run over three stages: what it saw, what it holds in the end."""
    model, cache, digests = network(seed), ActivationCache(1.0), []
    stages = partial_finetune(model, 3, how="progressively", epochs=EPOCHS, base_lr=settings.base_lr)
    hook = more.pop("on_epoch", lambda row: None)

    def look(row: dict) -> bool | None:
        digests.append(digest(model.state_dict()))
        return hook(row)

    history = fit(model, DOMAIN, settings, stages, cache=cache, on_epoch=look, **more)
    tested = evaluate(model, DOMAIN, "test", settings)
    return {
        "weights": {name: tensor.tolist() for name, tensor in model.state_dict().items()},
        "after each epoch": digests,
        "history": numbers(history),
        "test": [tested.loss, tested.accuracy, tested.logits.tolist()],
        "cached bytes": cache.bytes,
    }


def scenarios(store: Path) -> dict:
    """All that is compared between two ranks and one process."""
    found = {"staged": train(), "head drawn elsewhere": train(seed=rank())}
    found["pulled"] = train(against_forgetting=L2SP(network(), 0.1))
    model = network()
    partial_finetune(model, 4)
    found["everything trained"] = numbers(fit(model, DOMAIN, replace(SETTINGS, epochs=2)))
    found["range test"] = lr_finder(model, DOMAIN, SETTINGS, steps=30).curve["loss"].tolist()
    # Runs are shared, not their batches: from scratch too.
    runs = [
        Run(DOMAIN, "tiny", strategy, 12, seed, replace(SETTINGS, epochs=2))
        for strategy in (FEATURES, SCRATCH)
        for seed in (0, 1, 2)
    ]
    found["runs"] = run_all(runs, store, workers=1)
    return found


def from_scratch() -> str:
    model = build_feature_extractor("tiny", CLASSES, pretrained=False)
    partial_finetune(model, 4)
    try:
        fit(model, DOMAIN, SETTINGS)
    except ValueError as error:
        return str(error)


def differing() -> str:
    try:
        train(replace(SETTINGS, seed=rank()))
    except ValueError as error:
        return str(error)


def checkpointed(folder: Path, killed: bool = False) -> dict:
    def hook(row: dict) -> None:
        if killed and row["epoch"] == 3 and rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)

    return train(checkpoint=folder / "run.pt", on_epoch=hook)


def main() -> None:
    torch.set_num_threads(1)
    scenario, folder = sys.argv[1], Path(sys.argv[2])
    with process_group():
        print("said by one")
        if scenario == "all":
            found = {**scenarios(folder / "runs"), "from scratch": from_scratch(), "differing": differing()}
        else:
            found = checkpointed(folder, killed=scenario == "killed")
        (folder / f"rank{rank()}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    BACKBONES["tiny"] = TINY
    main()
