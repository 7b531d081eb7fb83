"""The surest mistakes come first; pictures that stand in two splits are found."""

from dataclasses import replace

import pytest
import torch

from labutils.analysis.errors import most_wrong, twins_across_splits
from labutils.training.evaluation import Evaluation


def test_mistakes_in_order():
    probabilities = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.05, 0.95], [0.2, 0.8]])
    seen = Evaluation(0.0, 0.5, probabilities.log(), torch.tensor([0, 0, 0, 1]))
    table = most_wrong(seen, torch.tensor([10, 11, 12, 13]))
    assert table["id"].tolist() == [12, 11]
    assert table["predicted"].tolist() == [1, 1] and table["label"].tolist() == [0, 0]
    assert table["sure"].tolist() == pytest.approx([0.95, 0.6])
    assert table["right"].tolist() == pytest.approx([0.05, 0.4])


def test_mistakes_are_found_by_name():
    seen = Evaluation(0.0, 0.5, torch.eye(3)[[0, 2]], torch.tensor([0, 1]), ("a", "b", "c"), ("c", "b"))
    table = most_wrong(seen, torch.tensor([10, 11]))
    assert table[["id", "label", "predicted"]].to_numpy().tolist() == [[10, 2, 0], [11, 1, 2]]


def test_no_mistakes_is_an_empty_table():
    seen = Evaluation(0.0, 1.0, torch.eye(3), torch.arange(3))
    assert most_wrong(seen, torch.arange(3)).empty


def test_ids_of_another_split():
    seen = Evaluation(0.0, 1.0, torch.eye(3), torch.arange(3))
    with pytest.raises(ValueError, match="3 predictions but 2 ids"):
        most_wrong(seen, torch.arange(2))


def test_twins(tiny_domain):
    assert twins_across_splits(tiny_domain) == []
    images = tiny_domain.images.clone()
    train, test = tiny_domain.train, tiny_domain.test
    images[train[1]] = images[train[0]]  # within a split: no harm
    images[test[0]] = images[train[2]]
    found = twins_across_splits(replace(tiny_domain, images=images))
    assert found == [(int(train[2]), int(test[0]))]
