"""Labels follow the names of their classes."""

from dataclasses import replace

import pytest
import torch

from labutils.data import DataError
from labutils.data.class_names import renumbered


def names(domain):
    return [domain.classes[label] for label in domain.labels.tolist()]


@pytest.mark.parametrize(
    "classes", [("chessboard", "vertical", "horizontal"), ("a", "vertical", "chessboard", "b", "horizontal")]
)
def test_every_picture_keeps_its_name(tiny_domain, classes):
    found = renumbered(tiny_domain, classes)
    assert found.classes == classes and names(found) == names(tiny_domain)
    assert found.images is tiny_domain.images and torch.equal(found.test, tiny_domain.test)


def test_nothing_to_do(tiny_domain):
    assert renumbered(tiny_domain, list(tiny_domain.classes)) is tiny_domain


def test_unknown_names(tiny_domain):
    other = replace(tiny_domain, classes=("horizontal", "stripes", "dots"))
    with pytest.raises(DataError, match="stripes, dots.*knows horizontal, vertical, chessboard"):
        renumbered(other, tiny_domain.classes)
