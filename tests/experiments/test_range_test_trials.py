"""The range test and the trainings around its valley use the same pictures, head and order."""

from dataclasses import replace

import pytest

from labutils import Settings, freeze_all_but, lr_finder
from labutils.experiments.range_test_trials import rates_around_suggestion

SETTINGS = Settings(epochs=2, batch_size=30, keep_best=False)


@pytest.fixture
def table(tiny_backbone, tiny_domain):
    return rates_around_suggestion(
        tiny_domain,
        2,
        (0.1, 1.0),
        backbone=tiny_backbone,
        labels=30,
        settings=SETTINGS,
        steps=40,
        seeds=(0, 1),
    )


def test_a_row_for_each_seed_and_factor(table):
    assert list(zip(table["seed"], table["factor"], strict=True)) == [(0, 0.1), (0, 1), (1, 0.1), (1, 1)]
    assert table["base_lr"].tolist() == pytest.approx((table["factor"] * table["valley"]).tolist())
    assert table["validation_accuracy"].between(0, 1).all() and (table["seconds"] > 0).all()
    assert table.groupby("seed")["valley"].nunique().eq(1).all()


def test_the_valley_is_that_of_the_training_to_come(table, tiny_net, tiny_domain):
    for seed in (0, 1):
        net = tiny_net(pretrained=True, seed=seed)
        freeze_all_but(net, net.names[-2:])
        settings = replace(SETTINGS, seed=seed)
        found = lr_finder(net, tiny_domain.labelled(30, seed), settings, steps=40)
        first = table[table["seed"] == seed].iloc[0]
        assert first["valley"] == found.suggestions["valley"] != found.suggestion == first["suggestion"]


def test_no_valley_is_an_error_with_its_reason(tiny_backbone, tiny_domain, monkeypatch):
    from labutils.experiments import range_test_trials

    monkeypatch.setattr(
        range_test_trials,
        "lr_finder",
        lambda *args, **options: lr_finder(*args, lowest=1e-12, highest=1e-11, **options),
    )
    with pytest.raises(ValueError, match="finds no valley: the loss is flat"):
        rates_around_suggestion(tiny_domain, backbone=tiny_backbone, labels=30, settings=SETTINGS, seeds=(0,))
