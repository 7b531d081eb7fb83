"""What is the valley of a range test worth? Training at multiples of it."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from labutils.data import Domain
from labutils.experiments.runs import FEATURES, Run, open_domain, run_all
from labutils.networks.backbones import DEFAULT_BACKBONE, build_feature_extractor
from labutils.training.activation_cache import ActivationCache
from labutils.training.range_test import lr_finder
from labutils.training.settings import Settings
from labutils.training.stages import partial_finetune


def rates_around_suggestion(
    domain: str | Domain,
    groups: int = 1,
    factors: Sequence[float] = (0.1, 1.0, 10.0),
    *,
    backbone: str = DEFAULT_BACKBONE,
    labels: int = 300,
    settings: Settings = Settings(keep_best=False),
    steps: int = 100,
    seeds: Sequence[int] = (0, 1, 2),
    image_size: int = 64,
    store: str | Path | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """Run the range test once a seed, then train a fresh network at each multiple of its valley.

    Only the validation pictures are looked at: a rate is a choice.

    Parameters
    ----------
    domain : str or Domain
    groups : int, default 1
        How many groups are trained, counted from the head, in the test and in the training.
    factors : sequence of float
        1 is the valley itself.
    labels : int, default 300
        Labelled training pictures, drawn by each seed.
    settings : Settings
        Of the test and the training; rate and seed are set here.
    steps : int, default 100
        Of the range test.
    image_size : int, default 64
        In pixels; a Domain brings its own.
    store, workers :
        See `run_all`.

    Returns
    -------
    DataFrame
        A row for each seed and factor: seed, valley, suggestion (what the same test suggests by default), factor, base_lr,
        train_loss, validation_loss, validation_accuracy (of the last epoch), seconds.

    Raises
    ------
    ValueError
        When a range test finds no valley; with its reason, if there is one.
    TrainingDiverged
        When a factor is so high that the loss is no longer a number.
    """
    pictures = open_domain(domain, image_size)
    cache = ActivationCache(settings.cache_limit_gb)
    rows, runs = [], []
    for seed in seeds:
        model = build_feature_extractor(backbone, len(pictures.classes), seed=seed)
        partial_finetune(model, groups)
        found = lr_finder(
            model, pictures.labelled(labels, seed), replace(settings, seed=seed), cache=cache, steps=steps
        )
        if "valley" not in found.suggestions:
            raise ValueError(f"The range test finds no valley: {found.reason or 'the batches are too noisy'}")
        valley = found.suggestions["valley"]
        for factor in factors:
            rate = factor * valley
            plan = replace(
                FEATURES, name=f"last {groups}", groups=groups, base_lr=rate, lr_decay=settings.lr_decay
            )
            runs.append(Run(domain, backbone, plan, labels, seed, settings, image_size, test=False))
            rows.append(
                {
                    "seed": seed,
                    "valley": valley,
                    "suggestion": found.suggestion,
                    "factor": factor,
                    "base_lr": rate,
                }
            )
    results = run_all(runs, store, workers, label="Around the valley")
    for row, result in zip(rows, results, strict=True):
        last = result["history"][-1]
        row |= {name: last[name] for name in ("train_loss", "validation_loss", "validation_accuracy")}
        row["seconds"] = result["seconds"]
    return pd.DataFrame(rows)
