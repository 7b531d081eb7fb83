"""Any module may be the head: it is trained and measured like the default one, and what cannot work is said beforehand."""

import warnings
from collections import OrderedDict

import pytest
import torch
from helpers import CLASSES, changed, group_of, numbers, snapshot
from torch import nn

from labutils import Settings, evaluate, fit, lr_finder
from labutils.networks.groups import head_input, head_output

QUICK = Settings(epochs=3, batch_size=10, base_lr=0.02, keep_best=False)
FEATURES = 16  # of the tiny network


class Own(nn.Module):
    """Answers by the distance to a learned middle of each class."""

    def __init__(self):
        super().__init__()
        self.middles = nn.Parameter(torch.eye(CLASSES, FEATURES))

    def forward(self, features):
        return -torch.cdist(features, self.middles)


HEADS = {
    "linear": lambda: nn.Linear(FEATURES, CLASSES),
    "two layers": lambda: nn.Sequential(nn.Linear(FEATURES, 8), nn.ReLU(), nn.Linear(8, CLASSES)),
    "normalised": lambda: nn.Sequential(
        nn.BatchNorm1d(FEATURES), nn.Dropout(0.2), nn.Linear(FEATURES, CLASSES)
    ),
    "named": lambda: nn.Sequential(OrderedDict(drop=nn.Dropout(0.1), last=nn.Linear(FEATURES, CLASSES))),
    "ends otherwise": lambda: nn.Sequential(nn.Linear(FEATURES, CLASSES), nn.Hardswish()),
    "sees the width itself": lambda: nn.LazyLinear(CLASSES),
    "log-probabilities": lambda: nn.Sequential(nn.Linear(FEATURES, CLASSES), nn.LogSoftmax(1)),
    "own": Own,
}


@pytest.mark.parametrize("pretrained", [True, False])
@pytest.mark.parametrize("head", HEADS)
def test_it_is_trained_and_measured(tiny_net, tiny_domain, head, pretrained):
    net = tiny_net(pretrained=pretrained)
    net.head = HEADS[head]()
    found = lr_finder(net, tiny_domain, QUICK, steps=10)
    assert found.curve["loss"].notna().all()
    assert head_output(net, head_input(net, tiny_domain.image_size)).shape == (1, CLASSES)
    before = snapshot(net)
    history = fit(net, tiny_domain, QUICK)
    trained = {f"head.{name}" for name, _ in net.head.named_parameters()}
    moved = changed(before, net)
    assert trained <= moved and {group_of(name) for name in moved} == {"head"}
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]
    assert evaluate(net, tiny_domain).logits.shape == (len(tiny_domain.test), CLASSES)


def test_a_bare_layer_learns_what_it_learns_in_a_sequence(tiny_net, tiny_domain):
    linear = nn.Linear(FEATURES, CLASSES).state_dict()
    histories = []
    for wrap in (lambda layer: layer, nn.Sequential, lambda layer: nn.Sequential(nn.Sequential(layer))):
        net, layer = tiny_net(), nn.Linear(FEATURES, CLASSES)
        layer.load_state_dict(linear)
        net.head = wrap(layer)
        histories.append(numbers(fit(net, tiny_domain, QUICK)))
    assert histories[0] == histories[1] == histories[2]


def test_a_new_norm_in_the_head_has_no_stored_statistics_to_go_by(tiny_net, tiny_domain):
    net = tiny_net(pretrained=True)
    net.head = HEADS["normalised"]()
    fit(net, tiny_domain, QUICK)
    norm = net.head[0]
    assert int(norm.num_batches_tracked) == 9 and not torch.equal(norm.running_var, torch.ones(FEATURES))


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (
            lambda: nn.Linear(FEATURES, 2),
            "3 classes but the head only 2 outputs: .*let your own head end in so many",
        ),
        (
            lambda: nn.Linear(12, CLASSES),
            r"begins with nn.Linear\(12, …\), but layer2 gives 16 .* nn.Linear\(16",
        ),
        (lambda: nn.Sequential(nn.Dropout(), nn.Linear(512, CLASSES)), r"make it nn.Linear\(16, …\)"),
        (
            lambda: nn.Sequential(nn.Linear(FEATURES, 8), nn.Linear(9, CLASSES)),
            "cannot take what layer2 gives, 16 numbers: .*8",
        ),
        (lambda: nn.Conv2d(FEATURES, CLASSES, 1), "cannot take what layer2 gives, 16 numbers"),
        (
            lambda: nn.Sequential(nn.Linear(FEATURES, CLASSES), nn.Unflatten(1, (CLASSES, 1, 1))),
            r"gives \(64, 3, 1, 1\) for 64 pictures: it must give one row .* nn.Flatten",
        ),
        (
            lambda: nn.Sequential(nn.Linear(FEATURES, CLASSES), nn.Softmax(1)),
            "gives probabilities .*leave the last",
        ),
        (
            lambda: nn.Sequential(nn.Linear(FEATURES, CLASSES), nn.Sigmoid()),
            "gives probabilities .*leave the last",
        ),
    ],
)
def test_what_cannot_work_is_said_before_training(tiny_net, tiny_domain, head, message):
    net = tiny_net()
    net.head = head()
    before, modes = snapshot(net), [module.training for module in net.modules()]
    for run in (fit, lr_finder, evaluate):
        with pytest.raises(ValueError, match=message):
            run(net, tiny_domain)
    assert not changed(before, net) and modes == [module.training for module in net.modules()]


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_a_head_that_begins_with_equal_weights_is_not_taken_for_probabilities(tiny_net, tiny_domain, value):
    net = tiny_net()
    nn.init.constant_(net.head.linear.weight, 0.0)
    nn.init.constant_(net.head.linear.bias, value)
    assert len(fit(net, tiny_domain, QUICK)) == 3


def test_more_outputs_than_classes_are_said(tiny_net, tiny_domain):
    net = tiny_net()
    net.head = nn.Linear(FEATURES, 5)
    with pytest.warns(UserWarning, match="5 outputs for the 3 classes of patterns: .*num_classes=3"):
        fit(net, tiny_domain, QUICK)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fit(tiny_net(), tiny_domain, QUICK)


def test_a_head_for_one_picture_too(tiny_net, tiny_domain):
    class Squeezed(nn.Module):
        def forward(self, x):
            return x.squeeze()

    net = tiny_net()
    net.head = nn.Sequential(net.head, Squeezed())
    with pytest.raises(ValueError, match="one row of numbers for each"):
        fit(net, tiny_domain)


@pytest.mark.parametrize("change", ["hook", "forward"])
def test_what_would_not_be_called_is_refused(tiny_net, tiny_domain, change):
    net = tiny_net()
    if change == "hook":
        net.register_forward_hook(lambda module, given, answer: answer.flip(1))
    else:
        net.__class__ = type("Own", (type(net),), {"forward": lambda self, x: x})
    with pytest.raises(ValueError, match="put them on a group"):
        evaluate(net, tiny_domain)


def test_another_precision_of_the_weights_is_refused_with_the_remedy(tiny_net, tiny_domain):
    with pytest.raises(ValueError, match=r"model\.float\(\)"):
        fit(tiny_net().double(), tiny_domain)


def test_a_norm_that_never_has_statistics_is_refused(tiny_net, tiny_domain):
    net = tiny_net()
    net.layer1 = nn.Sequential(net.layer1, nn.BatchNorm2d(8, track_running_stats=False))
    with pytest.raises(ValueError, match="track_running_stats=True"):
        evaluate(net, tiny_domain)
