"""The levers of page 09, each alone: pictures a second, memory and accuracy; and what every group of a network holds.

Both tables are made by measure.py.
"""

from dataclasses import replace
from pathlib import Path
from statistics import median

import pandas as pd
from tqdm.auto import tqdm

from labutils import (
    Run,
    Settings,
    Strategy,
    add_adapters,
    build_feature_extractor,
    partial_finetune,
    run_all,
)
from labutils.analysis.training_memory import memory_costs, step_memory
from labutils.experiments.comparisons import augmentation_for, tuned
from labutils.experiments.runs import open_domain
from labutils.runtime.files import read_json, write_json

NETWORKS = ("efficientnet_lite0", "resnet18", "resnet50", "mobilenet_v3_small", "convnext_tiny")
RATE_FACTORS = (1, 3, 10)
EPOCHS = 8
PLAIN = Settings(
    epochs=EPOCHS,
    keep_best=False,
    validate_every=EPOCHS,
    cache_limit_gb=0,
    augmentation=augmentation_for("solar"),
)
ALL = Strategy("all groups", None, "at once", 1e-3)
LAST = replace(ALL, name="last two groups", groups=2)
HEAD = replace(ALL, name="head", groups=1)
LEVERS: dict[str, tuple[Strategy, Settings]] = {
    "all groups": (ALL, PLAIN),
    "… at one rate": (replace(ALL, name="one rate", lr_decay=1.0), PLAIN),
    "… channels first": (ALL, replace(PLAIN, channels_last=False)),
    "… bfloat16": (ALL, replace(PLAIN, precision="bfloat16")),
    "… checkpointing": (ALL, replace(PLAIN, gradient_checkpointing=True)),
    "… accumulation, 4 parts": (ALL, replace(PLAIN, accumulate=4)),
    "… compiled": (ALL, replace(PLAIN, compile=True)),
    "norms only": (replace(ALL, name="norms", weights="norms"), PLAIN),
    "biases only": (replace(ALL, name="biases", weights="biases"), PLAIN),
    "adapters, rank 4": (replace(ALL, name="adapters", weights="adapters"), PLAIN),
    "last two groups": (LAST, PLAIN),
    "last two groups, cached": (LAST, replace(PLAIN, cache_limit_gb=1.0)),
    "head": (HEAD, PLAIN),
    "head, cached": (HEAD, replace(PLAIN, cache_limit_gb=1.0)),
}


def levers(seeds: tuple[int, ...], store: Path) -> tuple[pd.DataFrame, dict]:
    """A row for each lever and seed. The rate of each is chosen on validation with the first seed."""
    runs = {}
    for name, (strategy, settings) in LEVERS.items():
        run = Run("solar", "efficientnet_lite0", strategy, 300, seeds[0], settings, image_size=64)
        (chosen,), _ = tuned([replace(run, strategy=strategy, settings=PLAIN)], RATE_FACTORS, store=store)
        runs[name] = replace(run, strategy=chosen)
    cases = [(name, seed) for name in runs for seed in seeds]
    results = run_all([replace(runs[name], seed=seed) for name, seed in cases], store, label="Levers")
    costs = {name: _cost(run, store) for name, run in tqdm(runs.items(), desc="Speed and memory")}
    rows = [
        {
            "lever": name,
            "seed": seed,
            "base_lr": runs[name].strategy.base_lr,
            **costs[name],
            "test_accuracy": result["test_accuracy"],
        }
        for (name, seed), result in zip(cases, results, strict=True)
    ]
    first = runs["all groups"]
    return pd.DataFrame(rows), {
        "domain": first.domain,
        "backbone": first.backbone,
        "labels": first.labels,
        "image_size": first.image_size,
        "epochs": EPOCHS,
        "batch_size": PLAIN.batch_size,
    }


def _cost(run: Run, store: Path) -> dict:
    """Trained weights, MB at the fullest moment of a step, pictures a second; nothing else should run meanwhile."""
    file = store / f"cost-{run.key}.json"
    row = read_json(file)
    if row is None:
        few = open_domain(run.domain, run.image_size).labelled(run.labels, run.seed)
        model = build_feature_extractor(run.backbone, len(few.classes), seed=run.seed)
        kind, groups = run.strategy.weights, run.strategy.groups or len(model)
        if kind == "adapters":
            add_adapters(model)
        partial_finetune(model, groups, weights=kind)
        trained = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
        held, _ = step_memory(model, few, run.settings, groups, kind)
        # The first views of the cache are filled in the first epochs.
        epochs = run.settings.views + 3
        timed = replace(run, settings=replace(run.settings, epochs=epochs, validate_every=epochs), test=False)
        seconds = [row["seconds"] for row in timed.execute()["history"][run.settings.views : -1]]
        row = {
            "trained_weights": trained,
            "memory_mb": held,
            "pictures_per_second": len(few.train) / median(seconds),
        }
        write_json(file, row)
    return row


def costs_of_networks(image_size: int = 224) -> tuple[pd.DataFrame, dict]:
    """`memory_costs` of every network in both precisions, one below the other."""
    tables = []
    for backbone in tqdm(NETWORKS, desc="Networks"):
        model = build_feature_extractor(backbone, 2, pretrained=False)
        for precision in ("float32", "bfloat16"):
            table = memory_costs(model, image_size, precision)
            tables.append(table.assign(backbone=backbone, precision=precision))
    table = pd.concat(tables, ignore_index=True)
    return table[["backbone", "precision", *table.columns.drop(["backbone", "precision"])]].round(4), {
        "image_size": image_size
    }
