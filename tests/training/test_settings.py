"""Settings refuse what cannot work and tell apart what gives other results."""

import dataclasses
import math
import re

import numpy
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from labutils import Settings, Stage, add_adapters, finetune, pick_device
from labutils.data import split
from labutils.data.splits import divide_groups
from labutils.runtime.seeds import derived_seed, seeded


@pytest.mark.parametrize(
    ("wrong", "remedy"),
    [
        ({"epochs": 0}, "epochs=0 is out of range: use a whole number from 1"),
        ({"epochs": 2.5}, "a whole number from 1"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"views": 0}, "views=0"),
        ({"accumulate": -1}, "accumulate=-1"),
        ({"validate_every": 0}, "validate_every=0"),
        ({"patience": 0}, "patience=0 is out of range: use None or a whole number from 1"),
        ({"base_lr": 0}, "1e-3 is usual"),
        ({"base_lr": 100}, "base_lr=100"),
        ({"base_lr": math.nan}, "base_lr=nan"),
        ({"lr_decay": 0.5}, "from 1"),
        ({"lr_decay": math.inf}, "lr_decay=inf"),
        ({"weight_decay": 1}, "from 0 to below 1"),
        ({"weight_decay": -0.1}, "weight_decay=-0.1"),
        ({"cache_limit_gb": -1}, "0 .never cache. or more"),
        ({"schedule": "linear"}, "'cosine', 'constant'"),
        ({"precision": "half"}, "'float32', 'bfloat16', 'float16'"),
        ({"augmentation": ("flip", "blur")}, "quarter_turns"),
        ({"augmentation": "flip"}, "augmentation='flip' .* a tuple out of"),
        ({"augmentation": None}, "a tuple out of"),
        ({"augmentation": [["flip"]]}, "a tuple out of"),
        ({"batch_size": 32.0}, "batch_size=32.0"),
        ({"base_lr": "1e-3"}, "base_lr='1e-3' is out of range"),
        ({"base_lr": None}, "base_lr=None"),
        ({"patience": 1.5}, "None or a whole number"),
        ({"patience": "3"}, "None or a whole number"),
        ({"seed": 0.5}, "seed=0.5 is out of range: use a whole number"),
        ({"seed": -1}, "seed=-1 is out of range: use a whole number from 0"),
        ({"seed": 2**32}, "seed=4294967296 is out of range"),
        ({"seed": 10**30}, "seed=10+ is out of range"),
        ({"select_by": "f1"}, "select_by='f1' .*'accuracy', 'balanced accuracy'"),
        ({"label_smoothing": 1}, "label_smoothing=1 .*below 1"),
        ({"label_smoothing": -0.1}, "label_smoothing=-0.1"),
        ({"class_weights": "equal"}, "class_weights='equal' .*a number above 0 a class"),
        ({"class_weights": ()}, "class_weights=.. is out of range"),
        ({"class_weights": (1.0, 0.0)}, "a number above 0 a class, in order or by name"),
        ({"class_weights": {"a": math.nan}}, "a number above 0 a class"),
        ({"class_weights": {"a": "heavy"}}, "a number above 0 a class"),
        ({"class_weights": 3}, "class_weights=3"),
        ({"cache_limit_gb": math.inf}, "cache_limit_gb=inf"),
        ({"keep_best": "no"}, "True or False"),
        ({"device": 0}, "'cpu'"),
    ],
    ids=str,
)
def test_values_out_of_range_are_reported_with_the_allowed_ones(wrong, remedy):
    with pytest.raises(ValueError, match=remedy):
        Settings(**wrong)


def test_settings_are_frozen_and_can_be_keys():
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().epochs = 3
    assert len({Settings(), Settings(), Settings(augmentation=["flip"])}) == 2


def test_whole_numbers_of_numpy_are_whole_numbers():
    assert Settings(epochs=numpy.int64(3)).digest == Settings(epochs=3).digest


OTHER = {
    "epochs": 3,
    "batch_size": 8,
    "base_lr": 0.1,
    "lr_decay": 2.0,
    "weight_decay": 0.0,
    "schedule": "constant",
    "augmentation": ("flip",),
    "views": 2,
    "keep_best": False,
    "select_by": "balanced accuracy",
    "class_weights": "balanced",
    "label_smoothing": 0.1,
    "validate_every": 2,
    "patience": 3,
    "accumulate": 2,
    "precision": "bfloat16",
    "gradient_checkpointing": True,
    "channels_last": False,
    "compile": True,
    "seed": 1,
}


def test_equal_numbers_of_other_types_have_one_digest():
    plain = Settings(base_lr=1e-3, weight_decay=0.0, patience=3, keep_best=True, lr_decay=2.0)
    other = Settings(
        base_lr=numpy.float64(1e-3),
        weight_decay=0,
        patience=numpy.int64(3),
        keep_best=1,
        lr_decay=numpy.float32(2),
    )
    assert plain.digest == other.digest
    assert repr(Stage(("head",), numpy.int64(2), numpy.float64(1e-3))) == repr(Stage(("head",), 2, 1e-3))


