"""How the linear head is chosen: on pictures held out, as they are, and an augmentation only where it is worth it."""

import dataclasses
import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.utils.class_weight import compute_sample_weight

from labutils import Settings, evaluate
from labutils.experiments import linear_head
from labutils.experiments.linear_head import FOLDS, STRENGTHS, fit_linear_head

LABELS = np.array([0] * 12 + [1] * 7 + [2])


def made_up(signal: float, labels=LABELS, views: int = 1) -> np.ndarray:
    """Features of shape (views, pictures, 6): noise, and as much of the label as said."""
    noise = np.random.default_rng(0).standard_normal((views, len(labels), 6)).astype(np.float32)
    return noise + signal * np.eye(6, dtype=np.float32)[labels]


def test_every_class_is_spread_over_five_folds_and_its_only_picture_is_never_held_out():
    folds = linear_head._folds(LABELS, 0)
    assert FOLDS == 5 and folds[-1] == -1
    for label, each in ((0, (2, 3)), (1, (1, 2))):
        counts = Counter(folds[label == LABELS].tolist())
        assert sorted(counts) == [0, 1, 2, 3, 4] and set(counts.values()) == set(each)
    assert (folds == linear_head._folds(LABELS, 0)).all() and (folds != linear_head._folds(LABELS, 1)).any()


def test_of_too_many_pictures_some_are_neither_held_out_nor_fitted_to(monkeypatch):
    monkeypatch.setattr(linear_head, "MOST_IN_FOLDS", 15)
    labels, rows = np.arange(60) % 3, []
    folds = linear_head._folds(labels, 0)
    assert (folds >= 0).sum() == 15
    regress = linear_head._regress
    monkeypatch.setattr(
        linear_head, "_regress", lambda f, *rest: rows.append(f.shape[1]) or regress(f, *rest)
    )
    linear_head._held_out_loss(made_up(3.0, labels), labels, folds, 0.1, Settings())
    assert rows == [15 - (folds == fold).sum() for fold in np.unique(folds[folds >= 0])]


def test_only_pictures_as_they_are_count_when_they_are_held_out():
    folds = np.where(np.arange(20) % 2, -1, 0)  # half of them are only fitted to
    features = made_up(2.0, views=2)
    other = features.copy()
    other[1, folds == 0] = 100.0  # views of what is held out
    losses = [linear_head._held_out_loss(f, LABELS, folds, 0.1, Settings()) for f in (features, other)]
    assert losses[0] == losses[1]
    other[0, folds == 0] *= -1
    assert linear_head._held_out_loss(other, LABELS, folds, 0.1, Settings()) > losses[0]


def test_noise_gets_a_stiff_head_and_what_can_be_learned_a_free_one():
    labels = np.arange(90) % 3
    (vague, stiff), (sure, free) = (
        linear_head._strength(made_up(signal, labels), labels, Settings()) for signal in (0.0, 8.0)
    )
    assert stiff < free and {stiff, free} <= set(STRENGTHS)
    assert sure < 0.1 and vague > 0.9 * np.log(3)


def test_the_scale_of_a_feature_does_not_matter():
    features = made_up(2.0)
    scaled = features * 10.0 ** np.arange(-2, 4, dtype=np.float32) + 5
    found = linear_head._strength(features, LABELS, Settings())
    # Up to what a feature that hardly changes is kept from being blown up: so all are scaled alike here.
    assert linear_head._strength(1000 * features - 7, LABELS, Settings()) == pytest.approx(found, rel=1e-3)
    mean, deviation = linear_head._scale(scaled)
    assert mean == pytest.approx(scaled[0].mean(0), rel=1e-4)
    assert deviation.min() == pytest.approx(0.5 * scaled[0].std(0).mean(), rel=1e-4), "half of the mean one"


def test_where_nothing_can_be_held_out_the_strength_is_the_middle_one():
    labels = np.arange(3)
    loss, strength = linear_head._strength(made_up(1.0, labels), labels, Settings())
    assert loss == float("inf") and sorted(STRENGTHS).index(strength) == len(STRENGTHS) // 2


