"""The checks of notebook 02: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import pytest
import torch
from torch import nn

from labutils.course.exercises import feature_extraction as check
from labutils.course.exercises.verdict import verdict, verdict_on_code


def test_right(printed):
    check.trained_parameters(1280 * 12 + 12)
    assert printed().startswith("Right. ")


@pytest.mark.parametrize("name", ["trained_parameters", "freezes", "keeps_features"])
@pytest.mark.parametrize(
    "answer, begins",
    [
        (..., "Not answered yet"),
        (None, "Not answered yet"),
        ("?", "Not yet. "),
        (-1, "Not yet. "),
        ([], "Not yet. "),
    ],
)
def test_unanswered_and_nonsense(name, answer, begins, printed):
    getattr(check, name)(answer)
    assert printed().startswith(begins)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (2562, "two classes"),
        (15360, "bias"),
        (3_400_000, "frozen groups do not count"),
        (1281, "how many features"),
    ],
)
def test_misconceptions_about_parameters(answer, hint, printed):
    check.trained_parameters(answer)
    assert hint in printed()


def freeze(net, trained):
    for name, group in net.named_children():
        group.requires_grad_(name in trained)
        group.train(name in trained)


def only_weights(net, trained):
    for name, group in net.named_children():
        group.requires_grad_(name in trained)


def train_last(net, trained):
    freeze(net, trained)
    net.train()


def only_outer_layers(net, trained):
    only_weights(net, trained)
    for name, group in net.named_children():
        if name not in trained:
            group.training = False


def all_but_the_first(net, trained):
    freeze(net, trained)
    net.stem.train()


def wholly_in_evaluation(net, trained):
    only_weights(net, trained)
    net.eval()


def never_thaws(net, trained):
    for name, group in net.named_children():
        if name not in trained:
            group.requires_grad_(False).eval()


def head_left_out(net, trained):
    freeze(net, trained)
    net.head.requires_grad_(False)


def norms_only(net, trained):
    only_weights(net, trained)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()


@pytest.mark.parametrize(
    "answer, words",
    [
        (freeze, "Right. What is frozen"),
        (lambda net, trained: ..., "Not answered yet"),
        (lambda net, trained: None, "weights of stem still ask for a gradient"),
        (lambda net, trained: net.requires_grad_(False), "layer4 should learn"),
        (only_weights, "every layer is in training mode"),
        (train_last, "a train() after it has undone it"),
        (only_outer_layers, "BatchNorm buffers still drift in layer1, layer2, layer3, stem"),
        (all_but_the_first, "BatchNorm buffers still drift in stem"),
        (wholly_in_evaluation, "the trained groups are in evaluation mode, too"),
        (norms_only, "the trained groups are in evaluation mode, too"),
        (never_thaws, "thaw what was frozen before"),
        (head_left_out, "head should learn"),
    ],
)
def test_freezes(answer, words, printed):
    check.freezes(answer)
    assert words in printed()


def keep(mode="eval", context=torch.no_grad, depth=-1, labels="of the batch"):
    def answer(net, loader):
        getattr(net, mode)()
        with context():
            pairs = [(net[:depth](x), y) for x, y in loader]
            features = torch.cat([features for features, _ in pairs])
        if labels == "of the batch":
            return features, torch.cat([y for _, y in pairs])
        if labels == "of the data set":
            return features, loader.dataset.tensors[1]
        return features, torch.cat([y for _, y in loader])

    return answer


def last_batch(net, loader):
    return [(part[-10:]) for part in keep()(net, loader)]


def dropout_alone(net, loader):
    net.eval()
    net.layer4[-1].train()
    with torch.no_grad():
        pairs = [(net[:-1](x), y) for x, y in loader]
    return [torch.cat(part) for part in zip(*pairs, strict=True)]


@pytest.mark.parametrize(
    "answer, words",
    [
        (keep(), "Right. The same features"),
        (lambda net, loader: ..., "Not answered yet"),
        (keep(labels="of the data set"), "the labels belong to other pictures"),
        (keep(labels="in a second pass"), "the labels belong to other pictures"),
        (keep(mode="train"), "it ran in training mode"),
        (keep(context=torch.enable_grad), "the graph behind them is kept"),
        (keep(context=torch.inference_mode), "refuses inference tensors"),
        (keep(depth=6), "outputs of the head"),
        (dropout_alone, "was dropout on?"),
        (last_batch, "24 pictures should give"),
        (lambda net, loader: 3, "cannot be used as asked"),
    ],
)
def test_keeps_features(answer, words, printed):
    check.keeps_features(answer)
    assert words in printed()


def test_an_error_is_named_with_its_line(printed):
    def broken(x):
        y = x + 1
        return y.nothing

    verdict_on_code(broken, lambda f: f(1), "")
    assert printed().startswith("Not yet. The function stops in its line 3 with AttributeError: 'int'")


def test_a_trial_leaves_the_random_numbers_alone(printed):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    seen = []
    for _ in range(2):
        verdict_on_code(lambda: torch.rand(3), lambda f: seen.append(f()), "")
    assert torch.equal(torch.rand(3), expected) and torch.equal(*seen)


def test_a_check_whose_pattern_cannot_read_the_answer_does_not_crash(printed):
    verdict(object(), 3.0, "", [(lambda answer: answer > 2, "never")], "A number, please.")
    assert printed() == "Not yet. A number, please."


def test_a_long_hint_is_broken_between_words(capsys):
    verdict(1.0, 3.0, "", [], "word " * 60)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100 and set(" ".join(lines[1:]).split()) == {"word"}
