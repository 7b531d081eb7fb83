"""What an evaluation states: tables that agree with hand-made counts, an interval, and warnings in words."""

from dataclasses import replace

import pytest
import torch
from helpers import with_statistics
from torch import nn

import labutils as lab
from labutils import Evaluation


def evaluation(answers, labels, classes=("cat", "dog", "owl")) -> Evaluation:
    answers, labels = torch.tensor(answers), torch.tensor(labels)
    accuracy = float((answers == labels).float().mean())
    return Evaluation(0.5, accuracy, torch.eye(len(classes))[answers], labels, classes)


def test_tables_by_hand():
    seen = evaluation([0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 2])
    table = seen.per_class
    assert table.index.tolist() == ["cat", "dog", "owl"] and table["count"].tolist() == [3, 2, 1]
    assert table["recall"].tolist() == pytest.approx([2 / 3, 1 / 2, 0])
    assert table["precision"].tolist() == pytest.approx([2 / 4, 1 / 2, float("nan")], nan_ok=True)
    assert table["f1"].tolist() == pytest.approx([4 / 7, 1 / 2, 0])
    assert seen.balanced_accuracy == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert seen.confusion.loc["dog", "cat"] == 1 and seen.confusion.to_numpy().sum() == 6
    assert seen.confusion.loc["owl"].tolist() == [1, 0, 0], "rows are what was there"
    assert seen.largest_share == 0.5 and seen.never_answered == ("owl",)


def test_labels_that_another_list_of_names_numbers():
    seen = evaluation([0, 2, 2], [0, 1, 1])
    later = replace(seen, label_classes=("cat", "owl"))
    assert later.targets.tolist() == [0, 2, 2] and later.right.all()
    assert later.per_class["recall"].tolist() == pytest.approx([1, float("nan"), 1], nan_ok=True)
    assert later.confusion.loc["owl"].tolist() == [0, 0, 2] and later.interval[1] == 1
    assert "always answering 'owl' would give 66.7%" in later.report()
    assert seen.right.tolist() == [True, False, False], "by default the names are those of the outputs"


def test_a_class_without_pictures_does_not_count():
    seen = evaluation([0, 1, 1], [0, 1, 0])
    assert seen.balanced_accuracy == pytest.approx(0.75)
    assert seen.per_class["recall"].isna().tolist() == [False, False, True]
    assert seen.never_answered == ()


def test_interval_is_wilsons():
    low, high = evaluation([0] * 8 + [1] * 2, [0] * 10).interval
    assert (low, high) == pytest.approx((0.4902, 0.9433), abs=1e-4)  # Newcombe 1998, method 3, for 8 of 10
    assert evaluation([0, 1] * 500, [0, 1] * 500).interval[0] > 0.99


def test_report_says_in_words_what_the_numbers_do_not_show():
    few = evaluation([0, 1], [0, 1]).report()
    assert "Too few pictures to tell" in few and "Not shown to be better" in few
    lopsided = evaluation([0] * 1003, [0] * 1000 + [1] * 3, ("common", "rare")).report()
    assert "Never answered: rare" in lopsided and "'common' would give 99.7%" in lopsided
    assert "Balanced accuracy" in lopsided and "50.0%" in lopsided
    good = evaluation([0, 1] * 200, [0, 1] * 200).report()
    assert not any(word in good for word in ("Too few", "Never", "Not shown"))
    assert "accuracy 100.0% on 400 pictures, 95 % interval 99.0% to 100.0%" in good


def test_its_repr_is_a_line_without_tensors():
    summary = repr(evaluation([0, 1, 1], [0, 1, 0]))
    assert summary.startswith("Evaluation(accuracy 66.7% on 3 pictures") and "\n" not in summary


def test_outputs_without_a_name_are_numbers():
    assert evaluation([0, 1], [0, 1], classes=("a", "b")).classes == ("a", "b")
    seen = Evaluation(0.0, 1.0, torch.eye(4), torch.arange(4), ("a", "b"))
    assert seen.classes == ("a", "b", "2", "3") and seen.confusion.shape == (4, 4)


@pytest.fixture
def fitted(tiny_net, tiny_domain):
    net = with_statistics(tiny_net(), tiny_domain.images[:16])
    lab.fit(net, tiny_domain, lab.Settings(epochs=3, base_lr=0.05))
    return net


def other_numbers(domain, classes):
    """The same pictures, as if their folders had been found in another order or some were missing."""
    keep = torch.tensor([domain.classes[label] in classes for label in domain.labels.tolist()])
    splits = {name: getattr(domain, name) for name in ("train", "validation", "test")}
    numbers = [
        classes.index(domain.classes[label]) if kept else 0
        for label, kept in zip(domain.labels, keep, strict=True)
    ]
    return replace(
        domain,
        labels=torch.tensor(numbers),
        classes=classes,
        **{name: ids[keep[ids]] for name, ids in splits.items()},
    )


