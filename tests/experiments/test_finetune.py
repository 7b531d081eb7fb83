"""`finetune` chooses on training and validation pictures alone, within a time, and says what it tried."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
import torch
from helpers import CLASSES, coloured_patterns

import labutils as lab
from labutils.experiments.linear_head import STRENGTHS, fit_linear_head, last_linear
from labutils.experiments.trials import gain_of, in_words
from labutils.networks.groups import inference
from labutils.training.evaluation import Evaluation


def seen(answers, labels) -> Evaluation:
    labels = torch.tensor(labels)
    logits = torch.eye(int(labels.max()) + 1)[torch.tensor(answers)]
    return Evaluation(0.0, 0.0, logits, labels)


def unlike(domain: lab.Domain, part: str) -> lab.Domain:
    """The same domain with noise for the pictures of a part, and other labels."""
    images, labels, ids = domain.images.clone(), domain.labels.clone(), getattr(domain, part)
    images[ids] = torch.randint(256, images[ids].shape, dtype=torch.uint8)
    labels[ids] = (labels[ids] + 1) % CLASSES
    return replace(domain, images=images, labels=labels)


def test_the_head_is_scikit_learns_logistic_regression(tiny_net, tiny_domain):
    from sklearn.linear_model import LogisticRegression

    net = tiny_net(pretrained=True)
    found = fit_linear_head(net, tiny_domain, lab.Settings())
    assert found.strength in STRENGTHS and found.augmentation == ()
    with inference(net):
        features = net[:-1](net.normalise(tiny_domain.images.float() / 255)).numpy()
    train, labels = features[tiny_domain.train], tiny_domain.labels[tiny_domain.train].numpy()
    deviation = np.maximum(train.std(0), 0.5 * train.std(0).mean())
    scaled = (features - train.mean(0)) / deviation
    regression = LogisticRegression(C=found.strength, max_iter=500).fit(scaled[tiny_domain.train], labels)
    expected = regression.predict_proba(scaled)
    given = torch.softmax(net.head(torch.from_numpy(features)), 1).detach().numpy()
    assert np.abs(given - expected).max() < 0.02


@pytest.mark.parametrize("classes", [2, 3])
def test_the_head_of_two_or_more_classes_learns_what_can_be_learned(tiny_net, classes):
    domain = coloured_patterns()
    if classes == 2:
        net = lab.build_feature_extractor("tiny", 2)
        few = {name: ids[domain.labels[ids] < 2] for name, ids in _parts(domain).items()}
        labels = domain.labels.clamp(max=1)
        domain = replace(domain, labels=labels, classes=domain.classes[:2], **few)
    else:
        net = tiny_net(pretrained=True)
    fit_linear_head(net, domain, lab.Settings())
    assert lab.evaluate(net, domain, "test").accuracy > 0.8


def test_fewer_pictures_than_features_are_fitted_in_the_space_that_they_span(
    tiny_net, tiny_domain, monkeypatch
):
    """The same optimum, in less time."""
    module, few = importlib.import_module("labutils.experiments.linear_head"), tiny_domain.labelled(9, seed=0)
    rotated, shapes = module._rotated, []
    monkeypatch.setattr(module, "_rotated", lambda x: shapes.append(rotated(x).shape) or rotated(x))
    quick = fit_linear_head(tiny_net(), few, lab.Settings())
    monkeypatch.setattr(module, "_rotated", lambda features: features)
    slow = fit_linear_head(tiny_net(), few, lab.Settings())
    assert shapes == [(1, 9, 9)] and last_linear(tiny_net()).in_features == 16
    assert quick.strength == slow.strength and quick.loss == pytest.approx(slow.loss, abs=1e-4)


def _parts(domain):
    return {"train": domain.train, "validation": domain.validation, "test": domain.test}


def test_augmentations_that_would_take_too_long_are_not_tried(tiny_net, tiny_domain, monkeypatch):
    module, tried = importlib.import_module("labutils.experiments.linear_head"), []
    views = module._views
    monkeypatch.setattr(module, "_views", lambda *a: tried.append(a[4].augmentation) or views(*a))
    for seconds, expected in ((0, [()]), (100, [(), ("flip",)])):
        tried.clear()
        fit_linear_head(tiny_net(), tiny_domain, lab.Settings(), [(), ("flip",)], seconds=seconds)
        assert tried == expected


def test_a_class_with_one_or_no_training_picture_is_no_obstacle(tiny_net, tiny_domain):
    labels = tiny_domain.labels[tiny_domain.train]
    for kept in (1, 0):
        train = torch.cat([tiny_domain.train[labels != 2], tiny_domain.train[labels == 2][:kept]])
        net = tiny_net(pretrained=True)
        fit_linear_head(net, replace(tiny_domain, train=train), lab.Settings(class_weights="balanced"))
        assert lab.evaluate(net, tiny_domain, "validation").logits.isfinite().all()
    assert (lab.evaluate(net, tiny_domain, "validation").predicted != 2).all(), "never seen, never predicted"


def test_a_head_that_does_not_end_in_a_linear_layer_is_trained_by_gradients(
    tiny_net, tiny_domain, monkeypatch
):
    net = tiny_net()
    net.head = torch.nn.Sequential(torch.nn.Linear(16, CLASSES), torch.nn.Identity())
    assert last_linear(net) is None
    with pytest.raises(ValueError, match="train it with fit"):
        fit_linear_head(net, tiny_domain, lab.Settings())
    monkeypatch.setattr(_module(), "build_feature_extractor", lambda *_, **__: net)
    assert "by gradients" in lab.finetune(tiny_domain, 0.001).tried["note"][0]


def _module():
    return importlib.import_module("labutils.experiments.finetune")


def test_nothing_is_chosen_on_the_test_pictures(tiny_backbone, tiny_domain, monkeypatch):
    looked = []
    evaluate = _module().evaluate
    monkeypatch.setattr(
        _module(), "evaluate", lambda m, d, part, *a: looked.append(part) or evaluate(m, d, part, *a)
    )
    first = lab.finetune(tiny_domain, backbone=tiny_backbone, seed=0)
    assert looked.count("test") == 1 and looked[-1] == "test"
    other = lab.finetune(unlike(tiny_domain, "test"), backbone=tiny_backbone, seed=0)
    assert first.tried["score"].tolist() == other.tried["score"].tolist()
    for name, weights in first.model.state_dict().items():
        assert torch.equal(weights, other.model.state_dict()[name])


def test_nothing_is_learned_from_the_validation_pictures(tiny_net, tiny_domain):
    heads = []
    for domain in (tiny_domain, unlike(tiny_domain, "validation")):
        net = tiny_net(pretrained=True)
        fit_linear_head(net, domain, lab.Settings(), [(), ("flip",)])
        heads.append(net.head.linear.weight)
    assert torch.equal(*heads)


def test_it_says_what_it_tried_and_what_it_took(tiny_backbone, tiny_domain, printed):
    result = lab.finetune(tiny_domain, backbone=tiny_backbone, seed=0)
    tried, said = result.tried, printed()
    assert tried["groups"].tolist()[:3] == [1, 2, 4] and bool(tried["taken"][0])
    assert all(name in said for name in in_words(tried)["trial"]) and "C = " in said
    assert result.chosen in result.report() and f"{len(tiny_domain.test)} pictures" in result.report()
    assert f"Taken: {result.chosen}" in said and result.seconds > 0
    assert result.model.classes == tiny_domain.classes and not result.model.training
    worth = tried[tried["gain"].notna()]
    assert (worth["taken"] == (worth["gain"] > worth["error"])).all()


def test_what_does_not_fit_into_the_time_is_left_out_and_named(tiny_backbone, tiny_domain, printed):
    result = lab.finetune(tiny_domain, minutes=1e-6, backbone=tiny_backbone)
    assert result.chosen == "linear head on frozen features"
    assert result.tried["note"][1:].str.startswith("left out").all() and len(result.tried) == 3
    assert result.evaluation.accuracy > 0.5 and "left out" in printed()


def test_a_trial_that_is_estimated_to_take_too_long_is_not_begun(tiny_backbone, tiny_domain, monkeypatch):
    monkeypatch.setattr(_module()._Choice, "_estimate", lambda *_: 61)
    monkeypatch.setattr(_module(), "fit", lambda *_, **__: pytest.fail("begun"))
    notes = lab.finetune(tiny_domain, minutes=1, backbone=tiny_backbone).tried["note"]
    assert notes[1:].str.contains("would take about 61 s").all()


def test_what_makes_it_worse_is_not_taken(tiny_backbone, tiny_domain, monkeypatch):
    monkeypatch.setattr(_module(), "RATE", 30.0)
    result = lab.finetune(tiny_domain, backbone=tiny_backbone, seed=0)
    assert not result.tried["taken"][1:].any() and (result.tried["gain"].dropna() <= 0).all()
    kept = lab.evaluate(result.model, tiny_domain, "validation").accuracy
    assert kept == result.tried["score"][0], "the network is the one that was taken"


def test_a_deeper_training_is_taken_when_it_helps_beyond_noise(tiny_backbone, tiny_domain, monkeypatch):
    """The head answers everything with one class; whatever is trained then is better."""
    spoilt = _module().fit_linear_head

    def spoil(model, *rest):
        found = spoilt(model, *rest)
        with torch.no_grad():
            model.head.linear.weight.mul_(1e-3)
            model.head.linear.bias.copy_(torch.tensor([0.2, 0.0, 0.0]))
        return found

    monkeypatch.setattr(_module(), "fit_linear_head", spoil)
    monkeypatch.setattr(_module(), "RATE", 3e-2)
    tried = lab.finetune(tiny_domain, backbone=tiny_backbone, seed=0).tried
    assert tried["taken"].sum() > 1 and len(tried) > 3, "then rates, depth and length are tried, too"
    assert {"all groups", "last 2 groups"} & {name.split(",")[0] for name in tried[tried["taken"]]["trial"]}


def test_the_error_of_a_gain_is_that_of_mcnemar():
    labels = [0] * 10 + [1] * 10
    before, after = [0] * 10 + [0] * 10, [0] * 9 + [1] + [1] * 4 + [0] * 6  # right on 4 more, wrong on 1
    gain, error = gain_of(seen(after, labels), seen(before, labels))
    assert gain == pytest.approx(3 / 20) and error == pytest.approx(5**0.5 / 20)


def test_in_balanced_accuracy_a_rare_class_counts_as_much():
    labels = [0] * 18 + [1] * 2
    before, after = [0] * 20, [0] * 15 + [1] * 3 + [1] * 2
    gain, _ = gain_of(seen(after, labels), seen(before, labels), "balanced accuracy")
    assert gain == pytest.approx((2 / 2 - 3 / 18) / 2)
    difference = seen(after, labels).balanced_accuracy - seen(before, labels).balanced_accuracy
    assert gain == pytest.approx(difference)


def test_where_one_class_dominates_balanced_accuracy_decides(tiny_backbone, tiny_domain):
    labels = tiny_domain.labels[tiny_domain.train]
    rare = torch.cat([tiny_domain.train[labels != 2], tiny_domain.train[labels == 2][:2]])
    for train, score in ((tiny_domain.train, "accuracy"), (rare, "balanced accuracy")):
        settings = lab.finetune(replace(tiny_domain, train=train), 1e-6, tiny_backbone).settings
        assert settings.select_by == score
        assert settings.class_weights == (None if score == "accuracy" else "balanced")


@pytest.mark.parametrize("minutes", [0, -1, float("inf"), float("nan"), "3"])
def test_minutes_out_of_range_are_refused(tiny_backbone, tiny_domain, minutes):
    with pytest.raises(ValueError, match="3 is usual"):
        lab.finetune(tiny_domain, minutes, tiny_backbone)


def test_what_was_asked_for_stays_where_there_are_too_many_pictures_for_views(
    tiny_domain, tiny_backbone, monkeypatch
):
    monkeypatch.setattr("labutils.experiments.linear_head.MOST_ROWS", len(tiny_domain.train))
    result = lab.finetune(tiny_domain, 0.01, tiny_backbone, augmentation=("flip",))
    assert result.settings.augmentation == ("flip",)


def test_without_a_linear_head_no_mirror_is_taken_unasked(tiny_domain, tiny_backbone, monkeypatch):
    monkeypatch.setattr("labutils.experiments.finetune.last_linear", lambda model: None)
    result = lab.finetune(replace(tiny_domain, name="digits"), 0.01, tiny_backbone)
    assert result.settings.augmentation == ("crop",)
