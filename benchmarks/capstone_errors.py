"""Where the capstone errs: accuracy on the test cells that the expert was sure of, and on those that were left open.

python benchmarks/capstone_errors.py [--quick]

The recipe that the measured table "capstone" chose is trained again over its seeds, with 500 labelled cells, and with all there
are. Each test cell was given a probability of a defect by an expert: 0, 1/3, 2/3 or 1 (Buerhop-Lutz et al. 2018).
"""

import argparse
from pathlib import Path

import pandas as pd
from provenance import provenance, save

from labutils import evaluate, load
from labutils.course.measured_tables import measured
from labutils.data.solar import read_rows
from labutils.experiments.capstone import EPOCHS, LABELS, MIRRORS, RECIPES, Recipe, settings_for
from labutils.experiments.executors import default_workers, open_executor
from labutils.experiments.runs import Run
from labutils.networks.backbones import DEFAULT_BACKBONE
from labutils.runtime.files import PROJECT, read_json, write_json
from labutils.runtime.progress import progress_bar

STORE = PROJECT / "outputs" / "capstone_errors"


def counts(recipe: Recipe, labels: int, seed: int, epochs: int, store: Path) -> list[dict]:
    """Train once; of each kind of module and level of the expert the test cells, and those that were taken for what they are."""
    file = store / f"{recipe.name}-{labels}-{seed}-{epochs}.json".replace(" ", "-")
    if (rows := read_json(file)) is not None:
        return rows
    settings = settings_for(MIRRORS, epochs)
    run = Run(
        "solar", DEFAULT_BACKBONE, recipe.strategy, labels, seed, settings, recipe.image_size, test=False
    )
    domain, seen = load("solar", recipe.image_size), []

    def look(row: dict, model) -> None:
        if row["epoch"] == epochs:
            seen.append(evaluate(model, domain, "test"))

    run.execute(look)
    cells = [read_rows()[i] for i in domain.test.tolist()]
    table = pd.DataFrame(
        {"kind": kind, "expert": round(float(level), 2), "right": right}
        for (_, level, kind), right in zip(cells, seen[0].right.tolist(), strict=True)
    )
    rows = table.groupby(["kind", "expert"])["right"].agg(cells="count", right="sum").reset_index()
    rows = rows.assign(labels=labels, seed=seed).to_dict("records")
    write_json(file, rows)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, one epoch; a trial, not written")
    quick = parser.parse_args().quick
    table = measured("capstone")
    (name,) = table[table.chosen].recipe.unique()
    (recipe,) = [each for each in RECIPES if each.name == name]
    seeds = sorted(table.seed.unique().tolist())[: 1 if quick else None]
    everything = len(load("solar", recipe.image_size).train)
    origin = provenance(seeds=tuple(seeds), threads=1)
    epochs, store = 1 if quick else EPOCHS, STORE / str(origin["commit"])
    cases = [(recipe, labels, seed, epochs, store) for labels in (LABELS, everything) for seed in seeds]
    with open_executor(default_workers(), len(cases)) as pool:
        done = progress_bar(pool.map(counts, *zip(*cases, strict=True)), "Training", total=len(cases))
        rows = [row for part in done for row in part]
    save("capstone_errors", rows, origin, keep=not quick, recipe=name)


if __name__ == "__main__":
    main()
