"""Each method of the trade-off learns in its own way, and agreement is counted against the original network."""

from dataclasses import replace

import pytest
import torch
from forgetting_helpers import another_task

from labutils import Settings
from labutils.experiments import forgetting_trade_off
from labutils.experiments.forgetting_trade_off import ForgettingRun
from labutils.forgetting import EWC, L2SP, LearningWithoutForgetting, Rehearsal, TaskSequence

OLD = Settings(epochs=2, batch_size=10, base_lr=1e-2, keep_best=False)
NEW = Settings(epochs=4, batch_size=10, base_lr=1e-3, lr_decay=1.5, keep_best=False)


@pytest.fixture
def run(tiny_backbone, tiny_domain):
    forgetting_trade_off._started.cache_clear()

    def make(method: str, strength: float, **options) -> ForgettingRun:
        given = dict(old=tiny_domain, domain=another_task(tiny_domain), old_labels=9, labels=8)
        given |= dict(old_settings=OLD, settings=NEW, image_size=32, backbone=tiny_backbone)
        return ForgettingRun(method, strength, 0, **given | options)

    return make


@pytest.fixture
def learned(monkeypatch):
    """How each task was learned, in order."""
    seen, learn = [], TaskSequence.learn

    def spy(self, domain, settings, groups=None, how="linear probe first", *, against_forgetting=None):
        seen.append((domain, settings, groups, how, against_forgetting))
        return learn(self, domain, settings, groups, how, against_forgetting=against_forgetting)

    monkeypatch.setattr(TaskSequence, "learn", spy)
    return seen


@pytest.mark.parametrize(
    "method, strength, rate, decay, groups, how, extra",
    [
        ("fine-tuning", 1.0, 1e-3, 1.5, None, "linear probe first", None),
        ("L2-SP", 3.0, 1e-3, 1.5, None, "linear probe first", L2SP),
        ("EWC", 1e9, 1e-3, 1.5, None, "linear probe first", EWC),
        ("rehearsal", 2, 1e-3, 1.5, None, "linear probe first", Rehearsal),
        ("distillation", 0.3, 1e-3, 1.5, None, "linear probe first", LearningWithoutForgetting),
        ("low rates", 3.0, 1e-3, 3.0, None, "linear probe first", None),
        ("fewer groups", 1, 1e-3, 1.5, 1, "at once", None),
        ("fewer groups", 2, 1e-3, 1.5, 2, "linear probe first", None),
        ("progressive unfreezing", 0.3, 3e-4, 1.5, None, "progressively", None),
    ],
)
def test_a_method_changes_what_it_is_about_and_nothing_else(
    run, learned, method, strength, rate, decay, groups, how, extra
):
    run(method, strength).execute()
    (old, *first), (new, settings, *rest, against) = learned
    assert first == [replace(OLD, seed=0), None, "linear probe first", None], "one start for all methods"
    assert (len(old.train), len(new.train)) == (9, 8)
    assert settings.base_lr == pytest.approx(rate) and rest == [groups, how]
    assert settings == replace(NEW, base_lr=settings.base_lr, lr_decay=decay)
    assert type(against) is (extra or type(None))
    if method == "rehearsal":
        assert old.labels[against.buffers[0].ids].bincount().tolist() == [2, 2, 2]
    elif extra:
        assert against.strength == strength


def test_the_start_is_the_network_after_the_old_task_whatever_was_learned_since(run):
    """It is kept between runs, which go on from copies."""
    whole = run("fine-tuning", 1.0)
    first = whole.execute()["rows"]
    again = whole.execute()["rows"]
    assert first == again
    assert [row["strength"] for row in first] == [
        1.0,
        *forgetting_trade_off.STRENGTHS["weight interpolation"][1],
    ]


def test_a_body_that_has_not_moved_agrees_with_the_original_network(run):
    still = replace(OLD, base_lr=1e-12)
    (row,) = run("fewer groups", 1, old_settings=still).execute()["rows"]
    assert row["agreement"] == 1.0


def test_agreement_is_the_share_of_known_pictures_that_get_the_class_they_got(run, monkeypatch):
    original, pictures, then = forgetting_trade_off._original("tiny")
    other = (then + (torch.arange(len(then)) % 4 == 0)) % 1000
    monkeypatch.setattr(forgetting_trade_off, "_original", lambda backbone: (original, pictures, other))
    still = replace(OLD, base_lr=1e-12)
    (row,) = run("fewer groups", 1, old_settings=still).execute()["rows"]
    assert row["agreement"] == pytest.approx(float((other == then).float().mean())) and row["agreement"] < 1
