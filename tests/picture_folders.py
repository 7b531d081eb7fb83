"""Small distinct pictures in folders, for the tests of one's own data."""

from itertools import count as counter
from pathlib import Path

import numpy
from PIL import Image

_seeds = counter()


def noise(size: tuple[int, int] = (40, 40), seed: int | None = None) -> Image.Image:
    """A picture unlike all others made, or with a seed always the same."""
    generator = numpy.random.default_rng((1, seed) if seed is not None else (0, next(_seeds)))
    return Image.fromarray(generator.integers(0, 256, (*size[::-1], 3)).astype(numpy.uint8))


def fill(*places: Path, count: int = 4) -> None:
    """Pictures 0.png, 1.png and so on in each folder, all different."""
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
        for number in range(count):
            noise().save(place / f"{number}.png")
