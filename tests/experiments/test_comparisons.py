"""The comparisons: equal budgets, test split untouched by choices, nothing done twice."""

import math
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest

import labutils.experiments.runs
from labutils import Settings, TrainingDiverged, compare_transfer_vs_scratch, domain_gap_experiment, run_all
from labutils.experiments.comparisons import (
    DEFAULT_LABELS,
    RATE_FACTORS,
    _default_labels,
    augmentation_for,
    steps_for,
    tuned,
)
from labutils.experiments.runs import FEATURES, FULL, MEASURED, PARTIAL, SCRATCH, Run

QUICK = Settings(epochs=2, batch_size=16, keep_best=False)


@pytest.fixture
def splits_seen(monkeypatch):
    """Which splits were evaluated, in order."""
    seen, evaluate = [], labutils.experiments.runs.evaluate

    def spy(model, domain, split, *rest):
        seen.append(split)
        return evaluate(model, domain, split, *rest)

    monkeypatch.setattr(labutils.experiments.runs, "evaluate", spy)
    return seen


def test_choosing_a_rate_never_looks_at_the_test_split(tiny_backbone, tiny_domain, splits_seen):
    run = Run(tiny_domain, tiny_backbone, SCRATCH, 12, 0, QUICK)
    (chosen,), table = tuned([run], (0.5, 2))
    assert splits_seen == []
    assert table["base_lr"].tolist() == [SCRATCH.base_lr / 2, SCRATCH.base_lr * 2]
    assert chosen.base_lr == table.loc[table["validation_accuracy"].idxmax(), "base_lr"]


def test_each_run_gets_the_rate_with_the_best_mean_over_the_seeds_on_validation(monkeypatch):
    scores = {(0.1, 0): 0.3, (0.1, 1): 0.3, (0.2, 0): 0.5, (0.2, 1): 0.7, (0.3, 0): 0.9, (0.3, 1): 0.1}
    scores |= {(0.01, 0): 0.7, (0.01, 1): 0.7, (0.02, 0): 0.2, (0.02, 1): 0.9, (0.03, 0): 0.5, (0.03, 1): 0.5}
    done = []
    monkeypatch.setattr(
        "labutils.experiments.comparisons.run_all",
        lambda trials, *a, **k: (
            done.extend(trials),
            [{"validation_accuracy": scores[t.strategy.base_lr, t.seed]} for t in trials],
        )[1],
    )
    runs = [
        Run("digits", "tiny", replace(SCRATCH, base_lr=rate), 12, 7, replace(QUICK, epochs=9))
        for rate in (0.1, 0.01)
    ]
    chosen, table = tuned(runs, (1, 2, 3), seeds=(0, 1))
    assert [strategy.base_lr for strategy in chosen] == [0.2, 0.01], "not the best single run"
    assert table["validation_accuracy"].tolist() == list(scores.values())
    assert {(t.settings.epochs, t.test) for t in done} == {(5, False)}, "half as long, without the test split"


def test_a_rate_for_each_group_is_searched_as_a_whole(monkeypatch):
    rates = (0.1, 0.2)
    monkeypatch.setattr(
        "labutils.experiments.comparisons.run_all",
        lambda trials, *a, **k: [{"validation_accuracy": t.strategy.base_lr == (0.2, 0.4)} for t in trials],
    )
    run = Run("digits", "tiny", replace(FULL, base_lr=rates), 12, 0, QUICK)
    assert tuned([run], (1, 2, 3))[0][0].base_lr == (0.2, 0.4)
    assert tuned([run], (1,))[0][0].base_lr == rates, "not even rounded"


def test_a_rate_too_high_to_train_with_is_not_taken(tiny_backbone, tiny_domain, tmp_path):
    run = Run(tiny_domain, tiny_backbone, SCRATCH, 12, 0, QUICK)
    for _ in ("trained", "read from the store"):
        (chosen,), table = tuned([run], (1, 1e30), store=tmp_path)
        assert chosen.base_lr == SCRATCH.base_lr
        assert table["validation_accuracy"].isna().tolist() == [False, True]
    with pytest.raises(TrainingDiverged, match="from scratch.*lower base_lr"):
        tuned([run], (1e30, 1e31))


def test_a_rate_that_diverges_for_one_seed_is_not_taken(monkeypatch):
    scores = {(1.0, 0): 0.9, (1.0, 1): math.nan, (0.5, 0): 0.2, (0.5, 1): 0.2}
    monkeypatch.setattr(
        "labutils.experiments.comparisons.run_all",
        lambda trials, *a, **k: [{"validation_accuracy": scores[t.strategy.base_lr, t.seed]} for t in trials],
    )
    run = Run("digits", "tiny", replace(SCRATCH, base_lr=1.0), 12, 0, QUICK)
    assert [strategy.base_lr for strategy in tuned([run], (0.5, 1), seeds=(0, 1))[0]] == [0.5]


