"""Shifts keep labels and splits; one block is tuned and nothing else; rates are chosen on validation."""

from dataclasses import replace

import pandas as pd
import pytest
import torch
from helpers import changed, group_of, snapshot, with_statistics

from labutils import Settings, evaluate
from labutils.experiments.statistics import at_best_rate
from labutils.experiments.surgical_finetuning import (
    SHIFTS,
    adapt,
    blurred,
    evaluation_subset,
    inverted,
    shifted,
    surgical_experiment,
    train_source,
)

QUICK = Settings(epochs=2, batch_size=10, keep_best=False, validate_every=2)
TINY_BLOCKS = {"first": "stem", "head": "head", "all": ("stem", "head")}


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_shift_changes_the_pictures_and_nothing_else(tiny_domain, shift):
    after = shifted(tiny_domain, shift)
    assert after.images.shape == tiny_domain.images.shape and after.images.dtype == torch.uint8
    assert not torch.equal(after.images, tiny_domain.images)
    assert after.fingerprint != tiny_domain.fingerprint, "cached activations must not be mixed up"
    assert torch.equal(after.labels, tiny_domain.labels)
    for split in ("train", "validation", "test"):
        assert torch.equal(getattr(after, split), getattr(tiny_domain, split))


def test_a_subset_for_evaluation_sees_all_classes_of_sorted_pictures(tiny_domain):
    order = tiny_domain.labels[tiny_domain.test].argsort()
    by_class = replace(tiny_domain, test=tiny_domain.test[order])
    few = evaluation_subset(by_class, 3)
    assert len(few.test) == len(few.validation) == 3
    assert few.labels[few.test].tolist() == [0, 1, 2]
    assert set(few.test.tolist()) <= set(tiny_domain.test.tolist())
    assert torch.equal(evaluation_subset(by_class, 1000).test, by_class.test)
    assert torch.equal(few.train, tiny_domain.train)


def test_inverting_twice_gives_the_picture_back_and_blurring_keeps_grey(tiny_domain):
    images = tiny_domain.images
    assert torch.equal(inverted(inverted(images)), images)
    grey = torch.full((2, 1, 32, 32), 77, dtype=torch.uint8)
    assert torch.equal(blurred(grey), grey), "no dark border"
    dot = torch.zeros(1, 1, 9, 9, dtype=torch.uint8)
    dot[0, 0, 4, 4] = 250
    assert blurred(dot, 5)[0, 0, 2:7, 2:7].unique().tolist() == [10]
    assert blurred(dot, 5).float().sum() == 250


def test_an_unknown_shift_names_those_there_are(tiny_domain):
    with pytest.raises(ValueError, match="inverted, blurred"):
        shifted(tiny_domain, "blured")


def test_turning_the_sign_of_the_first_filters_undoes_the_inversion(tiny_net, tiny_domain):
    """For a mean and deviation of one half the negative is −x, and a convolution without bias is linear."""
    net = with_statistics(tiny_net(), tiny_domain.images).eval()
    turned = with_statistics(tiny_net(), tiny_domain.images).eval()
    with torch.no_grad():
        turned.stem[0].weight.neg_()
    before = evaluate(net, tiny_domain).logits
    after = evaluate(turned, shifted(tiny_domain, "inverted")).logits
    assert torch.allclose(before, after, atol=1e-5)
    assert not torch.allclose(before, evaluate(net, shifted(tiny_domain, "inverted")).logits, atol=1e-2)


@pytest.mark.parametrize("groups, trained", [("stem", {"stem"}), (("stem", "layer1"), {"stem", "layer1"})])
def test_only_the_block_moves_and_the_source_stays(tiny_net, tiny_domain, groups, trained):
    source = tiny_net()
    before = snapshot(source)
    model = adapt(source, tiny_domain, groups, 1e-2, QUICK)
    assert {group_of(name) for name in changed(before, model)} == trained
    assert not changed(before, source)


def test_one_rate_for_the_whole_block(tiny_net, tiny_domain):
    """Whatever the decay of the settings: a block at the front would else learn next to nothing."""
    slow = Settings(epochs=2, batch_size=10, keep_best=False, lr_decay=100.0, base_lr=1e-6)
    first, second = (adapt(tiny_net(), tiny_domain, "stem", 1e-2, chosen) for chosen in (QUICK, slow))
    assert torch.equal(first.stem[0].weight, second.stem[0].weight)


def test_the_source_network_learns_the_pictures(tiny_backbone, tiny_domain):
    source = train_source(tiny_domain, tiny_backbone, epochs=3)
    assert source.trainable_names == ("head",)
    again = train_source(tiny_domain, tiny_backbone, epochs=3)
    assert torch.equal(source.head[-1].weight, again.head[-1].weight)


def experiment(domain, backbone, **options) -> pd.DataFrame:
    chosen = {"seeds": (0, 1), "rates": (1e-3, 1e-2), "shift": "inverted", **options}
    return surgical_experiment(
        domain,
        labels=12,
        blocks=TINY_BLOCKS,
        source_labels=30,
        settings=QUICK,
        backbone=backbone,
        **chosen,
    )


def test_a_row_for_each_seed_block_and_rate(tiny_backbone, tiny_domain):
    table = experiment(tiny_domain, tiny_backbone)
    assert len(table) == 2 * 3 * 2
    assert not table.duplicated(["seed", "block", "base_lr"]).any()
    assert table[["before", "unshifted", "validation_accuracy", "test_accuracy"]].stack().between(0, 1).all()
    per_seed = table.groupby("seed")[["unshifted", "before"]].nunique()
    assert (per_seed == 1).all(axis=None), "one source network a seed, whatever is tuned"
    rates = table.groupby("block")["base_lr"].unique().map(list).to_dict()
    assert rates == {"first": [1e-3, 1e-2], "all": [1e-3, 1e-2], "head": [3e-3, 3e-2]}


def test_finished_blocks_are_read_and_other_settings_are_not_mixed_up(tiny_backbone, tiny_domain, tmp_path):
    first = experiment(tiny_domain, tiny_backbone, store=tmp_path)
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(files) == 6
    pd.testing.assert_frame_equal(first, experiment(tiny_domain, tiny_backbone, store=tmp_path))
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    experiment(tiny_domain, tiny_backbone, store=tmp_path, rates=(1e-3,), seeds=(0,))
    assert len(list(tmp_path.iterdir())) == 9


def test_the_rate_is_chosen_on_validation_for_each_seed():
    rows = [
        ("d", "inverted", "first", 1e-2, 0, 0.7, 0.1),
        ("d", "inverted", "first", 1e-3, 0, 0.6, 0.9),
        ("d", "inverted", "first", 1e-2, 1, 0.5, 0.2),
        ("d", "inverted", "first", 1e-3, 1, 0.5, 0.3),
        ("d", "inverted", "head", 1e-2, 0, 0.1, 0.4),
    ]
    columns = ["domain", "shift", "block", "base_lr", "seed", "validation_accuracy", "test_accuracy"]
    chosen = at_best_rate(pd.DataFrame(rows, columns=columns))
    assert chosen["test_accuracy"].tolist() == [0.1, 0.3, 0.4], "of equal rates the lower one"