@pytest.mark.parametrize(
    "classes",
    [("chessboard", "horizontal", "vertical"), ("chessboard", "horizontal"), ("vertical", "chessboard")],
)
def test_classes_are_matched_by_name(fitted, tiny_domain, classes):
    assert fitted.classes == tiny_domain.classes
    later = other_numbers(tiny_domain, classes)
    seen, before = lab.evaluate(fitted, later), lab.evaluate(fitted, tiny_domain)
    assert seen.classes == tiny_domain.classes
    assert torch.equal(seen.labels, later.labels[later.test]) and seen.label_classes == classes
    named = [seen.classes[number] for number in seen.targets]
    assert named == [later.classes[label] for label in seen.labels]
    right = [seen.classes[answer] == name for answer, name in zip(seen.logits.argmax(1), named, strict=True)]
    assert seen.right.tolist() == right and seen.accuracy == pytest.approx(sum(right) / len(right))
    by_name = before.confusion.loc[list(classes)]
    assert seen.confusion.loc[list(classes)].equals(by_name)
    assert seen.accuracy == pytest.approx(
        sum(by_name.loc[name, name] for name in classes) / by_name.to_numpy().sum()
    )


def test_training_goes_on_by_name(fitted, tiny_domain):
    later = other_numbers(tiny_domain, ("chessboard", "vertical"))
    before = lab.evaluate(fitted, later, "train").loss
    lab.fit(fitted, later, lab.Settings(epochs=3, base_lr=0.05))
    assert fitted.classes == tiny_domain.classes
    assert lab.evaluate(fitted, later, "train").loss < before


def test_unknown_names_are_refused(fitted, tiny_domain):
    other = replace(tiny_domain, classes=("horizontal", "vertical", "zebra"))
    for ask in (lab.evaluate, lab.fit, lab.lr_finder):
        with pytest.raises(ValueError, match="'zebra'.*'horizontal', 'vertical', 'chessboard'.*a new head"):
            ask(fitted, other)


def test_names_go_with_the_head(fitted, tiny_domain):
    other = replace(tiny_domain, classes=("ant", "bee", "cow"))
    old = fitted.head
    fitted.head = nn.Linear(16, 3)
    assert fitted.classes is None and fitted[1:].classes is None
    lab.fit(fitted, other, lab.Settings(epochs=1, base_lr=0.01))
    assert fitted.classes == fitted[1:].classes == ("ant", "bee", "cow")
    fitted.head = old
    assert fitted.classes == tiny_domain.classes
    fitted.head[-1] = nn.Linear(16, 2)  # the names are of a layer that is gone
    with pytest.raises(ValueError, match="3 classes but the head only 2 outputs"):
        lab.evaluate(fitted, tiny_domain)


def test_the_range_test_and_a_failed_fit_name_nothing(tiny_net, tiny_domain):
    net = tiny_net()
    lab.lr_finder(net, tiny_domain, steps=20)
    assert net.classes is None


def test_weights_that_are_not_numbers_are_not_evaluated_in_silence(fitted, tiny_domain):
    with torch.no_grad():
        fitted.layer1[0].weight[0] = torch.nan
    with pytest.raises(ValueError, match="9 of 9 answers are NaN or infinite.*Weights of layer1"):
        lab.evaluate(fitted, tiny_domain)


class OwnHead(nn.Module):
    def __init__(self):
        super().__init__()
        self.last, self.first = nn.Linear(8, 3), nn.Linear(16, 8)

    def forward(self, features):
        return self.last(self.first(features))


@pytest.mark.parametrize(
    "head", [nn.Linear(16, 3), OwnHead(), nn.Sequential(nn.Linear(16, 3), nn.Softplus())]
)
def test_any_head_is_evaluated(head, tiny_net, tiny_domain):
    net = tiny_net()
    net.head = head
    assert lab.evaluate(net, tiny_domain).logits.shape == (9, 3)
    with pytest.raises(ValueError, match="4 classes but the head only 3"):
        lab.evaluate(net, replace(tiny_domain, classes=tuple("abcd")))


def test_a_head_that_gives_no_row_a_picture(tiny_net, tiny_domain):
    net = tiny_net()
    net.head = nn.Unflatten(1, (4, 4))
    with pytest.raises(ValueError, match="must give one row of numbers for each"):
        lab.evaluate(net, tiny_domain)