def test_a_single_rate_is_no_search(monkeypatch):
    monkeypatch.setattr("labutils.experiments.comparisons.run_all", lambda *a, **k: pytest.fail("trained"))
    chosen, _ = tuned([Run("digits", "tiny", FEATURES, 12, 0, QUICK)], (0.3,))
    assert [strategy.base_lr for strategy in chosen] == [0.003]


def test_a_run_reports_the_validation_accuracy_of_the_weights_it_kept(
    tiny_backbone, tiny_domain, monkeypatch
):
    """By balanced accuracy the best epoch need not be the one with most right answers."""
    history = pd.DataFrame(
        {"validation_accuracy": [0.9, 0.7, 0.8], "validation_balanced_accuracy": [0.5, 0.8, 0.6]}
    )
    monkeypatch.setattr(labutils.experiments.runs, "fit", lambda *a, **k: history)
    for select_by, kept in (("accuracy", 0.9), ("balanced accuracy", 0.7)):
        settings = Settings(select_by=select_by)
        run = Run(tiny_domain, tiny_backbone, SCRATCH, 12, 0, settings, test=False)
        assert run.execute()["validation_accuracy"] == kept


def test_each_reported_run_looks_at_the_test_split_once(tiny_backbone, tiny_domain, splits_seen):
    compare_transfer_vs_scratch(
        tiny_domain, tiny_backbone, labels=12, settings=QUICK, rate_factors=(0.3, 3), seeds=(0, 1)
    )
    assert splits_seen == ["test"] * 4


def test_both_starts_get_the_same_steps_pictures_and_augmentation(tiny_backbone, tiny_domain, monkeypatch):
    runs = []
    monkeypatch.setattr(
        "labutils.experiments.comparisons.run_all",
        lambda todo, *a, **k: (runs.extend(todo), run_all(todo))[1],
    )
    curves, ends = compare_transfer_vs_scratch(
        tiny_domain, tiny_backbone, labels=12, settings=QUICK, rate_factors=(1,), seeds=(0, 1)
    )
    assert {run.settings for run in runs} == {QUICK}
    assert {run.labels for run in runs} == {12}
    steps = curves.groupby("start")["step"].apply(list)
    assert steps["pretrained"] == steps["random"]
    assert set(ends["start"]) == {"pretrained", "random"} and len(ends) == 4


def test_domain_gap_table_is_tidy_and_budgets_are_equal(tiny_backbone, tiny_domain):
    table = domain_gap_experiment(
        [tiny_domain], tiny_backbone, labels=(6, 12), seeds=(0,), rate_factors=(1,), settings=QUICK
    )
    assert len(table) == 2 * 4 and not table.isna().any().any()
    assert (table.groupby("labels")["steps"].nunique() == 1).all(), "all strategies take the same steps"
    assert table["test_accuracy"].between(0, 1).all()


def test_sizes_out_of_range_are_reported_before_any_training(tiny_backbone, tiny_domain, monkeypatch):
    monkeypatch.setattr(Run, "execute", lambda self: pytest.fail("trained"))
    with pytest.raises(ValueError, match="1000"):
        domain_gap_experiment([tiny_domain], tiny_backbone, labels=(1000,))
    with pytest.raises(ValueError, match="1000"):
        compare_transfer_vs_scratch(tiny_domain, tiny_backbone, labels=1000)
    for wrong in ({"seeds": ()}, {"seeds": 3}, {"rate_factors": ()}):
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.*: give a list or tuple of at least one"):
            compare_transfer_vs_scratch(tiny_domain, tiny_backbone, labels=12, **wrong)
        with pytest.raises(ValueError, match=f"{next(iter(wrong))}=.*: give a list or tuple of at least one"):
            domain_gap_experiment([tiny_domain], tiny_backbone, labels=(12,), **wrong)
    with pytest.raises(ValueError, match="domains='digits': give a list or tuple of at least one"):
        domain_gap_experiment("digits", tiny_backbone)


def test_the_usual_numbers_of_labels_are_those_of_the_whole_domain(tiny_domain):
    named = replace(tiny_domain, name="digits")  # as a folder of one's own may be
    assert _default_labels(named) == _default_labels(tiny_domain)
    fewest, middle, most = _default_labels(tiny_domain)
    assert (fewest, most) == (5 * 3, 30) and middle == pytest.approx((15 * 30) ** 0.5, abs=0.5)
    assert _default_labels(replace(tiny_domain, train=tiny_domain.train[:15])) == (15,)
    large = SimpleNamespace(name="digits", classes=range(10), train=range(3000))
    assert _default_labels(large) == DEFAULT_LABELS["digits"]


