"""Make the tables that the notebooks show but do not compute in class: `make measure`.

python benchmarks/measure.py                 all tables
python benchmarks/measure.py surface         one of them

All tables are of one commit, which has to be clean. Interrupted, it goes on where it was: tables of this commit are done, and
finished runs are kept, for each commit by itself.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pandas as pd
from efficiency import costs_of_networks
from efficiency import levers as try_levers
from provenance import RESULTS, provenance, save

from labutils import build_feature_extractor, fit, load, load_backbone, partial_finetune
from labutils.analysis.agreement_with_original import agreement, known_pictures
from labutils.analysis.compute_costs import group_costs as costs_of_groups
from labutils.course.measured_tables import measured
from labutils.experiments.capstone import EPOCHS, FASTER, LABELS, augmentation_ablation, more_labels
from labutils.experiments.capstone import capstone as try_recipes
from labutils.experiments.comparisons import domain_gap_experiment
from labutils.experiments.depth_decay_grid import surface_run
from labutils.experiments.forgetting_trade_off import ForgettingRun, trade_off
from labutils.experiments.range_test_trials import rates_around_suggestion
from labutils.experiments.runs import FEATURES, Run, Strategy, run_all
from labutils.experiments.statistics import at_best_rate, runs_table
from labutils.experiments.surgical_finetuning import ADAPTING, surgical_experiment
from labutils.runtime.devices import pick_device
from labutils.runtime.files import read_json, write_json
from labutils.training.settings import Settings

SEEDS = tuple(range(10))
OUTCOMES = ("validation_accuracy", "test_accuracy", "seconds")
STORE = Path("outputs/measured")
DIGITS = Settings(epochs=12, batch_size=16, keep_best=False, validate_every=12)
# Multiples of a strategy's usual rate: with three of them, many a strategy took the first or the last.
WIDE = (0.1, 0.3, 1.0, 3.0, 10.0)
# Domain, shift, labelled pictures after the shift.
SHIFTED = (("digits", "inverted", 50),)
# All groups, and the rates of the head in the first stage to choose from: as many for every plan.
PROBE_FIRST = {
    "at once": (Strategy("at once, one rate", None, "at once", 1e-3, lr_decay=1.0), (1e-4, 3e-4, 1e-3, 3e-3)),
    # The second half runs at a tenth: all groups get the same four rates as above.
    "linear probe first": (
        Strategy("linear probe first", None, "linear probe first", 1e-2, lr_decay=1.0),
        (1e-3, 3e-3, 1e-2, 3e-2),
    ),
    "head alone": (FEATURES, (1e-3, 3e-3, 1e-2, 3e-2)),
}
PROGRESSIVE = {
    "in four stages": (Strategy("in four stages", None, "progressively", 1e-2), (1e-3, 3e-3, 1e-2, 3e-2)),
    "all at once": (Strategy("all at once", None, "at once", 1e-3), (3e-4, 1e-3, 3e-3, 1e-2)),
    "all at once, one rate": (
        Strategy("at once, one rate", None, "at once", 1e-4, lr_decay=1.0),
        (1e-4, 3e-4, 1e-3, 3e-3),
    ),
    "head alone": (FEATURES, (1e-3, 3e-3, 1e-2, 3e-2)),
}


def surface(store: Path) -> tuple[pd.DataFrame, dict]:
    """Test accuracy over trained groups and decay of the rate."""
    cases = [(1, 1.0, seed) for seed in SEEDS]  # with the head alone the decay says nothing
    cases += [(n, decay, seed) for n in range(2, 7) for decay in (1.0, 1.5, 2.0, 3.0, 10.0) for seed in SEEDS]
    runs = [surface_run(*case) for case in cases]
    results = run_all(runs, store, label="Freeze depth and decay")
    table = runs_table(cases, ("trained_groups", "lr_decay", "seed"), results, OUTCOMES)
    return table, conditions(runs[-1]) | {"base_lr": runs[-1].strategy.base_lr}


def conditions(run: Run) -> dict:
    """What all runs of a table have in common."""
    return {
        "domain": run.domain,
        "backbone": run.backbone,
        "labels": run.labels,
        "image_size": run.image_size,
        "epochs": run.settings.epochs,
    }


def domain_gap(store: Path) -> tuple[pd.DataFrame, dict]:
    """Test accuracy over labels for each domain and strategy, each at the rate that suits it."""
    table = domain_gap_experiment(rate_factors=WIDE, seeds=SEEDS, store=store)
    return table, {"backbone": "efficientnet_lite0", "image_size": 64, "rates_tried": len(WIDE)}


def surgical(store: Path) -> tuple[pd.DataFrame, dict]:
    """Test accuracy after a shift of the input, for each block of groups that is tuned and each rate."""
    tables = [surgical_experiment(*case, seeds=SEEDS, store=store) for case in SHIFTED]
    return pd.concat(tables, ignore_index=True), {
        "backbone": "efficientnet_lite0",
        "pictures": "; ".join(f"{domain}, {shift}, {labels} labels" for domain, shift, labels in SHIFTED),
        "image_size": 64,
        "epochs": ADAPTING.epochs,
    }


def probe_first(store: Path) -> tuple[pd.DataFrame, dict]:
    """Linear probe, then fine-tune, against all groups at once: same epochs, each with several rates."""
    return _plans(store, PROBE_FIRST)


def progressive(store: Path) -> tuple[pd.DataFrame, dict]:
    """Unfreezing in four stages against other plans: same epochs, each with several rates."""
    return _plans(store, PROGRESSIVE)


def _plans(store: Path, plans: dict[str, tuple[Strategy, tuple[float, ...]]]) -> tuple[pd.DataFrame, dict]:
    """100 labelled digits: so far from ImageNet that its features have to change."""
    cases = [(name, rate, seed) for name, (_, rates) in plans.items() for rate in rates for seed in SEEDS]
    runs = [
        Run("digits", "efficientnet_lite0", replace(plans[name][0], base_lr=rate), 100, seed, DIGITS, 64)
        for name, rate, seed in cases
    ]
    results = run_all(runs, store, label="Plans")
    table = runs_table(cases, ("plan", "base_lr", "seed"), results, OUTCOMES)
    # The head is new and moves by its whole length: only the pretrained groups tell how far the network went.
    table["movement"] = [
        fmean(moved for group, moved in result["movement"].items() if group != "head") for result in results
    ]
    return table, conditions(runs[0])


def kept(store: Path) -> tuple[pd.DataFrame, dict]:
    """How much of ImageNet is left after each plan of the table "progressive", each at the rate chosen there."""
    original, pictures, rows = load_backbone("efficientnet_lite0"), known_pictures(), []
    digits = load("digits", 64)
    for chosen in at_best_rate(measured("progressive"), by=("plan", "seed")).itertuples():
        plan = PROGRESSIVE[chosen.plan][0]
        file = store / f"kept-{chosen.plan}-{chosen.base_lr:g}-{chosen.seed}.json".replace(" ", "-")
        row = read_json(file)
        if row is None:
            few = digits.labelled(100, chosen.seed)
            settings = replace(DIGITS, seed=chosen.seed, lr_decay=plan.lr_decay)
            model = build_feature_extractor("efficientnet_lite0", len(digits.classes), seed=chosen.seed)
            groups = plan.groups or len(model)
            stages = partial_finetune(
                model, groups, how=plan.how, epochs=settings.epochs, base_lr=chosen.base_lr
            )
            fit(model, few, settings, stages)
            found = agreement(model, original, pictures)
            row = {"plan": chosen.plan, "base_lr": chosen.base_lr, "seed": chosen.seed}
            row |= {"agreement": found.top1, "divergence": found.kl, "test_accuracy": chosen.test_accuracy}
            write_json(file, row)
        rows.append(row)
    return pd.DataFrame(rows), {
        "domain": "digits",
        "labels": 100,
        "epochs": DIGITS.epochs,
        "old_pictures": f"{len(pictures)} crops of photographs, {pictures.shape[-1]} px",
    }


def around_suggestion(store: Path) -> tuple[pd.DataFrame, dict]:
    """Training all groups at a tenth of the valley of the range test, at it, and at ten times as much."""
    tables = []
    for decay in (3.0, 1.0):
        settings = Settings(lr_decay=decay, keep_best=False)
        table = rates_around_suggestion("digits", 6, settings=settings, seeds=SEEDS, store=store)
        tables.append(table.assign(lr_decay=decay))
    return pd.concat(tables, ignore_index=True), {
        "domain": "digits",
        "backbone": "efficientnet_lite0",
        "labels": 300,
        "image_size": 64,
        "epochs": settings.epochs,
        "groups": "all, from the start",
    }


def forgetting(store: Path) -> tuple[pd.DataFrame, dict]:
    """New-task against old-task accuracy for every way against forgetting, over its strength."""
    run = ForgettingRun("fine-tuning", 1.0, 0)
    return trade_off(SEEDS, store), {
        "tasks": f"{run.old} ({run.old_labels} labels), then {run.domain} ({run.labels} labels)",
        "backbone": run.backbone,
        "image_size": run.image_size,
        "epochs": run.settings.epochs,
        "base_lr": run.settings.base_lr,
    }


def capstone(store: Path) -> tuple[pd.DataFrame, dict]:
    """Recipes for 500 labelled solar cells, compared on validation; the best of them tested."""
    return try_recipes(seeds=SEEDS, store=store), {
        "domain": "solar",
        "backbone": "efficientnet_lite0",
        "labels": LABELS,
        "epochs": EPOCHS,
    }


def augmentation(store: Path) -> tuple[pd.DataFrame, dict]:
    """The capstone's training with each kind of augmentation, with all and with none."""
    return augmentation_ablation(seeds=SEEDS, store=store), {
        "domain": "solar",
        "backbone": "efficientnet_lite0",
        "labels": LABELS,
        "image_size": 64,
        "epochs": EPOCHS,
        "plan": FASTER.name.replace(",", " and"),
    }


