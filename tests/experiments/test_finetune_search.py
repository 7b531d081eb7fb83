"""What `finetune` tries, in which order, and how it goes on: with scores made up, so that nothing is trained."""

import importlib
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from helpers import CLASSES, conv
from torch import nn

import labutils as lab
from labutils.experiments.comparisons import steps_for
from labutils.networks.backbones import BACKBONES, Backbone
from labutils.training.evaluation import Evaluation

finetune = importlib.import_module("labutils.experiments.finetune")  # the package has a function of that name
RATE, BATCH = finetune.RATE, finetune.BATCH


def six_groups(network: nn.Module) -> dict[str, nn.Module]:
    *body, linear = network
    body[-1] = nn.Sequential(body[-1], nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
    names = ("stem", "layer1", "layer2", "layer3", "layer4", "head")
    return dict(zip(names, [*body, nn.Sequential(linear)], strict=True))


def make_six(pretrained: bool) -> nn.Module:
    return nn.Sequential(conv(3, 4), *(conv(4, 4, 1) for _ in range(4)), nn.Linear(4, 1000))


@pytest.fixture
def search(tiny_domain, monkeypatch):
    """Runs `finetune` with a network of six groups, whose trials end as ``score`` says: right answers out of 9."""
    monkeypatch.setitem(BACKBONES, "six", Backbone(make_six, (0.5,) * 3, (0.5,) * 3, groups=six_groups))

    def run(score, seconds=lambda groups: 0.0, **options):
        trained, starts = [None], []

        def fit(network, domain, settings, stages, cache):
            (stage,) = stages
            assert network.trainable_names == stage.groups == network.names[-len(stage.groups) :]
            trained.append((len(stage.groups), stage.base_lr, stage.epochs))
            starts.append(network.head.linear.weight.clone())
            if score(trained[-1]) is None:
                raise lab.TrainingDiverged
            with torch.no_grad():
                network.head.linear.weight.add_(1)

        def evaluate(network, domain, split, *rest):
            labels = domain.labels[getattr(domain, split)]
            answers = (labels + (torch.arange(len(labels)) >= score(trained[-1]))) % CLASSES
            right = float((answers == labels).float().mean())
            return Evaluation(0.0, right, torch.eye(CLASSES)[answers], labels, domain.classes)

        monkeypatch.setattr(finetune, "fit", fit)
        monkeypatch.setattr(finetune, "evaluate", evaluate)
        monkeypatch.setattr(
            finetune._Choice, "_estimate", lambda self, network, stage: seconds(len(stage.groups))
        )
        result = lab.finetune(tiny_domain, 100, "six", **{"augmentation": (), **options})
        assert all(torch.equal(start, starts[0]) for start in starts), "each begins with the linear head"
        return result, trained[1:]

    return run


@pytest.fixture
def epochs(tiny_domain) -> int:
    """So many that a trial takes twice the steps of the other experiments."""
    count = len(tiny_domain.train)
    return round(2 * steps_for(count) / math.ceil(count / BATCH))


def test_where_neither_depth_helps_nothing_else_is_tried(search, epochs):
    result, trained = search(lambda trial: 3)
    assert trained == [(2, RATE, epochs), (6, RATE, epochs)]
    assert result.tried["taken"].tolist() == [True, False, False]
    assert result.chosen == "linear head on frozen features"


def test_around_the_better_depth_both_rates_half_of_the_groups_and_twice_as_long_are_tried(search, epochs):
    result, trained = search(lambda trial: 6 if trial and trial[0] == 2 else 3)
    best = (2, RATE, epochs)
    assert trained == [
        best,
        (6, RATE, epochs),
        (2, 3 * RATE, epochs),
        (2, RATE / 3, epochs),
        (3, RATE, epochs),
        (2, RATE, 2 * epochs),
    ]
    assert result.tried["taken"].tolist() == [True, True, *[False] * 5], "as good as the best is not better"
    row = result.tried.iloc[1]
    assert (row["groups"], row["base_lr"], row["epochs"]) == best and row["gain"] == pytest.approx(3 / 9)


def test_what_was_taken_is_where_the_search_goes_on(search, epochs):
    """All groups are better than two, three times the rate than that: then a third of the rate is not asked for."""
    scores = {(6, RATE): 6, (6, 3 * RATE): 9}
    result, trained = search(lambda trial: trial and scores.get(trial[:2], 3) or 3)
    rate = 3 * RATE
    assert trained == [
        (2, RATE, epochs),
        (6, RATE, epochs),
        (6, rate, epochs),
        (3, rate, epochs),
        (6, rate, 2 * epochs),
    ]
    assert result.tried["taken"].tolist() == [True, False, True, True, False, False]
    assert result.chosen == f"all groups, rate {rate:g}, {epochs} epochs"


def test_a_trial_that_diverges_is_noted_and_the_next_ones_are_made(search, epochs):
    result, trained = search(lambda trial: 3 if trial is None else None if trial[0] == 2 else 9)
    assert trained[:2] == [(2, RATE, epochs), (6, RATE, epochs)] and len(trained) > 2
    assert result.tried["note"][1] == "diverged" and not result.tried["taken"][1]
    assert result.tried["taken"][2]


def test_a_trial_that_is_left_out_does_not_keep_shorter_ones_from_being_made(search):
    result, trained = search(
        lambda trial: 3 if trial is None else 9, seconds=lambda groups: 1e9 if groups == 6 else 0.0
    )
    assert result.tried["note"][2].startswith("left out") and {groups for groups, *_ in trained} == {2, 3}


def test_the_seed_and_how_it_is_trained_are_given_by_the_settings(search):
    settings = search(lambda trial: 3, seed=5, augmentation=("flip",))[0].settings
    assert (settings.seed, settings.augmentation, settings.keep_best) == (5, ("flip",), False)


def test_many_pictures_are_still_gone_through_four_times(search):
    choice = finetune._Choice(SimpleNamespace(train=range(100_000)), lab.Settings(), lambda: 0.0)
    choice.start, choice.trial = range(6), None
    assert [trial.epochs for trial in choice._trials()] == [4, 4]


def test_a_wider_gap_than_four_times_makes_balanced_accuracy_decide(tiny_domain):
    """The rule of the docstring at its border: four times as many pictures do not yet make a class dominate."""
    labels = tiny_domain.labels[tiny_domain.train]
    for largest, score in ((8, "accuracy"), (9, "balanced accuracy")):
        kept = [tiny_domain.train[labels == label][:count] for label, count in ((0, largest), (1, 2))]
        settings = finetune._settings(replace(tiny_domain, train=torch.cat(kept)), 0, None)
        assert settings.select_by == score, "a class without pictures does not count"
