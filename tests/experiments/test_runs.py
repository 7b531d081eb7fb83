"""A run trains as its strategy says; its pictures come by name, by path, or as they are; long runs begin first."""

from dataclasses import replace

import pytest
from picture_folders import fill

from labutils import Settings, Strategy, run_all
from labutils.experiments import runs
from labutils.experiments.runs import FEATURES, Pictures, Run, open_domain

QUICK = Settings(epochs=2, batch_size=16, base_lr=0.5, lr_decay=9.0, keep_best=False)


@pytest.fixture
def trained(monkeypatch):
    """Network, pictures, settings and plan of each training."""
    seen, fit = [], runs.fit

    def spy(model, domain, settings, stages, **options):
        seen.append((model, domain, settings, stages))
        return fit(model, domain, settings, stages, **options)

    monkeypatch.setattr(runs, "fit", spy)
    return seen


@pytest.mark.parametrize(
    "strategy, groups",
    [
        (Strategy("a", 2, "linear probe first", 0.1, 2.0), [1, 2]),
        (Strategy("b", None, "at once", 0.01, 5.0, pretrained=False), [4]),
        (Strategy("c", 3, "at once", 0.01, 1.0, weights="norms"), [3]),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_rate_decay_depth_and_start_are_those_of_the_strategy_and_the_seed_that_of_the_run(
    tiny_backbone, tiny_domain, trained, strategy, groups
):
    result = Run(tiny_domain, tiny_backbone, strategy, 12, 3, QUICK).execute()
    (model, domain, settings, stages), *others = trained
    assert not others and settings == replace(QUICK, seed=3, lr_decay=strategy.lr_decay)
    assert domain.train.tolist() == tiny_domain.labelled(12, 3).train.tolist()
    assert [len(stage.groups) for stage in stages] == groups and stages[0].base_lr == strategy.base_lr
    assert {stage.weights for stage in stages} == {strategy.weights}
    assert model.stored_statistics == strategy.pretrained
    assert [row["learning_rate"] for row in result["history"]][0] <= strategy.base_lr


def test_runs_of_a_seed_begin_with_the_same_head_and_those_of_another_do_not(
    tiny_backbone, tiny_domain, monkeypatch
):
    heads = []

    def untrained(model, *rest, **options):
        heads.append(model.head.linear.weight.clone())
        raise InterruptedError

    monkeypatch.setattr(runs, "fit", untrained)
    for seed in (0, 0, 1):
        with pytest.raises(InterruptedError):
            Run(tiny_domain, tiny_backbone, FEATURES, 12, seed, QUICK).execute()
    assert heads[0].equal(heads[1]) and not heads[0].equal(heads[2])


def test_the_longest_runs_begin_first_and_results_come_in_the_order_asked_for(
    tiny_backbone, tiny_domain, monkeypatch
):
    begun = []
    monkeypatch.setattr(Run, "execute", lambda self: begun.append(self) or {"labels": self.labels})
    short = Run(tiny_domain, tiny_backbone, FEATURES, 6, 0, QUICK)
    more_labels, more_epochs = replace(short, labels=30), replace(short, settings=replace(QUICK, epochs=20))
    deeper = replace(short, strategy=replace(FEATURES, groups=3))
    whole = replace(short, strategy=replace(FEATURES, groups=None))
    asked = [short, deeper, more_labels, more_epochs, whole]
    assert [result["labels"] for result in run_all(asked)] == [6, 6, 30, 6, 6]
    assert begun == [whole, more_epochs, more_labels, deeper, short]


def test_a_domain_is_opened_by_its_name_a_folder_by_its_path(tmp_path, monkeypatch, tiny_domain):
    fill(
        tmp_path / "digits/one",
        tmp_path / "digits/two",
        tmp_path / "mine/one",
        tmp_path / "mine/two",
        count=20,
    )
    monkeypatch.chdir(tmp_path)
    assert open_domain(tiny_domain) is tiny_domain
    assert len(open_domain("digits", 32).classes) == 10, "a name is a name, whatever lies here"
    for path in ("./digits", "mine", tmp_path / "mine"):
        assert open_domain(path, 32).classes == ("one", "two")
    own = Pictures.at("digits", seed=3, fit="pad")
    assert own.path == str(tmp_path / "digits") and own == Pictures.at("./digits", fit="pad", seed=3)
    opened = open_domain(own, 40)
    assert opened.classes == ("one", "two") and opened.image_size == 40
    assert (
        own.open(40).train.tolist() == opened.train.tolist() != Pictures.at("digits").open(40).train.tolist()
    )
