"""Solar cells, defective or not, by the protocol of Deitsch et al. 2019: 5 splits, measured once each.

python -m benchmarks.elpv [--workers N]

For each network three steps, each of which goes on where it was interrupted: the frozen groups run over all views of all cells;
the strength of the linear probe and the recipe of the fine-tuning are chosen on the validation part of split 0; both choices are
trained on the whole training part of each split and tested once. Last, the networks' probabilities are averaged.
"""

import argparse
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import asdict

import pandas as pd

from benchmarks.elpv.runs import (
    BACKBONES,
    CUT,
    IMAGE_SIZE,
    SETTINGS,
    SPLITS,
    fill,
    finish,
    opened,
    outcomes,
    predictions,
)
from benchmarks.elpv.training import Recipe
from benchmarks.provenance import RESULTS, provenance, save
from labutils import intervals
from labutils.experiments.executors import default_workers, open_executor
from labutils.runtime.files import atomic_write

PROBES = tuple(Recipe(f"linear probe, C {c}", epochs=0, probe_c=c) for c in (0.1, 0.3, 1.0, 3.0))
TUNINGS = tuple(Recipe(f"from {CUT} on, rate {rate:g}", epochs=8, base_lr=rate) for rate in (3e-4, 1e-3))
MEASURES = [f"{kind}{name}" for kind in ("weighted_", "") for name in ("accuracy", "f1", "auc")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--workers", type=int, default=default_workers(), help="runs side by side, one thread each"
    )
    workers = parser.parse_args().workers
    origin = provenance(seeds=tuple(SPLITS), threads=1)
    tried, probes, tunings = [], {}, {}
    with open_executor(workers, len(SPLITS)) as pool:
        for backbone in BACKBONES:
            bench = opened(backbone)
            _do_all(pool, fill, [(backbone, view) for view in bench.tables.missing()])
            for recipes, chosen in ((PROBES, probes), (TUNINGS, tunings)):
                _do_all(pool, finish, [(backbone, recipe, 0, "validation") for recipe in recipes])
                found = [bench.validated(recipe) for recipe in recipes]
                best = max(range(len(recipes)), key=lambda number: found[number]["weighted_accuracy"])
                chosen[backbone] = recipes[best]
                tried += found
                _do_all(pool, finish, [(backbone, recipes[best], split, "test") for split in SPLITS])
            save_results(tried, probes, tunings, origin)


def _do_all(pool: Executor, do: Callable[..., None], cases: list[tuple]) -> None:
    if cases:
        list(pool.map(do, *zip(*cases, strict=True)))


def save_results(
    tried: list[dict], probes: dict[str, Recipe], tunings: dict[str, Recipe], origin: dict
) -> None:
    """Write what has been measured so far, after each network: the last one takes as long as all others."""
    alone = [{backbone: recipe} for chosen in (probes, tunings) for backbone, recipe in chosen.items()]
    table = pd.DataFrame([row for each in alone + [tunings] * (len(tunings) > 1) for row in outcomes(each)])
    common = {
        "image_size": IMAGE_SIZE,
        "cut": CUT,
        "precision": SETTINGS.precision,
        "fine_tuning": {backbone: asdict(recipe) for backbone, recipe in tunings.items()},
    }
    save("elpv_choice", tried, origin, **common)
    save("elpv", table, origin, **common)
    for measure in MEASURES:
        means = intervals(table, ["network", "recipe", "kind"], measure)
        print(f"\n{measure}\n{means.to_string(index=False)}")
    with atomic_write(RESULTS / "elpv_predictions.csv") as temporary:
        predictions(tunings).to_csv(temporary, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
