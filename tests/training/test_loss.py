"""The training loss: classes weigh what the settings say, in whichever parts a batch is computed."""

import dataclasses

import numpy
import pytest
import torch
from helpers import changed, snapshot
from sklearn.metrics import balanced_accuracy_score
from sklearn.utils.class_weight import compute_class_weight
from torch import nn
from torch.nn import functional as F

from labutils import Domain, Evaluation, LayerGroups, Settings, evaluate, fit
from labutils.training.loss import Loss, class_weights

WEIGHTS = (0.5, 2.0, 7.0)


@pytest.fixture
def uneven(tiny_domain):
    """20 training pictures, of which 10, 7 and 3 of the three classes."""
    labels = tiny_domain.labels[tiny_domain.train]
    kept = torch.cat([tiny_domain.train[labels == label][:count] for label, count in enumerate((10, 7, 3))])
    return dataclasses.replace(tiny_domain, name="uneven", train=kept)


@pytest.mark.parametrize("parts", [1, 3, 20])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_a_step_in_parts_is_that_of_torchs_own_loss_on_the_whole_batch(
    tiny_net, uneven, weights, smoothing, parts
):
    by_hand, net = tiny_net(pretrained=True), tiny_net(pretrained=True)
    x = by_hand.normalise(uneven.images[uneven.train].float() / 255)
    loss = nn.CrossEntropyLoss(weights and torch.tensor(weights), label_smoothing=smoothing)
    value = loss(by_hand.eval()(x), uneven.labels[uneven.train])
    value.backward()
    torch.optim.SGD(by_hand.head.parameters(), 0.1).step()
    options = Settings(
        epochs=1,
        batch_size=20,
        base_lr=0.1,
        accumulate=parts,
        class_weights=weights,
        label_smoothing=smoothing,
    )
    optimizer = torch.optim.SGD(net.head.parameters(), 0.1)
    history = fit(net, uneven, options, optimizer=optimizer)
    assert torch.allclose(net.head.linear.weight, by_hand.head.linear.weight, atol=1e-6)
    assert history["train_loss"][0] == pytest.approx(value.item(), rel=1e-5)


def test_the_loss_of_an_epoch_weighs_its_batches_as_one(tiny_net, uneven):
    options = Settings(epochs=1, batch_size=7, base_lr=1e-30, class_weights=WEIGHTS)
    small = fit(tiny_net(), uneven, options)["train_loss"][0]
    whole = fit(tiny_net(), uneven, Settings(epochs=1, base_lr=1e-30, class_weights=WEIGHTS))["train_loss"][0]
    assert small == pytest.approx(whole, rel=1e-5)


def test_the_validation_loss_is_plain(tiny_net, uneven):
    net = tiny_net()
    options = Settings(epochs=2, class_weights=WEIGHTS, label_smoothing=0.3, keep_best=False)
    history = fit(net, uneven, options)
    seen = evaluate(net, uneven, "validation")
    plain = F.cross_entropy(seen.logits, seen.labels).item()
    assert history["validation_loss"].iloc[-1] == pytest.approx(plain, rel=1e-5)


def test_balanced_is_the_formula_of_scikit_learn(uneven):
    labels = uneven.labels[uneven.train].numpy()
    expected = compute_class_weight("balanced", classes=numpy.arange(3), y=labels)
    assert class_weights(Settings(class_weights="balanced"), uneven).tolist() == pytest.approx(
        expected.tolist()
    )
    absent = dataclasses.replace(uneven, train=uneven.train[:17])
    assert class_weights(Settings(class_weights="balanced"), absent).tolist() == pytest.approx(
        [0.85, 17 / 14, 1.0]
    )


def test_weights_by_name_are_those_in_order(uneven):
    named = dict(zip(uneven.classes, WEIGHTS, strict=True))
    for given in (named, dict(reversed(named.items())), list(WEIGHTS)):
        assert class_weights(Settings(class_weights=given), uneven).tolist() == list(WEIGHTS)
    assert class_weights(Settings(), uneven) is None


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            (1.0, 2.0),
            "has 2 numbers, uneven has 3 classes: give one each for horizontal, vertical, chessboard",
        ),
        ({"horizontal": 1.0, "vertical": 2.0}, "no weight for chessboard; uneven has horizontal"),
        (
            {"horizontal": 1, "vertical": 2, "chess": 3},
            "no weight for chessboard and no class called chess; uneven has",
        ),
    ],
    ids=str,
)
def test_weights_of_other_classes_are_refused_before_training(tiny_net, uneven, given, message):
    net = tiny_net()
    before = snapshot(net)
    with pytest.raises(ValueError, match=message):
        fit(net, uneven, Settings(class_weights=given))
    assert not changed(before, net)


def test_outputs_beyond_the_classes_weigh_one(uneven):
    logits, labels = torch.randn(6, 5), torch.tensor([0, 1, 2, 0, 1, 2])
    loss = Loss(Settings(class_weights=WEIGHTS, label_smoothing=0.1), uneven)
    expected = F.cross_entropy(
        logits, labels, torch.tensor([*WEIGHTS, 1.0, 1.0]), reduction="sum", label_smoothing=0.1
    )
    assert float(loss.sum(logits, labels)) == pytest.approx(expected.item(), rel=1e-6)


def test_a_rare_class_is_found_when_classes_are_balanced():
    """114 pictures of one class and 6 of the other, nearly alike: unweighted, always predicting the first does well."""
    labels = torch.tensor(([0] * 19 + [1]) * 6)
    level = torch.linspace(100, 150, 120)[torch.arange(120) * 7 % 120]  # grey, in no order
    level[labels == 1] = torch.linspace(135, 145, 6)  # everywhere more common pictures are as bright
    images = level.view(-1, 1, 1, 1).expand(120, 3, 32, 32).clamp(0, 255).to(torch.uint8).contiguous()
    ids = torch.arange(120)
    pictures = Domain("rare", images, labels, ("common", "rare"), ids[:80], ids[80:100], ids[100:], "made up")

    def recall(weights):
        stem = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
        net = LayerGroups({"stem": stem, "head": nn.Linear(3, 2)})
        nn.init.zeros_(net.head.weight), nn.init.zeros_(net.head.bias)
        fit(
            net,
            pictures,
            Settings(epochs=40, batch_size=80, base_lr=0.1, keep_best=False, class_weights=weights),
        )
        seen = evaluate(net, pictures, "train")
        return float((seen.logits.argmax(1) == 1)[seen.labels == 1].float().mean())

    assert recall(None) == 0 and recall("balanced") > 0.5


def test_balanced_accuracy_is_that_of_scikit_learn():
    logits, labels = torch.randn(40, 4), torch.randint(3, (40,))
    answers = logits.argmax(1)
    keep = answers < 3  # scikit-learn warns of answers that are no label
    seen = Evaluation(0.0, 0.0, logits[keep], labels[keep])
    assert seen.balanced_accuracy == pytest.approx(balanced_accuracy_score(labels[keep], answers[keep]))
