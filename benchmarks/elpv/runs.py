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

BACKBONES = ("efficientnet_lite0", "efficientnet_lite2")  # whose weights come with pip
IMAGE_SIZE, CUT = 300, "layer3"  # the size of the published pictures
SETTINGS = Settings(device="cpu")  # float32: bfloat16 is slower on CPUs without instructions for it
SPLITS = range(5)


def finish(backbone: str, recipe: Recipe, split: int, part: str) -> None:
    """Do a run and keep its scores, unless that was done before."""
    opened(backbone).scores(recipe, split, part)


def fill(backbone: str, view: int) -> None:
    """Run the frozen groups over all cells in this view and keep what they gave."""
    opened(backbone).tables.fill(view)


class Benchmark:
    """Cells, stored views and finished runs of one network."""

    def __init__(self, backbone: str):
        self.backbone, self.cells, self.folder = backbone, read_cells(), data_folder() / "elpv"
        model = build_feature_extractor(backbone, num_classes=2)
        self.tables = ViewTables(model, load("solar", IMAGE_SIZE), CUT, SETTINGS, self.folder)

    def scores(self, recipe: Recipe, split: int, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the held-out cells, and for each the probability of a defect, from a run that is done only once.

        For "validation" the rest of the training part is trained on, for "test" all cells but the test's.
        """
        train, validation, test = splits(self.cells, split)
        held_out = validation
        if part == "test":
            train, held_out = np.union1d(train, validation), test
        file = self.folder / "runs" / self.tables.key / f"{part}-{split}-{recipe.digest}.json"
        kept = read_json(file)
        if kept is None:
            model = build_feature_extractor(self.backbone, num_classes=2, dropout=recipe.dropout, seed=split)
            settings, checkpoint = replace(SETTINGS, seed=split), file.with_suffix(".pt")
            found = train_and_score(
                model, recipe, self.tables, self.cells, train, held_out, settings, checkpoint
            )
            kept = {"recipe": asdict(recipe), "scores": found.tolist()}
            write_json(file, kept)
            checkpoint.unlink(missing_ok=True)
        return held_out, np.array(kept["scores"])

    def validated(self, recipe: Recipe) -> dict:
        return {"network": self.backbone, "recipe": recipe.name} | measures(
            self.cells, *self.scores(recipe, 0, "validation")
        )[0]


def tested(chosen: dict[str, Recipe], split: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids of the test cells of a split, and the probability of a defect: the mean over the networks, each with its recipe."""
    found = [opened(backbone).scores(recipe, split, "test") for backbone, recipe in chosen.items()]
    return found[0][0], np.mean([scores for _, scores in found], axis=0)


def outcomes(chosen: dict[str, Recipe]) -> list[dict]:
    """A row for each split and kind of cell; see `protocol.measures`."""
    what = {"network": " and ".join(chosen), "recipe": " and ".join({r.name: 0 for r in chosen.values()})}
    cells = opened(next(iter(chosen))).cells
    return [
        {**what, "split": split, **row} for split in SPLITS for row in measures(cells, *tested(chosen, split))
    ]


def predictions(chosen: dict[str, Recipe]) -> pd.DataFrame:
    """A row for each split and test cell: what the expert said, and what the networks did."""
    cells, tables = opened(next(iter(chosen))).cells, []
    for split in SPLITS:
        test, scores = tested(chosen, split)
        columns = {"split": split, "cell": cells.names[test], "kind": cells.kinds[test]}
        columns |= {"expert": cells.probabilities[test], "network": scores}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables)


@cache
def opened(backbone: str) -> Benchmark:
    """The benchmark of this process: pictures and network are read once for all its runs."""
    return Benchmark(backbone)
