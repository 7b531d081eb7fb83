"""Runs of the benchmark, each done once and kept, in any process."""

from dataclasses import asdict, replace
from functools import cache

import numpy as np
import pandas as pd

from benchmarks.elpv.protocol import measures, read_cells, splits
from benchmarks.elpv.training import Recipe, train_and_score
from benchmarks.elpv.views import ViewTables
from labutils import Settings, build_feature_extractor, load
from labutils.runtime.files import data_folder, read_json, write_json

IMAGE_SIZE, CUT = 224, "layer3"
SETTINGS = Settings(device="cpu")  # float32: bfloat16 is slower on CPUs without instructions for it
SPLITS = range(5)


def finish(recipe: Recipe, split: int, part: str) -> None:
    """Do a run and keep its scores, unless that was done before."""
    opened().scores(recipe, split, part)


def fill(view: int) -> None:
    """Run the frozen groups over all cells in this view and keep what they gave."""
    opened().tables.fill(view)


class Benchmark:
    """Cells, stored views and finished runs."""

    def __init__(self):
        self.cells, self.folder = read_cells(), data_folder() / "elpv"
        domain = load("solar", IMAGE_SIZE)
        self.tables = ViewTables(build_feature_extractor(num_classes=2), domain, CUT, SETTINGS, self.folder)

    def scores(self, recipe: Recipe, split: int, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the held-out cells, and for each the probability of a defect, from a run that is done only once.

        For "validation" the rest of the training part is trained on, for "test" all cells but the test's.
        """
        train, validation, test = splits(self.cells, split)
        held_out = validation
        if part == "test":
            train, held_out = np.union1d(train, validation), test
        file = self.folder / "runs" / f"{part}-{split}-{self.tables.cut}-{recipe.digest}.json"
        kept = read_json(file)
        if kept is None:
            model = build_feature_extractor(num_classes=2, dropout=recipe.dropout, seed=split)
            settings, checkpoint = replace(SETTINGS, seed=split), file.with_suffix(".pt")
            found = train_and_score(
                model, recipe, self.tables, self.cells, train, held_out, settings, checkpoint
            )
            kept = {"recipe": asdict(recipe), "scores": found.tolist()}
            write_json(file, kept)
            checkpoint.unlink(missing_ok=True)
        return held_out, np.array(kept["scores"])

    def validated(self, recipe: Recipe) -> dict:
        return {"recipe": recipe.name, **measures(self.cells, *self.scores(recipe, 0, "validation"))[0]}

    def tested(self, recipe: Recipe, split: int) -> list[dict]:
        rows = measures(self.cells, *self.scores(recipe, split, "test"))
        return [{"recipe": recipe.name, "split": split, **row} for row in rows]

    def predictions(self, recipe: Recipe) -> pd.DataFrame:
        """A row for each split and test cell: what the expert said, and what the network."""
        tables = []
        for split in SPLITS:
            test, scores = self.scores(recipe, split, "test")
            columns = {"split": split, "cell": self.cells.names[test], "kind": self.cells.kinds[test]}
            columns |= {"expert": self.cells.probabilities[test], "network": scores}
            tables.append(pd.DataFrame(columns))
        return pd.concat(tables)


@cache
def opened() -> Benchmark:
    """The benchmark of this process: pictures and network are read once for all its runs."""
    return Benchmark()
