"""Pictures decoded once, kept beside the lab, and trusted only when they are what was asked for."""

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from labutils.data.domain import Domain
from labutils.data.splits import choose, split
from labutils.data.streaming import StreamedPictures
from labutils.runtime.files import whole_file

FORMAT = 2  # raise it whenever decoding changes, so that older caches are decoded again


@dataclass(frozen=True)
class Decoded:
    """What a source gives before it is split.

    ``extras`` may hold ``part`` (0 training, 1 validation, 2 test: a division that the source fixes) and
    ``strata`` (a property whose proportions every part shall keep), both int64 of shape (N,).
    A set that is not ``complete`` is used but not kept, so that a mended file is seen next time.
    """

    images: Tensor | StreamedPictures
    labels: Tensor
    classes: tuple[str, ...]
    extras: dict[str, Tensor] = field(default_factory=dict)
    complete: bool = True


def divide(name: str, decoded: Decoded, seed: int, source: str) -> Domain:
    """Split decoded pictures as their source fixes it, or else by class (and strata) and seed."""
    part = decoded.extras.get("part")
    if part is None:
        splits = split(decoded.labels, seed, strata=decoded.extras.get("strata"), classes=decoded.classes)
    else:
        if not (part == 1).any():  # only the test part is fixed: a fifth of the rest validates
            rest, part = (part == 0).nonzero().squeeze(1), part.clone()
            part[choose(rest, decoded.labels, len(rest) // 5, seed)] = 1
        splits = tuple((part == number).nonzero().squeeze(1) for number in range(3))
    return Domain(name, decoded.images, decoded.labels, decoded.classes, *splits, source)


def decode_once(path: Path, settings: dict[str, Any], decode: Callable[[], Decoded]) -> Decoded:
    """Read ``path`` if it was written with exactly these settings, otherwise decode and write it.

    Parameters
    ----------
    path : Path
        A safetensors file. A stale, truncated or foreign one is decoded again and replaced.
    settings : dict
        Everything that the pixels depend on; must survive JSON.
    decode : callable
        Called without arguments when there is nothing usable to read.
    """
    wanted = json.dumps({"format": FORMAT, **settings}, sort_keys=True)
    decoded = _read(path, wanted)
    if decoded is None:
        decoded = decode()
        if decoded.complete:
            _write(path, wanted, decoded)
    return decoded


def _read(path: Path, wanted: str) -> Decoded | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("settings") != wanted:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        return Decoded(
            tensors.pop("images"), tensors.pop("labels"), tuple(json.loads(metadata["classes"])), tensors
        )
    except (OSError, SafetensorError, KeyError, ValueError):
        return None  # missing, truncated or foreign: decoding again is always right


def _write(path: Path, wanted: str, decoded: Decoded) -> None:
    from safetensors.torch import save_file

    tensors = {"images": decoded.images, "labels": decoded.labels, **decoded.extras}
    metadata = {"settings": wanted, "classes": json.dumps(decoded.classes)}
    try:
        with whole_file(path) as temporary:
            save_file(tensors, temporary, metadata)
    except OSError as error:
        warnings.warn(f"The decoded pictures were not kept and will be decoded again: {error}", stacklevel=2)
