"""Training on kept activations is training on recomputed ones, within a limit of memory, and leaves nothing behind."""

import dataclasses
import errno
import os
import shutil
from types import SimpleNamespace

import pytest
import torch
from helpers import numbers

from labutils import ActivationCache, Settings, fit, freeze_all_but
from labutils.runtime.tensors import digest
from labutils.training import activation_cache
from labutils.training.activation_cache import Inputs

VIEWS = Settings(epochs=3, batch_size=8, base_lr=1e-4, augmentation=("flip", "crop", "jitter"), views=2)
# Rows are computed 32 at a time and used 8 at a time: sums in another order, so not equal to the last bit.
CLOSE = {"rel": 1e-3, "abs": 1e-4}


def run(make, domain, depth: int, cache: ActivationCache, settings: Settings = VIEWS) -> list[dict]:
    net = make()
    freeze_all_but(net, net.names[depth:])
    return numbers(fit(net, domain, settings, cache=cache))


def inputs(net, domain, cache=None, **changes) -> Inputs:
    return Inputs(net, domain, dataclasses.replace(VIEWS, **changes), cache or ActivationCache())


def assert_same(one: list[dict], other: list[dict]) -> None:
    for row, twin in zip(one, other, strict=True):
        assert row["train_loss"] == pytest.approx(twin["train_loss"], **CLOSE)
        assert row["validation_loss"] == pytest.approx(twin["validation_loss"], **CLOSE)


def folder_is_empty(folder) -> bool:
    return not folder.exists() or not [path for path in folder.rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("any_net", "depth"),
    [("tiny", 1), ("tiny", 2), ("tiny", 3), *(("mobilenet_v3_small", depth) for depth in range(1, 6))],
    indirect=["any_net"],
)
def test_cached_losses_equal_recomputed_ones_at_every_depth(any_net, tiny_domain, depth):
    cache = ActivationCache()
    kept = run(any_net, tiny_domain, depth, cache)
    assert_same(kept, run(any_net, tiny_domain, depth, ActivationCache(0)))
    assert (cache.misses, cache.hits) == (3, 3), "two views and the validation pictures, each computed once"


def test_rows_are_those_of_the_samples_asked_for(any_net, tiny_domain):
    net = any_net()
    source = inputs(net, tiny_domain)
    table = source.lookup(tiny_domain.train, 1)
    some = tiny_domain.train[torch.tensor([7, 0, 29, 7])]
    assert torch.allclose(table(some), source.compute(some, 1), atol=1e-5)
    assert not torch.allclose(table(some), source.compute(some, 0), atol=1e-3), "the view matters"
    freeze_all_but(net, net.names[1:])
    maps = inputs(net, tiny_domain)
    assert torch.allclose(maps.lookup(tiny_domain.train, 1)(some), maps.compute(some, 1), atol=1e-5)


def test_the_key_changes_with_all_that_changes_activations(any_net, tiny_domain):
    net = any_net()
    train = tiny_domain.train
    key = inputs(net, tiny_domain).key(train, 0)
    assert key == inputs(any_net(), tiny_domain).key(train, 0), "the same twice is the same"
    other_pictures = dataclasses.replace(tiny_domain, images=tiny_domain.images ^ 1)
    others = {
        "ids": inputs(net, tiny_domain).key(train[1:], 0),
        "order of ids": inputs(net, tiny_domain).key(train.flip(0), 0),
        "view": inputs(net, tiny_domain).key(train, 1),
        "no view": inputs(net, tiny_domain).key(train, None),
        "pictures": inputs(net, other_pictures).key(train, 0),
        "seed": inputs(net, tiny_domain, seed=1).key(train, 0),
        "augmentation": inputs(net, tiny_domain, augmentation=("flip",)).key(train, 0),
        "precision": inputs(net, tiny_domain, precision="bfloat16").key(train, 0),
    }
    freeze_all_but(net, net.names[2:])
    others["cut"] = inputs(net, tiny_domain).key(train, 0)
    assert key not in others.values() and len(set(others.values())) == len(others), others


@pytest.mark.parametrize("what", ["weight", "running_mean"])
def test_one_bit_of_the_prefix_changes_the_key(any_net, tiny_domain, what):
    net = any_net()
    before = inputs(net, tiny_domain).key(tiny_domain.train, None)
    tensor = next(t for name, t in reversed(net[:-1].state_dict().items()) if name.endswith(what))
    tensor.view(-1).view(torch.int32)[0] ^= 1  # in place: same tensor, same version of the network
    assert inputs(net, tiny_domain).key(tiny_domain.train, None) != before
    head = inputs(net, tiny_domain).key(tiny_domain.train, None)
    with torch.no_grad():
        net.head[-1].bias.add_(1)
    assert inputs(net, tiny_domain).key(tiny_domain.train, None) == head, "the suffix does not matter"


def test_training_into_the_prefix_invalidates_what_was_kept(any_net, tiny_domain):
    cache, histories = ActivationCache(), []
    for shared in (cache, ActivationCache(0)):
        net, rows = any_net(), []
        for trained in (net.names[-1:], net.names[-2:], net.names[-1:]):
            freeze_all_but(net, trained)
            rows += numbers(fit(net, tiny_domain, VIEWS, cache=shared))
        histories.append(rows)
    # Errors of rounding grow from run to run; stale activations are wrong by far more.
    for one, other in zip(*histories, strict=True):
        assert one["train_loss"] == pytest.approx(other["train_loss"], abs=0.01)
    assert cache.misses == 9


