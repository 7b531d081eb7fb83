"""The checks of notebook 02: right answers pass, each misconception gets its own hint, nonsense breaks nothing."""

import copy

import pytest
from torch import nn

from labutils import build_feature_extractor
from labutils.course.exercises import feature_extraction as check
from labutils.course.exercises.verdict import verdict


@pytest.fixture(scope="module")
def plain():
    model = build_feature_extractor("mobilenet_v3_small", pretrained=False, dropout=0.1)
    return nn.Sequential(*copy.deepcopy(model)).requires_grad_(False)


def norms_frozen(net: nn.Module) -> nn.Module:
    net = copy.deepcopy(net).train()
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    return net


@pytest.mark.parametrize(
    "name, right",
    [
        ("trained_parameters", 1280 * 12 + 12),
        ("switches_for_a_cache", {"eval", "no_grad"}),
        ("switches_for_a_cache", ["no_grad", "eval"]),
    ],
)
def test_right(name, right, told):
    getattr(check, name)(right)
    assert told().startswith("Right. ")


@pytest.mark.parametrize("name", ["trained_parameters", "stands_still", "switches_for_a_cache"])
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
def test_unanswered_and_nonsense(name, answer, begins, told):
    getattr(check, name)(answer)
    assert told().startswith(begins)


@pytest.mark.parametrize(
    "answer, hint",
    [
        (2562, "two classes"),
        (15360, "bias"),
        (3_400_000, "frozen groups do not count"),
        (1281, "how many features"),
    ],
)
def test_misconceptions_about_parameters(answer, hint, told):
    check.trained_parameters(answer)
    assert hint in told()


@pytest.mark.parametrize(
    "answer, hint",
    [
        ({"eval", "inference_mode"}, "refuses"),
        ({"eval"}, "whole graph"),
        ({"no_grad"}, "Dropout"),
        ({"inference_mode"}, "Dropout"),
        ({"train"}, "a set of names"),
    ],
)
def test_misconceptions_about_switches(answer, hint, told):
    check.switches_for_a_cache(answer)
    assert hint in told()


def test_a_network_that_stands_still(plain, told):
    net = norms_frozen(plain)
    check.stands_still(net)
    assert told().startswith("Right. ")
    assert net.training, "the check leaves the answer as it was"


def test_misconceptions_about_standing_still(plain, told):
    first_only = copy.deepcopy(plain).train()
    next(layer for layer in first_only.modules() if isinstance(layer, nn.BatchNorm2d)).eval()
    cases = {
        "requires_grad_": norms_frozen(plain).requires_grad_(True),
        "undone": norms_frozen(plain).train(),
        "layers inside": first_only,
        "evaluation mode": copy.deepcopy(plain).eval(),
    }
    for hint, net in cases.items():
        check.stands_still(net)
        assert hint in told(), hint


def test_a_check_whose_pattern_cannot_read_the_answer_does_not_crash(told):
    verdict(object(), 3.0, "", [(lambda answer: answer > 2, "never")], "A number, please.")
    assert told() == "Not yet. A number, please."


def test_a_long_hint_is_broken_between_words(capsys):
    verdict(1.0, 3.0, "", [], "word " * 60)
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100 and set(" ".join(lines[1:]).split()) == {"word"}