@pytest.mark.parametrize("weights", [None, "balanced"])
def test_held_out_pictures_weigh_as_in_training(monkeypatch, weights):
    classes = LABELS.max() + 1
    answer = np.arange(
        classes, dtype=float
    )  # the same for every picture, so that each class has its own loss
    monkeypatch.setattr(linear_head, "_regress", lambda *_: (np.zeros((classes, 1)), answer))
    folds = np.arange(len(LABELS)) % 5
    loss = linear_head._held_out_loss(
        np.zeros((1, len(LABELS), 1)), LABELS, folds, 1.0, Settings(class_weights=weights)
    )
    losses = np.log(np.exp(answer).sum()) - answer[LABELS]
    assert loss == pytest.approx(np.average(losses, weights=compute_sample_weight(weights, LABELS)))


@pytest.mark.parametrize(
    "losses, taken", [((1.0, 0.99, 0.985), 0), ((1.0, 0.97, 0.96), 1), ((1.0, 0.99, 0.9), 2)]
)
def test_an_augmentation_is_preferred_to_one_before_it_only_where_it_is_worth_it(
    tiny_net, tiny_domain, monkeypatch, losses, taken
):
    scores = iter(losses)
    monkeypatch.setattr(linear_head, "_strength", lambda *_: (next(scores), 0.1))
    offered = ((), ("flip",), ("crop",))
    found = fit_linear_head(tiny_net(), tiny_domain, Settings(), offered)
    assert (found.augmentation, found.loss, found.strength) == (offered[taken], losses[taken], 0.1)


def test_views_are_drawn_beside_the_picture_as_it_is(tiny_net, tiny_domain, monkeypatch):
    seen = []
    monkeypatch.setattr(linear_head, "_strength", lambda features, *_: seen.append(features) or (1.0, 0.1))
    fit_linear_head(tiny_net(pretrained=True), tiny_domain, Settings(), [(), ("crop",)])
    plain, cropped = seen
    assert (len(plain), len(cropped)) == (1, 1 + linear_head.VIEWS)
    assert np.allclose(cropped[0], plain[0], atol=1e-5)
    assert not any(np.allclose(*pair, atol=1e-3) for pair in itertools.combinations(cropped, 2))


def test_of_very_many_pictures_some_of_every_class_are_fitted_to(tiny_net, tiny_domain, monkeypatch):
    monkeypatch.setattr(linear_head, "MOST_PICTURES", 12)
    seen, regress = [], linear_head._regress
    monkeypatch.setattr(
        linear_head, "_regress", lambda f, labels, *rest: seen.append(labels) or regress(f, labels, *rest)
    )
    net = tiny_net(pretrained=True)
    fit_linear_head(net, tiny_domain, Settings())
    assert np.bincount(seen[-1]).tolist() == [4, 4, 4]
    assert evaluate(net, tiny_domain).accuracy > 1 / 3


def test_where_rows_are_short_pictures_get_no_views(tiny_net, tiny_domain, monkeypatch):
    monkeypatch.setattr(linear_head, "MOST_ROWS", len(tiny_domain.train))
    found = fit_linear_head(tiny_net(), tiny_domain, Settings(), [("flip",), ("crop",)])
    assert found.augmentation == ()


def test_a_class_without_training_pictures_is_never_predicted(tiny_net, tiny_domain):
    kept = tiny_domain.train[tiny_domain.labels[tiny_domain.train] != 1]
    net = tiny_net(pretrained=True)
    fit_linear_head(net, replace(tiny_domain, train=kept), Settings())
    assert set(evaluate(net, tiny_domain).predicted.tolist()) <= {0, 2}
    assert torch.isfinite(net.head.linear.bias).all()


@pytest.mark.parametrize("seed", range(5))
def test_no_fit_lacks_a_class(seed):
    labels = np.array([0] * (linear_head.MOST_IN_FOLDS + 500) + [1] * 2 + [2])
    folds = linear_head._folds(labels, seed)
    assert (folds >= 0).sum() <= linear_head.MOST_IN_FOLDS
    for fold in np.unique(folds[folds >= 0]):
        assert set(labels[(folds != linear_head.SPARE) & (folds != fold)]) == {0, 1, 2}


def test_one_class_is_refused(tiny_net, tiny_domain):
    one = tiny_domain.train[tiny_domain.labels[tiny_domain.train] == 0]
    with pytest.raises(ValueError, match="All training pictures are of one class"):
        fit_linear_head(tiny_net(), dataclasses.replace(tiny_domain, train=one), Settings())
