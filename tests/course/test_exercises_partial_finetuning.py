"""The checks of notebook 03: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import copy

import pandas as pd
import pytest
import torch
from torch import nn

from labutils.course.exercises import partial_finetuning as check

NAMES = ["reads_bgr", "trains_block", "chosen_on_validation"]


@pytest.fixture(autouse=True)
def made_up_table(monkeypatch):
    rows = [
        ("inverted", "first", 1e-3, 0, 0.80, 0.70),
        ("inverted", "first", 1e-2, 0, 0.75, 0.78),
        ("inverted", "first", 1e-3, 1, 0.60, 0.66),
        ("inverted", "first", 1e-2, 1, 0.65, 0.62),
        ("inverted", "all", 1e-3, 0, 0.99, 0.98),
        ("inverted", "last", 1e-3, 0, 0.55, 0.51),
        ("inverted", "last", 1e-2, 0, 0.50, 0.45),
    ]
    columns = ["shift", "block", "base_lr", "seed", "validation_accuracy", "test_accuracy"]
    table = pd.DataFrame(rows, columns=columns).assign(domain="digits")
    monkeypatch.setattr(check, "measured", lambda name: table)


def test_right(printed):
    check.chosen_on_validation(0.66)
    assert printed().startswith("Right. ")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answer", [..., None])
def test_unanswered(name, answer, printed):
    getattr(check, name)(answer)
    assert printed().startswith("Not answered yet")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("answer", ["?", -1, [], {}, object(), float("nan"), (1, "a")])
def test_nonsense_gets_the_general_hint(name, answer, printed):
    getattr(check, name)(answer)
    assert printed().startswith("Not yet. ")


def turned(dimension, original=False, also=None):
    def answer(net):
        net = net if original else copy.deepcopy(net)
        with torch.no_grad():
            net.stem[0].weight.copy_(net.stem[0].weight.flip(dimension))
            if also:
                net.get_parameter(also).neg_()
        return net

    return answer


def shallow(net):
    """The layers are new, the weights are not."""
    net = nn.Sequential(*[copy.copy(group) for group in net])
    with torch.no_grad():
        net[0][0].weight.copy_(net[0][0].weight.flip(1))
    return net


@pytest.mark.parametrize(
    "answer, words",
    [
        (turned(1), "Right. The shift of the input"),
        (lambda net: ..., "Not answered yet"),
        (turned(1, original=True), "copy.deepcopy(net)"),
        (shallow, "copy.deepcopy(net)"),
        (copy.deepcopy, "It answers as before"),
        (turned(0), "output channels"),
        (turned(2), "upside down"),
        (turned(3), "mirrored"),
        (turned(1, also="head.weight"), "something behind them was changed"),
        (turned((0, 1)), "are not those of the network"),
        (lambda net: None, "cannot be used as asked"),
    ],
)
def test_reads_bgr(answer, words, printed):
    check.reads_bgr(answer)
    assert words in printed()


def train_block(names=None, thaw_only=False, norms="eval", weights=None):
    """As the exercise asks for, or with one of the usual faults."""

    def answer(net, first, last):
        groups = [name for name, _ in net.named_children()]
        wanted = {*groups[groups.index(first) : groups.index(last) + 1], "head"}
        if names:
            wanted = names(groups, first, last)
        for name, group in net.named_children():
            if name in wanted or not thaw_only:
                group.requires_grad_(name in wanted)
        if weights:
            for layer in net.modules():
                if isinstance(layer, nn.BatchNorm2d):
                    layer.requires_grad_(False)
        for name, layer in net.named_modules():
            if isinstance(layer, nn.BatchNorm2d) and (norms == "eval" or name.split(".")[0] not in wanted):
                layer.eval()

    return answer


def frozen_groups_only(net, first, last):
    train_block()(net, first, last)
    net.train()


def in_evaluation(net, first, last):
    train_block()(net, first, last)
    net.eval()


@pytest.mark.parametrize(
    "answer, words",
    [
        (train_block(), "Right. The block and the head"),
        (lambda net, first, last: ..., "Not answered yet"),
        (lambda net, first, last: net.requires_grad_(False), "the head was left out"),
        (train_block(lambda g, a, b: {*g[g.index(a) : g.index(b) + 1]}), "the head was left out"),
        (train_block(lambda g, a, b: {*g[g.index(a) : g.index(b)], "head"}), "a slice ends before its end"),
        (train_block(lambda g, a, b: {b, "head"}), "it leaves out layer3"),
        (train_block(lambda g, a, b: {*g[g.index(a) :]}), "it trains layer3, too"),
        (train_block(thaw_only=True), "it trains stem, too"),
        (train_block(norms="of frozen groups"), "BatchNorm statistics of layer3, layer4 move"),
        (train_block(weights="no norms"), "scales and shifts of the norms do learn"),
        (frozen_groups_only, "BatchNorm statistics of"),
        (in_evaluation, "the dropout of layer4 is off"),
    ],
)
def test_trains_block(answer, words, printed):
    check.trains_block(answer)
    assert words in printed()


@pytest.mark.parametrize(
    "answer, hint",
    [
        (0.72, "chosen by test accuracy"),  # the best of each seed on test
        (0.70, "chosen by test accuracy"),  # the best rate on test
        (0.69, "mean over all rates"),
        (0.725, "validation accuracy of the chosen rows"),
        (0.51, "last groups"),
        (66.0, "per cent"),
        (0.1, "Take the rows"),
    ],
)
def test_hints_about_choosing_a_rate(answer, hint, printed):
    check.chosen_on_validation(answer)
    assert hint in printed()
