"""A trained network and what becomes of it."""

import numpy as np
import pytest
from helpers import with_statistics
from PIL import Image

from labutils.deploy import pack


@pytest.fixture
def trained(tiny_net, tiny_domain):
    model = with_statistics(tiny_net(dropout=0.5), tiny_domain.images[:16])
    model.classes = tiny_domain.classes
    return model


@pytest.fixture
def classifier(trained, tiny_domain):
    return pack(trained, tiny_domain, temperature=2.5)


@pytest.fixture
def photograph():
    """Makes a colour picture of any size with smooth shapes and noise, such as scaling can go wrong on."""

    def make(width: int, height: int, seed: int = 0) -> Image.Image:
        generator = np.random.default_rng(seed)
        small = Image.fromarray(generator.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        noise = generator.integers(0, 30, (height, width, 3), dtype=np.uint8)
        return Image.fromarray(np.asarray(small.resize((width, height))) // 2 + noise)

    return make