def test_every_strategy_gets_its_rate_by_the_same_search_at_the_middle_number_of_labels(
    tiny_backbone, tiny_domain, monkeypatch
):
    asked, done, searched = [], [], set()

    def choose(runs, factors, seeds, *rest):
        asked.extend(runs)
        searched.add((factors, seeds))
        return [replace(run.strategy, base_lr=0.01 * run.labels) for run in runs], None

    def results(runs, *rest, **options):
        done.extend(runs)
        moved = {"stem": 0.0, "layer4": 0.01, "head": 0.4}
        return [{"history": [{"step": 1}], "movement": moved, **dict.fromkeys(MEASURED, 0.5)} for _ in runs]

    monkeypatch.setattr("labutils.experiments.comparisons.tuned", choose)
    monkeypatch.setattr("labutils.experiments.comparisons.run_all", results)
    other = replace(tiny_domain, name="other")
    table = domain_gap_experiment(
        [tiny_domain, other],
        tiny_backbone,
        labels={"patterns": (12, 6, 9), "other": (30, 15)},
        strategies=(FEATURES, SCRATCH),
        seeds=(4, 5, 6, 7),
        settings=QUICK,
    )
    assert [(run.domain.name, run.labels, run.strategy.name) for run in asked] == [
        ("patterns", 9, FEATURES.name),
        ("patterns", 9, SCRATCH.name),
        ("other", 30, FEATURES.name),
        ("other", 30, SCRATCH.name),
    ]
    assert searched == {(RATE_FACTORS, (4, 5, 6))}
    rates = table.groupby(["domain", "strategy"])["base_lr"].unique().map(list).to_dict()
    assert rates == {
        ("patterns", FEATURES.name): [0.09],
        ("patterns", SCRATCH.name): [0.09],
        ("other", FEATURES.name): [0.3],
        ("other", SCRATCH.name): [0.3],
    }
    assert set(table["least_movement"]) == {0.01}, "of the groups that were trained"
    assert len(done) == 2 * 4 * (3 + 2) and {run.settings.augmentation for run in done} == {("crop",)}
    for run in done:
        steps = run.settings.epochs * math.ceil(run.labels / QUICK.batch_size)
        assert run.settings.validate_every == run.settings.epochs >= 2
        assert steps == pytest.approx(steps_for(run.labels), abs=math.ceil(run.labels / 16) / 2)


def test_finished_runs_are_read_not_done_again(tiny_backbone, tiny_domain, tmp_path, monkeypatch):
    runs = [Run(tiny_domain, tiny_backbone, FEATURES, 12, seed, QUICK) for seed in (0, 1, 2)]
    done, execute = [], Run.execute

    def interrupted(self):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(self.seed)
        return execute(self)

    monkeypatch.setattr(Run, "execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_all(runs, tmp_path)
    monkeypatch.setattr(Run, "execute", lambda self: (done.append(self.seed), execute(self))[1])
    results = run_all(runs, tmp_path)
    assert done == [0, 1, 2], "each once, in spite of the interruption"
    fresh = run_all(runs)
    for kept, new in zip(results, fresh, strict=True):
        assert kept["test_accuracy"] == new["test_accuracy"], "what was read is what was measured"


def test_half_a_result_file_counts_as_none(tiny_backbone, tiny_domain, tmp_path):
    run = Run(tiny_domain, tiny_backbone, FEATURES, 12, 0, QUICK)
    (tmp_path / f"{run.key}.json").write_text('{"test_accuracy": 0.')
    assert 0 <= run_all([run], tmp_path)[0]["test_accuracy"] <= 1


def test_key_tells_all_that_changes_numbers(tiny_backbone, tiny_domain):
    run = Run(tiny_domain, tiny_backbone, FEATURES, 12, 0, QUICK)
    others = [
        replace(run, labels=11),
        replace(run, seed=1),
        replace(run, strategy=PARTIAL),
        replace(run, test=False),
        replace(run, settings=replace(QUICK, weight_decay=0.0)),
    ]
    assert len({run.key, *(other.key for other in others)}) == 6
    assert replace(run, settings=replace(QUICK, cache_limit_gb=0.5)).key == run.key


def test_frozen_groups_are_reported_unmoved_and_moved_ones_moved(tiny_backbone, tiny_domain):
    result = Run(tiny_domain, tiny_backbone, FEATURES, 12, 0, QUICK).execute()
    assert result["frozen_unmoved"]
    assert [name for name, distance in result["movement"].items() if distance > 0] == ["head"]
    result = Run(tiny_domain, tiny_backbone, FULL, 12, 0, QUICK).execute()
    assert all(distance > 0 for distance in result["movement"].values())


def test_augmentation_never_mirrors_digits():
    assert set(augmentation_for("digits")) == {"crop"}
    assert "flip" in augmentation_for("solar")


def test_more_labels_more_steps_but_not_in_proportion():
    assert steps_for(50) < steps_for(800) < 16 * steps_for(50)


@pytest.mark.slow
def test_two_worker_processes_give_the_numbers_of_one(tmp_path, monkeypatch):
    monkeypatch.setenv("LAB_DATA", str(tmp_path))
    settings = replace(QUICK, validate_every=2)
    runs = [
        Run("textures", "efficientnet_lite0", FEATURES, 24, seed, settings, image_size=32) for seed in (0, 1)
    ]
    alone, together = run_all(runs, workers=1), run_all(runs, workers=2)
    for one, other in zip(alone, together, strict=True):
        assert one["test_accuracy"] == pytest.approx(other["test_accuracy"], abs=0.01)
