"""Solar cells, defective or not, by the protocol of Deitsch et al. 2019: 5 splits, measured once each.

python -m benchmarks.elpv [--minutes M]

Three steps, each of which goes on where it was interrupted: the frozen groups run over all views of all cells;
recipes are compared on the validation part of split 0; the best is trained on the whole training part of each split
and tested once. With --minutes it stops after the step that ends later than that, with status 75, to be called again.
"""

import argparse
import math
import sys
from dataclasses import asdict, replace
from pathlib import Path
from time import perf_counter

import numpy as np
import pandas as pd

from benchmarks.elpv.protocol import measures, read_cells, splits
from benchmarks.elpv.training import Recipe, train_and_score
from benchmarks.elpv.views import ViewTables
from benchmarks.provenance import provenance, save
from labutils import Settings, build_feature_extractor, intervals, load
from labutils.files import data_folder, read_json, whole_file, write_json

IMAGE_SIZE, CUT = 300, "layer4"
SETTINGS = Settings(precision="bfloat16", device="cpu")
SPLITS = range(5)
PROBE = Recipe("linear probe", epochs=0)
RECIPES = (
    PROBE,
    Recipe("last groups", epochs=8),
)
AGAIN = 75  # EX_TEMPFAIL of sysexits.h
MEASURES = [f"{kind}{name}" for kind in ("weighted_", "") for name in ("accuracy", "f1", "auc")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=math.inf, help="end with status 75 after this time")
    bench = Benchmark(perf_counter() + 60 * parser.parse_args().minutes)
    for view in bench.tables.missing():
        bench.tables.fill(view)
        bench.pause()

    tried = pd.DataFrame([bench.validated(recipe) for recipe in RECIPES])
    chosen = RECIPES[tried["weighted_accuracy"].argmax()]
    tested = pd.DataFrame(
        [row for recipe in (PROBE, chosen) for split in SPLITS for row in bench.tested(recipe, split)]
    )

    origin = provenance(seeds=tuple(SPLITS))
    conditions = {"image_size": IMAGE_SIZE, "cut": CUT, "precision": SETTINGS.precision, **asdict(chosen)}
    save("elpv_choice", tried, origin, **conditions)
    save("elpv", tested, origin, **conditions)
    for measure in MEASURES:
        print(f"\n{measure}\n{intervals(tested, ['recipe', 'kind'], measure).to_string(index=False)}")
    with whole_file(Path(__file__).with_name("predictions.csv")) as temporary:
        bench.predictions(chosen).to_csv(temporary, index=False, float_format="%.4f")


class Benchmark:
    """Cells, stored views and finished runs; ``pause`` ends the process when its time is over."""

    def __init__(self, end: float):
        self.end, self.cells = end, read_cells()
        self.folder = data_folder() / "elpv"
        domain = load("solar", IMAGE_SIZE)
        self.tables = ViewTables(build_feature_extractor(num_classes=2), domain, CUT, SETTINGS, self.folder)

    def pause(self) -> None:
        if perf_counter() > self.end:
            sys.exit(AGAIN)

    def scores(
        self, recipe: Recipe, split: int, part: str, train: np.ndarray, held_out: np.ndarray
    ) -> np.ndarray:
        """Probability of a defect for each held-out cell, from a run that is done only once."""
        file = self.folder / "runs" / f"{part}-{split}-{self.tables.cut}-{recipe.digest}.json"
        kept = read_json(file)
        if kept is None:
            model = build_feature_extractor(num_classes=2, dropout=recipe.dropout, seed=split)
            settings, checkpoint = replace(SETTINGS, seed=split), file.with_suffix(".pt")
            found = train_and_score(
                model, recipe, self.tables, self.cells, train, held_out, settings, checkpoint, self.pause
            )
            kept = {"recipe": asdict(recipe), "scores": found.tolist()}
            write_json(file, kept)
            checkpoint.unlink(missing_ok=True)
            self.pause()
        return np.array(kept["scores"])

    def validated(self, recipe: Recipe) -> dict:
        train, validation, _ = splits(self.cells, 0)
        scores = self.scores(recipe, 0, "validation", train, validation)
        return {"recipe": recipe.name, **measures(self.cells, validation, scores)[0]}

    def tested(self, recipe: Recipe, split: int) -> list[dict]:
        rows = measures(self.cells, *self.test_scores(recipe, split))
        return [{"recipe": recipe.name, "split": split, **row} for row in rows]

    def test_scores(self, recipe: Recipe, split: int) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the test cells and their scores, from a training on all other cells."""
        train, validation, test = splits(self.cells, split)
        return test, self.scores(recipe, split, "test", np.union1d(train, validation), test)

    def predictions(self, recipe: Recipe) -> pd.DataFrame:
        """A row for each split and test cell: what the expert said, and what the network."""
        tables = []
        for split in SPLITS:
            test, scores = self.test_scores(recipe, split)
            columns = {"split": split, "cell": self.cells.names[test], "kind": self.cells.kinds[test]}
            columns |= {"expert": self.cells.probabilities[test], "network": scores}
            tables.append(pd.DataFrame(columns))
        return pd.concat(tables)


if __name__ == "__main__":
    main()
