"""The runs behind the measured tables of the capstone: 500 labelled solar cells, from the recipe to what more would buy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from labutils.data import Domain
from labutils.experiments.comparisons import steps_for
from labutils.experiments.runs import FEATURES, Run, Strategy, run_all
from labutils.experiments.statistics import runs_table
from labutils.networks.backbones import DEFAULT_BACKBONE
from labutils.training.settings import Settings

LABELS, EPOCHS, BATCH = 500, 16, 32
# Half of the epochs on the head, then the last block, too, at a tenth of the rate.
TEXTBOOK = Strategy("head at 1e-3, block at 1e-4", 2, "linear probe first", 1e-3)
FASTER = Strategy("head at 1e-2, block at 1e-3", 2, "linear probe first", 1e-2)
HEAD_ALONE = replace(FEATURES, name="head alone at 1e-2")
# Mirrors keep a cell's wires level. Quarter turns do not, and cost a head on frozen features a point on validation.
MIRRORS = ("flip", "vertical_flip")
# What the ablation takes apart, and what suits pictures without an up and down.
AUGMENTATIONS: dict[str, tuple[str, ...]] = {
    "none": (),
    "flip": ("flip",),
    "jitter": ("jitter",),
    "crop": ("crop",),
    "flip, crop, jitter": ("flip", "crop", "jitter"),
    "both mirrors": MIRRORS,
    "mirrors and turns": (*MIRRORS, "quarter_turns"),
}
SIZES = (50, 100, 200, 400, 800, 1575)


@dataclass(frozen=True)
class Recipe:
    """A way through the capstone.

    Parameters
    ----------
    strategy : Strategy
    image_size : int
        In pixels.
    """

    strategy: Strategy
    image_size: int

    @property
    def name(self) -> str:
        return f"{self.strategy.name}, {self.image_size} px"


RECIPES = (
    Recipe(TEXTBOOK, 128),
    Recipe(FASTER, 128),
    Recipe(HEAD_ALONE, 192),
    Recipe(FASTER, 192),
    Recipe(FASTER, 300),  # as the cells were photographed
)


def settings_for(augmentation: Sequence[str], epochs: int = EPOCHS) -> Settings:
    """Weights of the last epoch: which epoch was best on validation is not asked, so nothing is chosen inside a run.

    Two views of each picture, for more of them mean more passes through the frozen groups.
    """
    return Settings(
        epochs=epochs,
        batch_size=BATCH,
        augmentation=tuple(augmentation),
        views=2,
        keep_best=False,
        validate_every=epochs,
    )


def capstone(
    recipes: Sequence[Recipe] = RECIPES,
    domain: str | Domain = "solar",
    *,
    backbone: str = DEFAULT_BACKBONE,
    augmentation: Sequence[str] = MIRRORS,
    labels: int = LABELS,
    epochs: int = EPOCHS,
    seeds: Sequence[int] = (0, 1, 2),
    store: str | Path | None = None,
    workers: int | None = None,
    device: str | None = None,
) -> pd.DataFrame:
    """Try every recipe without a look at the test pictures, then train the best on validation again and test it.

    Parameters
    ----------
    recipes : sequence of Recipe
    domain : str or Domain
        A Domain brings its own image size.
    augmentation : sequence of str
    labels : int
        Labelled training pictures, drawn by each seed.
    store, workers :
        See `run_all`.
    device : str or None
        See `Settings`.

    Returns
    -------
    DataFrame
        A row for each recipe and seed: recipe, image_size, head_lr, seed, validation_accuracy, seconds, ``chosen`` (the best
        mean over the seeds), test_accuracy and test_balanced_accuracy (NaN where not chosen).
    """
    settings = replace(settings_for(augmentation, epochs), device=device)
    cases = [(recipe, seed) for recipe in recipes for seed in seeds]
    runs = [
        Run(domain, backbone, recipe.strategy, labels, seed, settings, recipe.image_size, test=False)
        for recipe, seed in cases
    ]
    results = run_all(runs, store, workers, label="Recipes")
    table = pd.DataFrame(
        {
            "recipe": recipe.name,
            "image_size": recipe.image_size,
            "head_lr": recipe.strategy.base_lr,
            "seed": seed,
            "validation_accuracy": result["validation_accuracy"],
            "seconds": result["seconds"],
        }
        for (recipe, seed), result in zip(cases, results, strict=True)
    )
    means = table.groupby("recipe", sort=False)["validation_accuracy"].mean()
    table["chosen"] = table["recipe"] == means.idxmax()
    at = [i for i, chosen in enumerate(table["chosen"]) if chosen]
    tested = run_all(
        [replace(runs[i], test=True) for i in at], store, workers, label="The chosen one, tested"
    )
    for name in ("test_accuracy", "test_balanced_accuracy"):
        table.loc[at, name] = [result[name] for result in tested]
    return table


def augmentation_ablation(
    augmentations: dict[str, tuple[str, ...]] = AUGMENTATIONS,
    domain: str | Domain = "solar",
    *,
    backbone: str = DEFAULT_BACKBONE,
    strategy: Strategy = FASTER,
    labels: int = LABELS,
    epochs: int = EPOCHS,
    image_size: int = 64,
    seeds: Sequence[int] = (0, 1, 2),
    store: str | Path | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """The same training with each kind of augmentation by itself, with all of them, and with none.

    Returns
    -------
    DataFrame
        A row for each augmentation and seed: augmentation, seed, train_accuracy (of the last epoch, on augmented pictures),
        validation_accuracy, test_accuracy.
    """
    cases = [(name, seed) for name in augmentations for seed in seeds]
    runs = [
        Run(domain, backbone, strategy, labels, seed, settings_for(augmentations[name], epochs), image_size)
        for name, seed in cases
    ]
    results = run_all(runs, store, workers, label="Augmentation")
    table = runs_table(cases, ("augmentation", "seed"), results, ("validation_accuracy", "test_accuracy"))
    table.insert(2, "train_accuracy", [result["history"][-1]["train_accuracy"] for result in results])
    return table


def more_labels(
    sizes: Sequence[int] = SIZES,
    domain: str | Domain = "solar",
    *,
    backbone: str = DEFAULT_BACKBONE,
    image_size: int = 128,
    seeds: Sequence[int] = (0, 1, 2),
    store: str | Path | None = None,
    workers: int | None = None,
) -> pd.DataFrame:
    """Head training on frozen features with ever more labels; every seed's pictures are part of its next larger choice.

    Returns
    -------
    DataFrame
        A row for each size and seed: labels, seed, validation_accuracy, test_accuracy.
    """
    cases = [(count, seed) for count in sizes for seed in seeds]
    runs = []
    for count, seed in cases:
        per_epoch = -(-count // BATCH)
        settings = settings_for((), max(1, round(steps_for(count) / per_epoch)))
        runs.append(Run(domain, backbone, FEATURES, count, seed, settings, image_size))
    results = run_all(runs, store, workers, label="More labels")
    return runs_table(cases, ("labels", "seed"), results, ("validation_accuracy", "test_accuracy"))
