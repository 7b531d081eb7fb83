"""The benchmark on solar cells: weights, splits and measures of the protocol, stored views, interrupted runs."""

import numpy as np
import pytest
import torch

from benchmarks.elpv.protocol import Cells, measures, splits
from benchmarks.elpv.training import Recipe, train_and_score
from benchmarks.elpv.views import VIEWS, ViewTables, mirrored
from labutils import Settings, build_feature_extractor
from labutils.networks.groups import inference

SETTINGS = Settings(device="cpu", seed=3)
ONE_THIRD, TWO_THIRDS = 1 / 3, 2 / 3


def cells(times: int) -> Cells:
    """``times`` cells of every kind and probability."""
    probabilities = np.tile([0, ONE_THIRD, TWO_THIRDS, 1], 2 * times)
    kinds = np.repeat(["mono", "poly"], 4 * times)
    return Cells(np.arange(8 * times).astype(str), probabilities, kinds)


def test_uncertain_cells_are_defective_and_count_less():
    four = cells(1)
    assert four.labels[:4].tolist() == [0, 1, 1, 1]
    assert four.weights[:4] == pytest.approx([1, ONE_THIRD, TWO_THIRDS, 1])


def test_every_part_of_a_split_keeps_the_share_of_each_kind_and_probability():
    many = cells(40)
    parts = splits(many, 0)
    assert np.concatenate(parts).size == 320 and set(np.concatenate(parts)) == set(range(320))
    for part, expected in zip(parts, (24, 6, 10), strict=True):
        assert np.unique(many.strata[part], return_counts=True)[1].tolist() == [expected] * 8


def test_splits_differ_and_come_again():
    many = cells(40)
    assert np.array_equal(splits(many, 1)[2], splits(many, 1)[2])
    assert not np.array_equal(splits(many, 1)[2], splits(many, 2)[2])


def test_measures_by_hand():
    """Of the mono cells the one of weight 1/3 is missed; of the poly ones the functional cell is called defective."""
    eight = cells(1)
    scores = np.array([0.1, 0.2, 0.7, 0.9, 0.6, 0.8, 0.7, 0.9])
    everything, mono, poly = measures(eight, np.arange(8), scores)
    assert (mono["kind"], mono["cells"], everything["cells"]) == ("mono", 4, 8)
    assert mono["accuracy"] == pytest.approx(3 / 4)
    assert mono["weighted_accuracy"] == pytest.approx((1 + TWO_THIRDS + 1) / 3)
    assert poly["weighted_accuracy"] == pytest.approx(2 / 3)
    assert mono["f1"] == pytest.approx(2 * 2 / (2 * 2 + 1))
    assert mono["weighted_f1"] == pytest.approx(2 * 5 / 3 / (2 * 5 / 3 + ONE_THIRD))
    assert mono["auc"] == 1 and poly["auc"] == 1 and everything["auc"] == pytest.approx(11 / 12)
    assert everything["weighted_auc"] == pytest.approx(1 - ONE_THIRD / 8)


def test_the_order_of_cells_and_scores_belongs_together():
    eight = cells(1)
    scores = eight.labels * 0.8 + 0.1
    ids = np.array([5, 0, 3])
    assert measures(eight, np.array([5, 0, 3, 4]), scores[[5, 0, 3, 4]])[0]["accuracy"] == 1
    with pytest.raises((ValueError, IndexError)):
        measures(eight, ids, scores)


def test_the_views_are_the_mirror_images_that_keep_lines_upright():
    picture = torch.arange(9).view(1, 1, 3, 3)
    views = [mirrored(picture, view) for view in range(VIEWS)]
    assert torch.equal(views[0], picture)
    assert len({tuple(view.flatten().tolist()) for view in views}) == VIEWS
    assert torch.equal(views[3], picture.rot90(2, dims=(2, 3)))


@pytest.fixture
def tables(tiny_backbone, tiny_domain, tmp_path):
    """Filled tables of the tiny network, cut before its last group, and the network."""
    model = build_feature_extractor(tiny_backbone, 2)
    tables = ViewTables(model, tiny_domain, "layer2", SETTINGS, tmp_path)
    for view in tables.missing():
        tables.fill(view)
    return tables


def test_tables_hold_what_the_frozen_groups_give(tables, tiny_backbone, tiny_domain, tmp_path):
    model = build_feature_extractor(tiny_backbone, 2)
    ids, views = torch.tensor([7, 0, 7]), torch.tensor([2, 3, 0])
    pixels = torch.cat(
        [mirrored(tiny_domain.images[i : i + 1], int(v)) for i, v in zip(ids, views, strict=True)]
    )
    with inference(model):
        expected = model[:2](model.normalise(pixels / 255))
        everywhere = [
            model[:-1](model.normalise(mirrored(tiny_domain.images, v) / 255)) for v in range(VIEWS)
        ]
    torch.testing.assert_close(tables.maps(ids, views), expected, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(tables.features(), torch.stack(everywhere).mean(0), rtol=1e-3, atol=1e-3)
    assert ViewTables(model, tiny_domain, "layer2", SETTINGS, tmp_path).missing() == []
    assert len(ViewTables(model, tiny_domain, "layer1", SETTINGS, tmp_path).missing()) == VIEWS


def run(tables, tiny_backbone, tiny_domain, path, recipe):
    labels = (tiny_domain.labels > 0).numpy()
    known = Cells(np.arange(48).astype(str), labels / 1.0, np.array(["mono"] * 48))
    model = build_feature_extractor(tiny_backbone, 2, dropout=recipe.dropout)
    before = {name: tensor.clone() for name, tensor in model[:2].state_dict().items()}
    train, held_out = tiny_domain.train.numpy(), tiny_domain.test.numpy()
    scores = train_and_score(model, recipe, tables, known, train, held_out, SETTINGS, path)
    assert all(torch.equal(before[name], tensor) for name, tensor in model[:2].state_dict().items())
    return scores


def test_an_interrupted_run_equals_an_uninterrupted_one(
    tables, tiny_backbone, tiny_domain, tmp_path, monkeypatch
):
    recipe = Recipe("tiny", epochs=3, batch_size=8, base_lr=1e-2)
    whole = run(tables, tiny_backbone, tiny_domain, tmp_path / "whole.pt", recipe)

    saved, calls = torch.save, []

    def save_once(*args):
        calls.append(args)
        if len(calls) > 1:
            raise KeyboardInterrupt
        saved(*args)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch, "save", save_once)
        run(tables, tiny_backbone, tiny_domain, tmp_path / "parts.pt", recipe)
    assert torch.load(tmp_path / "parts.pt")["epochs"] == 1
    parts = run(tables, tiny_backbone, tiny_domain, tmp_path / "parts.pt", recipe)
    assert np.array_equal(whole, parts)
    other = run(
        tables, tiny_backbone, tiny_domain, tmp_path / "other.pt", Recipe("short", epochs=2, batch_size=8)
    )
    assert not np.allclose(whole, other)


def test_training_begins_with_the_answers_of_the_probe(tables, tiny_backbone, tiny_domain, tmp_path):
    probe = run(tables, tiny_backbone, tiny_domain, tmp_path / "a.pt", Recipe("probe", epochs=0, probe_c=1e4))
    still = Recipe("hardly moved", epochs=1, base_lr=1e-9, weight_decay=0, probe_c=1e4)
    begun = run(tables, tiny_backbone, tiny_domain, tmp_path / "b.pt", still)
    assert probe == pytest.approx(begun, abs=1e-3)
    assert probe.std() > 0.01