def test_the_digest_differs_with_every_setting_that_can_change_a_result():
    same = {"cache_limit_gb": 0.5, "device": "cpu"}
    assert set(OTHER) | set(same) == {field.name for field in dataclasses.fields(Settings)}
    digests = {name: Settings(**{name: value}).digest for name, value in OTHER.items()}
    assert len({Settings().digest, *digests.values()}) == 1 + len(OTHER)
    assert Settings(**same).digest == Settings().digest == Settings().digest


def test_the_digest_of_settings_as_they_were_before_is_as_it_was_before():
    """Stored results are found by it."""
    assert Settings().digest == "488d60b5d34f"


def test_weights_of_classes_are_kept_so_that_settings_can_be_keys_and_be_changed():
    by_name = Settings(class_weights={"b": 2, "a": 1})
    assert by_name == Settings(class_weights={"a": 1.0, "b": 2.0}) == dataclasses.replace(by_name)
    in_order = Settings(class_weights=numpy.array([1, 2]))
    assert in_order == Settings(class_weights=torch.tensor([1.0, 2.0])) == dataclasses.replace(in_order)
    assert len({by_name, in_order, Settings(class_weights=[1, 2]), Settings()}) == 3
    assert len({by_name.digest, in_order.digest, Settings().digest}) == 3


@given(st.lists(st.tuples(st.integers(), st.text(max_size=5)), min_size=2, max_size=8, unique=True))
def test_other_parts_give_other_seeds_that_torch_accepts(parts):
    seeds = [derived_seed(*part) for part in parts]
    assert len(set(seeds)) == len(seeds)
    assert seeds == [derived_seed(*part) for part in parts]
    for seed in seeds:
        torch.Generator().manual_seed(seed)


def test_one_variable_seeds_whatever_names_no_seed(monkeypatch, tiny_domain):
    monkeypatch.delenv("LAB_SEED", raising=False)
    first = tiny_domain.labelled(9).train.tolist()
    assert Settings().seed == 0 and first == tiny_domain.labelled(9, 0).train.tolist()
    monkeypatch.setenv("LAB_SEED", "7")
    assert Settings().seed == 7 and Settings(seed=3).seed == 3
    assert tiny_domain.labelled(9).train.tolist() == tiny_domain.labelled(9, 7).train.tolist() != first
    monkeypatch.setenv("LAB_SEED", "many")
    with pytest.raises(ValueError, match="LAB_SEED='many' is out of range: use a whole number from 0"):
        Settings()


@pytest.mark.parametrize("seed", [-1, 0.5, "x", float("nan"), 2**32, 10**30])
def test_absurd_seeds_are_refused_by_name_at_every_door(seed, tiny_net, tiny_domain, monkeypatch):
    doors = (
        lambda: tiny_domain.labelled(9, seed),
        lambda: split(tiny_domain.labels, seed),
        lambda: divide_groups(tiny_domain.labels, tiny_domain.labels, (0.7, 0.3), seed),
        lambda: tiny_net(seed=seed),
        lambda: finetune(tiny_domain, seed=seed),
        lambda: add_adapters(tiny_net(), seed=seed),
    )
    for door in doors:
        with pytest.raises(
            ValueError, match=f"seed={re.escape(repr(seed))} is out of range: use a whole number"
        ):
            door()
    monkeypatch.setenv("LAB_SEED", str(seed))
    with pytest.raises(ValueError, match="LAB_SEED=.* is out of range"):
        tiny_domain.labelled(9)


def test_a_seed_is_the_same_on_every_machine():
    assert derived_seed(0, "order", 3) == 66275818384681139


def test_the_device_is_the_one_asked_for_or_the_best_there_is(monkeypatch):
    assert pick_device("cpu") == torch.device("cpu")
    monkeypatch.setenv("LAB_DEVICE", "cpu")
    assert pick_device() == torch.device("cpu")
    monkeypatch.delenv("LAB_DEVICE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(ValueError, match="'cuda:2' is not available here; present: cuda:0 to cuda:1"):
        pick_device("cuda:2")
    assert pick_device() == torch.device("cuda") and pick_device("cuda:1") == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert pick_device() == torch.device("mps")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert pick_device() == torch.device("cpu")
    for absent in ("cuda", "mps", "tpu"):
        with pytest.raises(ValueError, match=f"'{absent}' is not available here; present: .'cpu'"):
            pick_device(absent)
    with pytest.raises(ValueError, match="'cpu:x' is not a name of a device: use 'cpu'"):
        pick_device("cpu:x")


@given(st.integers(0, 2**56 - 1))
def test_drawing_from_a_seed_leaves_no_trace(seed):
    before = torch.get_rng_state()
    with seeded(seed):
        first = torch.rand(3)
    assert torch.equal(torch.get_rng_state(), before)
    with seeded(seed):
        assert torch.equal(torch.rand(3), first)
    torch.set_rng_state(torch.Generator().manual_seed(seed).get_state())
    assert torch.equal(torch.rand(3), first)  # the seed is what torch.manual_seed would make of it
    torch.set_rng_state(before)


def test_an_error_inside_leaves_the_generator_as_it_was():
    before = torch.get_rng_state()
    with pytest.raises(KeyError), seeded(1):
        torch.rand(1)
        raise KeyError
    assert torch.equal(torch.get_rng_state(), before)
