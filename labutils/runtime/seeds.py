"""Seeds: every random choice is a function of the seed and of what it is drawn for."""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from labutils.runtime.checks import is_whole
from labutils.runtime.devices import CPU


def default_seed() -> int:
    """The seed where none is given: the variable ``LAB_SEED``, else 0.

    ``LAB_SEED=1 pytest --nbval notebooks`` asks whether what the pages claim holds for other labelled pictures, heads
    and orders. Raises ValueError when the variable is no seed.
    """
    text = os.environ.get("LAB_SEED") or "0"
    return checked_seed(int(text) if text.isdecimal() else text, "LAB_SEED")


def checked_seed(seed: object, name: str = "seed") -> int:
    """The seed, or a ValueError that says which numbers are seeds: those that NumPy and torch take."""
    if not (is_whole(seed) and 0 <= seed < 2**32):
        raise ValueError(f"{name}={seed!r} is out of range: use a whole number from 0 to 4,294,967,295")
    return int(seed)


def derived_seed(*parts: object) -> int:
    """A seed that depends on all ``parts``: the same parts give the same seed on every machine.

    Examples
    --------
    >>> derived_seed(0, "order", 3) == derived_seed(0, "order", 3) != derived_seed(0, "order", 4)
    True
    """
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:7], "big")


@contextmanager
def seeded(seed: int, device: torch.device = CPU) -> Iterator[None]:
    """In the block torch draws from ``seed``, on the CPU and on ``device``; behind it, as if there had been no block."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        # torch.manual_seed speaks to every GPU there may be, which takes longer than a step of the head.
        seed_all = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
        seed_all(seed)
        yield
