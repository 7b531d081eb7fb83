"""The runs behind the capstone's tables: the choice never sees the test, and each table has a row a run."""

import math
from dataclasses import replace

import pytest

from labutils.experiments.capstone import (
    BATCH,
    FASTER,
    HEAD_ALONE,
    TEXTBOOK,
    Recipe,
    augmentation_ablation,
    capstone,
    more_labels,
    settings_for,
)
from labutils.experiments.runs import Run

TRIED = (Recipe(TEXTBOOK, 32), Recipe(FASTER, 32))
SMALL = {"backbone": "tiny", "seeds": (0, 1)}


@pytest.fixture
def runs_done(monkeypatch):
    """Every run that is executed, in order."""
    done, execute = [], Run.execute

    def noted(self, on_epoch=None):
        done.append(self)
        return execute(self, on_epoch)

    monkeypatch.setattr(Run, "execute", noted)
    return done


def test_the_choice_is_made_on_validation_and_only_it_is_tested(tiny_backbone, tiny_domain, runs_done):
    table = capstone(TRIED, tiny_domain, labels=12, epochs=2, **SMALL)
    assert [run.test for run in runs_done] == [False] * 4 + [True] * 2
    means = table.groupby("recipe", sort=False)["validation_accuracy"].mean()
    chosen = table[table["chosen"]]
    assert means[chosen["recipe"].unique()].tolist() == [means.max()], "one recipe, the best"
    assert chosen["test_accuracy"].notna().all() and table["test_accuracy"].notna().sum() == 2
    # Asking for the test changes nothing else.
    assert replace(runs_done[-1], test=False) in runs_done[:4]


def test_finished_runs_are_kept(tiny_backbone, tiny_domain, runs_done, tmp_path):
    first = capstone(TRIED[:1], tiny_domain, labels=12, epochs=2, store=tmp_path, **SMALL)
    count = len(runs_done)
    again = capstone(TRIED[:1], tiny_domain, labels=12, epochs=2, store=tmp_path, **SMALL)
    assert len(runs_done) == count and again.equals(first)


def test_head_first_then_the_last_block_at_a_tenth():
    assert TEXTBOOK.how == FASTER.how == "linear probe first" and TEXTBOOK.groups == FASTER.groups == 2
    assert (TEXTBOOK.base_lr, FASTER.base_lr, HEAD_ALONE.groups) == (1e-3, 1e-2, 1)
    for recipe in (TEXTBOOK, FASTER):
        head, block = recipe.name.split(", ")
        assert float(head.split()[-1]) == recipe.base_lr
        assert float(block.split()[-1]) == pytest.approx(recipe.base_lr / 10)


def test_ablation_changes_nothing_but_the_augmentation(tiny_backbone, tiny_domain, runs_done):
    kinds = {"none": (), "flip": ("flip",)}
    table = augmentation_ablation(kinds, tiny_domain, labels=12, epochs=2, **SMALL)
    assert table["augmentation"].tolist() == ["none", "none", "flip", "flip"]
    assert table[["train_accuracy", "validation_accuracy", "test_accuracy"]].notna().all(axis=None)
    settings = {replace(run.settings, augmentation=()).digest for run in runs_done}
    assert len(settings) == 1
    assert [run.settings.augmentation for run in runs_done] == [(), (), ("flip",), ("flip",)]


def test_more_labels_get_more_steps_but_not_in_proportion(tiny_backbone, tiny_domain, runs_done):
    table = more_labels((6, 12, 30), tiny_domain, **SMALL)
    assert table["labels"].tolist() == [6, 6, 12, 12, 30, 30]
    steps = {run.labels: run.settings.epochs * math.ceil(run.labels / BATCH) for run in runs_done}
    assert steps[6] < steps[12] < steps[30] < 5 * steps[6]
    assert all(run.strategy.groups == 1 for run in runs_done)


def test_weights_of_the_last_epoch():
    settings = settings_for(("flip",), 7)
    assert not settings.keep_best and settings.validate_every == settings.epochs == 7
