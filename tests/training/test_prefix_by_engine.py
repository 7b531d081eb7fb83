"""Filling the cache by an inference engine changes nothing but the time: not the training, not what is frozen or resumed."""

import dataclasses
from contextlib import suppress

import pytest
import torch
from helpers import numbers

from labutils import ActivationCache, Settings, fit, freeze_all_but
from labutils.networks.inference_engine import InferenceEngine
from labutils.runtime.tensors import digest
from labutils.training import activation_cache
from labutils.training.activation_cache import Inputs

VIEWS = Settings(epochs=3, batch_size=8, base_lr=1e-4, augmentation=("flip", "crop"), views=2)


def run(net, domain, depth: int, **options) -> list[dict]:
    freeze_all_but(net, net.names[depth:])
    return numbers(fit(net, domain, VIEWS, **options))


def inputs(net, domain, cache=None, **changes) -> Inputs:
    return Inputs(net, domain, dataclasses.replace(VIEWS, **changes), cache or ActivationCache())


@pytest.fixture
def engine_always_pays_off(monkeypatch):
    monkeypatch.setattr(activation_cache, "PAYS_FROM", 0)


def test_the_engine_runs_where_there_is_much_to_run(tiny_net, tiny_domain, monkeypatch):
    net, train = tiny_net(), tiny_domain.train
    once = len(train) * tiny_domain.image_size**2
    for pays_from, none, some in ((once, True, True), (once + 1, False, True), (2 * once + 1, False, False)):
        monkeypatch.setattr(activation_cache, "PAYS_FROM", pays_from)
        source = inputs(net, tiny_domain)
        assert (source.engine_pays_off(train, None), source.engine_pays_off(train, 1)) == (none, some), (
            "two views of each"
        )
        for view, engine in ((None, none), (1, some)):
            assert isinstance(source.runner(train, view), InferenceEngine) == engine
    monkeypatch.setattr(activation_cache, "PAYS_FROM", 0)
    assert isinstance(inputs(net, tiny_domain).runner(train, None), InferenceEngine)
    low = inputs(net, tiny_domain, precision="bfloat16")
    assert low.runner(train, None) is low.prefix
    freeze_all_but(net, net.names)
    nothing_frozen = inputs(net, tiny_domain)
    assert nothing_frozen.runner(train, None) is nothing_frozen.prefix


def test_the_engine_gives_what_the_prefix_gives(any_net, tiny_domain, engine_always_pays_off):
    net, train = any_net(), tiny_domain.train
    before = digest(net.state_dict())
    for depth in (len(net) - 1, 1):
        freeze_all_but(net, net.names[depth:])
        for limit in (1.0, 0.0):  # kept and recomputed
            source = inputs(net, tiny_domain, ActivationCache(limit))
            found, plain = source.lookup(train, 1)(train), source.compute(train, 1)
            assert isinstance(source.runner(train, 1), InferenceEngine)
            assert (found - plain).abs().max() <= 1e-4 * plain.abs().max()
            assert found.stride() == plain.stride()
    assert digest(net.state_dict()) == before


def test_engine_and_prefix_train_alike_and_frozen_stays_frozen(any_net, tiny_domain, monkeypatch):
    plain = run(any_net(), tiny_domain, 2)
    monkeypatch.setattr(activation_cache, "PAYS_FROM", 0)
    for limit in (1.0, 0.0):  # kept and recomputed
        net = any_net()
        before = digest(net[:2].state_dict())
        by_engine = run(net, tiny_domain, 2, cache=ActivationCache(limit))
        assert digest(net[:2].state_dict()) == before
        for row, twin in zip(by_engine, plain, strict=True):
            for loss in ("train_loss", "validation_loss"):
                assert row[loss] == pytest.approx(twin[loss], rel=1e-3, abs=1e-4)


def test_no_table_is_half_the_engine_s_and_none_is_taken_for_the_other_s(any_net, tiny_domain, monkeypatch):
    net, cache, train = any_net(), ActivationCache(), tiny_domain.train
    inputs(net, tiny_domain, cache).lookup(train)
    monkeypatch.setattr(activation_cache, "PAYS_FROM", 0)
    by_engine = inputs(net, tiny_domain, cache).lookup(train)(train)
    assert cache.misses == 2, "the plain one is another"
    alone = inputs(net, tiny_domain)
    assert torch.equal(by_engine, alone.compute(train, None, alone.runner(train, None)))


def test_an_engine_of_other_weights_is_never_used(any_net, tiny_domain, engine_always_pays_off):
    net, cache, train = any_net(), ActivationCache(), tiny_domain.train
    before = inputs(net, tiny_domain, cache).lookup(train)(train)
    with torch.no_grad():
        next(net.stem.parameters()).mul_(-1)
    source = inputs(net, tiny_domain, cache)
    after, plain = source.lookup(train)(train), source.compute(train, None)
    assert (after - plain).abs().max() <= 1e-4 * plain.abs().max()
    assert (after - before).abs().max() > 1e-2 * plain.abs().max()


def test_a_resumed_run_computes_as_the_interrupted_one_did(any_net, tiny_domain, tmp_path, monkeypatch):
    # Pays for the training pictures and their views, not for the few to validate on.
    monkeypatch.setattr(activation_cache, "PAYS_FROM", 40 * 32 * 32)

    def interrupt(row: dict) -> None:
        if row["epoch"] == 2:
            raise KeyboardInterrupt

    whole, file = run(any_net(), tiny_domain, 2), tmp_path / "run.pt"
    with suppress(KeyboardInterrupt):
        run(any_net(), tiny_domain, 2, checkpoint=file, on_epoch=interrupt)
    assert run(any_net(), tiny_domain, 2, checkpoint=file) == whole, "to the last bit"
