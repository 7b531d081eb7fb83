"""`lab.finetune`, which chooses by itself, beside logistic regression and the fixed strategies of the lab.

python benchmarks/finetune.py                 five seeds; finished runs are kept, so it can be interrupted
python benchmarks/finetune.py --seeds 0 1     these alone, which is a trial: nothing is written

The minutes are counted on the clock of this process's one thread, not on the wall: on a machine that others use, too, the
choice is then that of a core of its own.
"""

import argparse
import importlib
import math
from pathlib import Path
from time import perf_counter, process_time

import pandas as pd
import torch
from provenance import provenance, save

import labutils as lab
from labutils.analysis.features import group_features
from labutils.experiments.comparisons import augmentation_for, steps_for
from labutils.experiments.runs import FEATURES, FULL, PARTIAL
from labutils.runtime.files import read_json, write_json

LABELS = {"textures": 60, "solar": 500, "digits": 300}
SEEDS = (0, 1, 2, 3, 4)
IMAGE_SIZE = 64
MINUTES = 3
BACKBONE = "efficientnet_lite0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS)
    parser.add_argument("--store", type=Path, default=Path("outputs/finetune"))
    arguments = parser.parse_args()
    origin = provenance(seeds=tuple(arguments.seeds))
    rows = []
    for seed in arguments.seeds:
        for domain in LABELS:
            file = arguments.store / f"{domain}-{seed}.json"
            if (row := read_json(file)) is None:
                row = {
                    "domain": domain,
                    "labels": LABELS[domain],
                    "seed": seed,
                    **measured(domain, seed, arguments),
                }
                write_json(file, row)
            rows.append(row)
            print(row, flush=True)
    table = pd.DataFrame(rows)
    accuracies = [
        "finetune",
        "logistic_regression",
        *(s.name.split(",")[0] for s in (FEATURES, PARTIAL, FULL)),
    ]
    print(table.groupby("domain")[accuracies].mean().round(4).to_string())
    save(
        "finetune",
        table,
        origin,
        keep=tuple(arguments.seeds) == SEEDS,
        backbone=BACKBONE,
        image_size=IMAGE_SIZE,
        minutes=MINUTES,
        clock="CPU time of one thread",
    )


def measured(domain: str, seed: int, arguments) -> dict:
    """Test accuracies of all contenders with the same labelled pictures, and the seconds of `finetune`."""
    for module in ("labutils.experiments.finetune", "labutils.experiments.linear_head"):
        importlib.import_module(module).perf_counter = process_time
    few = lab.load(domain, IMAGE_SIZE).labelled(LABELS[domain], seed)
    started = perf_counter()
    result = lab.finetune(few, MINUTES, BACKBONE, seed)
    row = {
        "finetune": result.evaluation.accuracy,
        "taken": result.chosen,
        "trials": int(result.tried["score"].notna().sum()),
        "left_out": int(result.tried["note"].str.startswith("left out").sum()),
        "cpu_seconds": result.seconds,
        "seconds": perf_counter() - started,
    }
    row["logistic_regression"], row["logistic_regression_seconds"] = logistic_regression(few, seed)
    # The steps and the batch of the lab's largest comparison (page 07), the weights of the last epoch.
    epochs = max(2, round(steps_for(LABELS[domain]) / math.ceil(LABELS[domain] / 16)))
    settings = lab.Settings(
        epochs, 16, keep_best=False, validate_every=epochs, augmentation=augmentation_for(domain)
    )
    for strategy in (FEATURES, PARTIAL, FULL):
        run = lab.Run(domain, BACKBONE, strategy, LABELS[domain], seed, settings, IMAGE_SIZE)
        (done,) = lab.run_all([run], arguments.store / "runs", 1)
        name = strategy.name.split(",")[0]
        row[name], row[f"{name} seconds"] = done["test_accuracy"], done["seconds"]
    return row


def logistic_regression(domain: lab.Domain, seed: int) -> tuple[float, float]:
    """Test accuracy of logistic regression on standardised features, its strength by cross-validation, and seconds."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    started = perf_counter()
    model = lab.build_feature_extractor(BACKBONE, len(domain.classes))
    train, test = (
        group_features(model, domain.images[ids])[model.names[-2]].numpy()
        for ids in (domain.train, domain.test)
    )
    probe = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)),
        {"logisticregression__C": [10.0**k for k in range(-4, 2)]},
        scoring="neg_log_loss",
        cv=StratifiedKFold(5, shuffle=True, random_state=seed),
    )
    probe.fit(train, domain.labels[domain.train].numpy())
    answers = torch.from_numpy(probe.predict(test))
    return float((answers == domain.labels[domain.test]).float().mean()), perf_counter() - started


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
