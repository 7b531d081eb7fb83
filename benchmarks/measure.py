"""Make the tables that the notebooks show but do not compute in class; finished runs are kept, so it can be interrupted.

python benchmarks/measure.py                 all tables
python benchmarks/measure.py surface         one of them
"""

import argparse
from pathlib import Path

import pandas as pd
from provenance import provenance, save

from labutils.experiments import domain_gap_experiment
from labutils.rate_trials import rates_around_suggestion
from labutils.runs import run_all
from labutils.settings import Settings, pick_device
from labutils.surface import surface_run

SEEDS = (0, 1, 2)
STORE = Path("outputs/measured")


def surface(store: Path) -> tuple[pd.DataFrame, dict]:
    """Test accuracy over trained groups and decay of the rate."""
    cases = [(1, 1.0, seed) for seed in SEEDS]  # with the head alone the decay says nothing
    cases += [
        (n, decay, seed) for n in range(2, 10) for decay in (1.0, 1.5, 2.0, 3.0, 5.0, 10.0) for seed in SEEDS
    ]
    runs = [surface_run(*case) for case in cases]
    results = run_all(runs, store, label="Freeze depth and decay")
    table = pd.DataFrame(cases, columns=["trained_groups", "lr_decay", "seed"])
    for name in ("validation_accuracy", "test_accuracy", "seconds"):
        table[name] = [result[name] for result in results]
    run = runs[-1]
    return table, {
        "domain": run.domain,
        "backbone": run.backbone,
        "labels": run.labels,
        "image_size": run.image_size,
        "epochs": run.settings.epochs,
        "base_lr": run.strategy.base_lr,
    }


def domain_gap(store: Path) -> tuple[pd.DataFrame, dict]:
    """Test accuracy over labels for each domain and strategy."""
    table = domain_gap_experiment(seeds=SEEDS, store=store)
    return table, {"backbone": "efficientnet_lite0", "image_size": 64}


def around_suggestion(store: Path) -> tuple[pd.DataFrame, dict]:
    """Training all groups at a tenth of the rate that the range test suggests, at it, and at ten times as much."""
    tables = []
    for decay in (3.0, 1.0):
        settings = Settings(lr_decay=decay, keep_best=False)
        table = rates_around_suggestion("digits", 9, settings=settings, seeds=SEEDS, store=store)
        tables.append(table.assign(lr_decay=decay))
    conditions = {"domain": "digits", "backbone": "efficientnet_lite0", "labels": 300, "image_size": 64}
    return pd.concat(tables, ignore_index=True), conditions | {
        "epochs": settings.epochs,
        "groups": "all, from the start",
    }


TABLES = {"surface": surface, "domain_gap": domain_gap, "around_suggestion": around_suggestion}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", metavar="table", help=f"{', '.join(TABLES)}; default all")
    parser.add_argument("--store", type=Path, default=STORE, help="folder of finished runs")
    arguments = parser.parse_args()
    if unknown := set(arguments.tables) - set(TABLES):
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(TABLES)}")
    for name in arguments.tables or TABLES:
        table, conditions = TABLES[name](arguments.store)
        # A process computes with one thread (see run_all); as many processes as cores.
        save(name, table, provenance(pick_device().type, SEEDS, threads=1), **conditions)


if __name__ == "__main__":
    main()