def test_two_runs_share_a_cache(any_net, tiny_domain):
    cache = ActivationCache()
    first = run(any_net, tiny_domain, 1, cache)
    misses = cache.misses
    assert numbers_equal(first, run(any_net, tiny_domain, 1, cache)) and cache.misses == misses


def numbers_equal(one, other) -> bool:
    return [row["train_loss"] for row in one] == [row["train_loss"] for row in other]


def test_beyond_the_limit_activations_go_to_disk_and_give_the_same_numbers(
    any_net, tiny_domain, own_data_folder, monkeypatch
):
    own_data_folder /= "of/somebody"  # nothing of it is there yet
    monkeypatch.setenv("LAB_DATA", str(own_data_folder))
    messages = []
    cache = ActivationCache(1e-6, report=messages.append)  # a thousand bytes
    on_disk = run(any_net, tiny_domain, 1, cache)
    assert numbers_equal(on_disk, run(any_net, tiny_domain, 1, ActivationCache()))
    assert any("kept in a file" in message for message in messages)
    assert cache.hits == 3 and cache.bytes == 0
    assert (own_data_folder / "activations").exists()
    del cache
    assert folder_is_empty(own_data_folder)


def test_with_a_full_disk_they_are_recomputed(any_net, tiny_domain, monkeypatch, own_data_folder):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    messages = []
    cache = ActivationCache(1e-6, report=messages.append)
    assert_same(run(any_net, tiny_domain, 1, cache), run(any_net, tiny_domain, 1, ActivationCache(0)))
    assert any("computed anew each epoch" in message for message in messages)
    assert cache.bytes == 0 and folder_is_empty(own_data_folder)


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="no such call on this system")
def test_a_disk_that_fills_up_meanwhile_costs_time_and_not_the_run(
    any_net, tiny_domain, monkeypatch, own_data_folder
):
    def full(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    cache = ActivationCache(1e-6, report=lambda message: None)
    assert_same(run(any_net, tiny_domain, 1, cache), run(any_net, tiny_domain, 1, ActivationCache(0)))
    assert folder_is_empty(own_data_folder)


@pytest.mark.parametrize("tables", [0.5, 1.5, 2.5])
def test_memory_never_exceeds_the_limit(any_net, tiny_domain, tables):
    net = any_net()
    freeze_all_but(net, net.names[1:])
    size = inputs(net, tiny_domain).compute(tiny_domain.train, None).nbytes
    messages, held = [], []
    cache = ActivationCache(tables * size / 1e9, report=messages.append)
    for seed in (0, 1):  # of the second run nothing is there
        options = dataclasses.replace(VIEWS, seed=seed)
        fit(net, tiny_domain, options, cache=cache, on_epoch=lambda row: held.append(cache.bytes))
        freeze_all_but(net, net.names[1:])
    assert max(held) <= cache.limit
    if tables > 1:
        assert max(held) >= size, "what fits is kept"


def test_earlier_runs_make_room_for_new_ones_before_anything_goes_to_disk(any_net, tiny_domain, monkeypatch):
    # A run that is over leaves its place in memory to the next one, now and then: `id` is then the same for both,
    # and must not be what tells runs apart. Here it is always the same.
    monkeypatch.setattr(activation_cache, "id", lambda thing: 1, raising=False)
    messages, net = [], any_net()
    freeze_all_but(net, net.names[1:])
    size = inputs(net, tiny_domain).compute(tiny_domain.train, None).nbytes
    cache = ActivationCache(1.5 * size / 1e9, report=messages.append)
    for seed in range(3):
        inputs(net, tiny_domain, cache, seed=seed).lookup(tiny_domain.train, 0)
    assert messages == [] and 0 < cache.bytes <= cache.limit


def test_much_memory_is_announced_beforehand(tiny_net, tiny_domain):
    messages = []
    run(tiny_net, tiny_domain, 1, ActivationCache(1e-6, report=messages.append))
    assert messages[0].startswith("Activation cache: 30 pictures × 2 views × 8.2 kB = 0 MB"), messages[0]
    messages.clear()
    run(tiny_net, tiny_domain, 1, ActivationCache(1.0, report=messages.append))
    assert messages == []


def test_nothing_frozen_means_nothing_cached(tiny_net, tiny_domain):
    cache = ActivationCache()
    run(tiny_net, tiny_domain, 0, cache)
    assert cache.bytes == cache.misses == 0


def test_equal_weights_in_another_network_are_not_its_activations(tiny_net, tiny_domain):
    def activations(change) -> torch.Tensor:
        net = tiny_net()
        change(net)
        return inputs(net, tiny_domain, cache).lookup(tiny_domain.train)(tiny_domain.train)

    def smooth(net):
        net.stem = torch.nn.Sequential(net.stem, torch.nn.Softplus())

    def bright(net):
        net.mean = (0.1, 0.1, 0.1)

    cache = ActivationCache()
    plain = activations(lambda net: None)
    assert torch.equal(plain, activations(lambda net: None)) and cache.misses == 1
    assert not torch.allclose(plain, activations(bright)) and not torch.allclose(plain, activations(smooth))


def test_digest_tells_networks_apart():
    assert digest(torch.nn.BatchNorm2d(2).state_dict()) != digest(torch.nn.BatchNorm2d(3).state_dict())