def learning_curve(store: Path) -> tuple[pd.DataFrame, dict]:
    """Test accuracy of a head on frozen features over ever more labels."""
    return more_labels(seeds=SEEDS, store=store), {
        "domain": "solar",
        "backbone": "efficientnet_lite0",
        "image_size": 128,
    }


def levers(store: Path) -> tuple[pd.DataFrame, dict]:
    """Every lever of page 09: pictures a second, memory, accuracy."""
    return try_levers(SEEDS, store)


def memory_costs(store: Path) -> tuple[pd.DataFrame, dict]:
    """What each group of each network holds in training; random weights, for memory does not depend on them."""
    return costs_of_networks()


def group_costs(store: Path) -> tuple[pd.DataFrame, dict]:
    """What training each group of the default network costs: the least of fifty measurements."""
    run = surface_run(6, 3.0, seed=0)
    model = build_feature_extractor(run.backbone)
    times = [costs_of_groups(model, run.image_size, run.settings.batch_size) for _ in range(50)]
    table = pd.concat(times).groupby("group", sort=False).min().reset_index()
    return table, {
        "backbone": run.backbone,
        "image_size": run.image_size,
        "batch_size": run.settings.batch_size,
    }


TABLES = {
    "surface": surface,
    "domain_gap": domain_gap,
    "surgical": surgical,
    "probe_first": probe_first,
    "progressive": progressive,
    "kept": kept,
    "around_suggestion": around_suggestion,
    "capstone": capstone,
    "augmentation": augmentation,
    "learning_curve": learning_curve,
    "forgetting": forgetting,
    "levers": levers,
    "memory_costs": memory_costs,
    "group_costs": group_costs,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tables", nargs="*", metavar="table", help=f"{', '.join(TABLES)}; default all")
    parser.add_argument("--store", type=Path, default=STORE, help="folder of finished runs")
    arguments = parser.parse_args()
    if unknown := set(arguments.tables) - set(TABLES):
        parser.error(f"no table {', '.join(unknown)}; there are {', '.join(TABLES)}")
    commit = provenance()["commit"]
    if commit is None or commit.endswith("-dirty"):
        parser.error("tables name the code that made them: commit your changes first")
    for name in arguments.tables or TABLES:
        if (read_json(RESULTS / f"{name}.json") or {}).get("commit") == commit:
            print(f"{name}: already measured at {commit}")
            continue
        table, common = TABLES[name](arguments.store / commit)
        # A process computes with one thread (see run_all); as many processes as cores.
        save(name, table, provenance(pick_device().type, SEEDS, threads=1), **common)


if __name__ == "__main__":
    main()
