"""Labels follow the names of their classes."""

from dataclasses import replace

import pytest
import torch

from labutils.data import DataError


def names(domain):
    return [domain.classes[label] for label in domain.labels.tolist()]


@pytest.mark.parametrize(
    "classes", [("chessboard", "vertical", "horizontal"), ("a", "vertical", "chessboard", "b", "horizontal")]
)
def test_every_picture_keeps_its_name(tiny_domain, classes):
    found = tiny_domain.match(classes)
    assert found.classes == classes and names(found) == names(tiny_domain)
    assert found.images is tiny_domain.images and torch.equal(found.test, tiny_domain.test)


def test_nothing_to_do(tiny_domain):
    assert tiny_domain.match(list(tiny_domain.classes)) is tiny_domain


def test_unknown_names(tiny_domain):
    other = replace(tiny_domain, classes=("horizontal", "stripes", "dots"))
    with pytest.raises(
        DataError, match="stripes.*dots.*known classes .horizontal., .vertical., .chessboard."
    ):
        other.match(tiny_domain.classes)
