"""The side of a map is read off its shape, whichever way the numbers lie."""

import pytest

from labutils.networks.tracing import side_of


@pytest.mark.parametrize(
    "shape, side",
    [
        ((64, 14, 14), 14),
        ((14, 14, 64), 14),  # channels last
        ((14, 14, 14), 14),
        ((196, 192), 14),  # tokens, channels
        ((192, 196), 14),  # channels, tokens
        ((197, 192), 14),  # with a class token
        ((204, 192), 14),  # with eight special ones
        ((205, 192), None),
        ((192, 1), None),
        ((64, 1, 1), None),  # pooled
        ((64, 14, 7), None),
        ((64,), None),
    ],
)
def test_the_side_of_a_map_of_square_pictures(shape, side):
    assert side_of(shape, (224, 224)) == side


def test_of_other_pictures_no_side_can_be_known():
    assert side_of((64, 14, 14), (224, 112)) is None and side_of((196, 192), (224, 112)) is None
