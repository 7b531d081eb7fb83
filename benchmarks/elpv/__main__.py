"""Solar cells, defective or not, by the protocol of Deitsch et al. 2019: 5 splits, measured once each.

python -m benchmarks.elpv [--workers N]

Three steps, each of which goes on where it was interrupted: the frozen groups run over all views of all cells; the
strength of the linear probe is chosen on the validation part of split 0; the best probe, and the fine-tuning, whose
recipe was fixed beforehand, are trained on the whole training part of each split and tested once.
"""

import argparse
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from benchmarks.elpv.runs import CUT, IMAGE_SIZE, SETTINGS, SPLITS, fill, finish, opened
from benchmarks.elpv.training import Recipe
from benchmarks.provenance import provenance, save
from labutils import intervals
from labutils.experiments.executors import default_workers, open_executor
from labutils.runtime.files import atomic_write

PROBES = tuple(Recipe(f"linear probe, C {c}", epochs=0, probe_c=c) for c in (0.1, 0.3, 1.0, 3.0))
TUNED = Recipe("last groups", epochs=5)
MEASURES = [f"{kind}{name}" for kind in ("weighted_", "") for name in ("accuracy", "f1", "auc")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--workers", type=int, default=default_workers(), help="runs side by side, one thread each"
    )
    workers = parser.parse_args().workers
    bench = opened()
    with open_executor(workers, len(SPLITS)) as pool:
        list(pool.map(fill, bench.tables.missing()))
        tried = {recipe: bench.validated(recipe) for recipe in PROBES}
        probe = max(PROBES, key=lambda recipe: tried[recipe]["weighted_accuracy"])
        runs = [(recipe, split, "test") for recipe in (probe, TUNED) for split in SPLITS]
        list(pool.map(finish, *zip(*runs, strict=True)))
    tested = pd.DataFrame(
        [row for recipe in (probe, TUNED) for split in SPLITS for row in bench.tested(recipe, split)]
    )

    origin = provenance(seeds=tuple(SPLITS))
    conditions = {
        "image_size": IMAGE_SIZE,
        "cut": CUT,
        "precision": SETTINGS.precision,
        "fine_tuning": asdict(TUNED),
    }
    save("elpv_choice", list(tried.values()), origin, **conditions)
    save("elpv", tested, origin, **conditions)
    for measure in MEASURES:
        print(f"\n{measure}\n{intervals(tested, ['recipe', 'kind'], measure).to_string(index=False)}")
    with atomic_write(Path(__file__).with_name("predictions.csv")) as temporary:
        bench.predictions(TUNED).to_csv(temporary, index=False, float_format="%.4f")


if __name__ == "__main__":
    main()
