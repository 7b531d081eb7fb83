"""Pictures decoded once, kept beside the lab, and trusted only when they are what was asked for."""

import json
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from labutils.data.decoding import (
    Preparation,
    Scale,
    deep_values,
    extent,
    fault,
    from_deep,
    opened,
    scale_of,
    square,
    to_rgb,
    tolerance,
)
from labutils.data.domain import Domain
from labutils.data.duplicates import digest
from labutils.data.splits import DataError, divide_groups, split
from labutils.data.streaming import StreamedPictures
from labutils.runtime.files import atomic_write
from labutils.runtime.progress import check_stop, progress_bar

FORMAT = 2  # raise it whenever decoding changes, so that older caches are decoded again


@dataclass(frozen=True)
class Decoded:
    """What a source gives before it is split.

    ``extras`` may hold ``part`` (0 training, 1 validation, 2 test: a division that the source fixes), ``strata`` (a
    property whose proportions every part shall keep) and ``together`` (the same number for pictures that must stay in one
    part), all int64 of shape (N,). ``notes`` are sentences for whoever opens it.
    A set that is not ``complete`` is used but not kept, so that a repaired file is seen next time.
    """

    images: Tensor | StreamedPictures
    labels: Tensor
    classes: tuple[str, ...]
    extras: dict[str, Tensor] = field(default_factory=dict)
    complete: bool = True
    notes: tuple[str, ...] = ()


def divide(name: str, decoded: Decoded, seed: int, source: str, **more: Any) -> Domain:
    """Split decoded pictures as their source fixes it, or else by class (and strata) and seed.

    ``more`` goes to `Domain`.
    """
    labels, part, together = (decoded.labels, *map(decoded.extras.get, ("part", "together")))
    alone = together is None or len(together.unique()) == len(together)
    if part is None and alone:
        splits = split(labels, seed, strata=decoded.extras.get("strata"), classes=decoded.classes)
        return Domain(name, decoded.images, labels, decoded.classes, *splits, source, **more)
    together = torch.arange(len(labels)) if together is None else together
    if part is None:
        if len(together.unique()) < 3:
            raise DataError(
                f"{name}: everything belongs to {len(together.unique())} groups, but training, validation and test need "
                "one each: give pictures of more groups, or a finer rule for groups"
            )
        part = divide_groups(labels, together, (0.6, 0.15, 0.25), seed)
    elif (part == 0).any() and not (
        part == 1
    ).any():  # only the test part is fixed: a fifth of the rest validates
        rest, part = (part == 0).nonzero().squeeze(1), part.clone()
        part[rest] = divide_groups(labels[rest], together[rest], (0.8, 0.2), seed)
    splits = ((part == number).nonzero().squeeze(1) for number in range(3))
    return Domain(name, decoded.images, labels, decoded.classes, *splits, source, **more)


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


@dataclass
class Reading:
    """What was found on reading many files: pixels' digests, and by row what is wrong, deep pictures' extents, shapes."""

    digests: list[tuple[int, ...] | None]
    faults: dict[int, str] = field(default_factory=dict)
    extents: dict[int, tuple[float, float]] = field(default_factory=dict)
    longer: dict[int, float] = field(default_factory=dict)  # longer side by shorter side, where above 2
    pages: set[int] = field(default_factory=set)
    scale: Scale | None = None

    def notes(self, fit: str) -> list[str]:
        """What to report of it."""
        notes, count = [], len(self.digests)
        if self.extents:
            low, high = (f"{value:g}" if value % 1 else f"{value:.0f}" for value in self.scale)
            notes.append(
                f"{len(self.extents)} of {count} pictures hold more than 8 bits or floating-point numbers: values from {low} "
                f"to {high} became 0 to 255, the same for all"
            )
        if self.pages:
            notes.append(
                f"{len(self.pages)} files hold several pictures (pages, frames), of which the first is taken"
            )
        if fit == "crop" and 4 * len(self.longer) >= count > 0:
            keeps = median(1 / ratio for ratio in self.longer.values())
            notes.append(
                f"{len(self.longer)} of {count} pictures are more than twice as long as wide, and the square crop keeps "
                f'about {keeps:.0%} of them: fit="pad" or "squash" keeps all'
            )
        return notes


def read_all(
    path: Path, names: Sequence[str], preparation: Preparation, into: Tensor | None = None
) -> Reading:
    """Decode every picture, into its row of a tensor of shape (N, 3, S, S) if one is given.

    Deep pictures are read twice: first for what the whole set holds, which scales them all alike.
    """
    reading = Reading([None] * len(names))

    def read(index: int) -> None:
        try:
            with opened(path / names[index], preparation.image_size) as picture:
                if (values := deep_values(picture)) is not None:
                    reading.extents[index] = extent(values)
                    if preparation.scale is None:
                        return
                if max(picture.size) > 2 * min(picture.size):
                    reading.longer[index] = max(picture.size) / min(picture.size)
                colour = to_rgb(picture) if values is None else from_deep(values, preparation.scale)
                if getattr(picture, "is_animated", False) and picture.format != "MPO":  # a camera's preview
                    reading.pages.add(index)
            pixels = square(colour, preparation.image_size, preparation.fit)
            reading.digests[index] = digest(pixels, colour)
            if into is not None:
                into[index] = pixels
        except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
            reading.faults[index] = fault(names[index], error)

    _in_threads(read, torch.arange(len(names)), f"Decoding {path.name}")
    if reading.extents and preparation.scale is None:
        preparation = replace(preparation, scale=scale_of(reading.extents.values()))
        _in_threads(read, torch.tensor(sorted(reading.extents)), f"Scaling {path.name}")
    reading.scale = preparation.scale
    return reading


def _in_threads(read: Callable[[int], None], rows: Tensor, title: str) -> None:
    # Few threads: each may hold a large picture in full size. Some at a time: the pool lists all it is given.
    with tolerance, ThreadPoolExecutor(4) as pool, progress_bar(total=len(rows), desc=title) as bar:
        for some in rows.split(1000):
            for _ in pool.map(read, some.tolist()):
                bar.update()
                check_stop()


def _read(path: Path, wanted: str) -> Decoded | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("settings") != wanted:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        classes, notes = (tuple(json.loads(metadata.get(name, "[]"))) for name in ("classes", "notes"))
        return Decoded(tensors.pop("images"), tensors.pop("labels"), classes, tensors, notes=notes)
    except (OSError, SafetensorError, KeyError, ValueError):
        return None  # missing, truncated or foreign: decoding again is always right


def _write(path: Path, wanted: str, decoded: Decoded) -> None:
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    tensors = {"images": decoded.images, "labels": decoded.labels, **decoded.extras}
    metadata = {
        "settings": wanted,
        "classes": json.dumps(decoded.classes),
        "notes": json.dumps(decoded.notes),
    }
    try:
        with atomic_write(path) as temporary:
            save_file(tensors, temporary, metadata)
    except (OSError, SafetensorError) as error:  # the latter of a full disk
        warnings.warn(f"The decoded pictures were not kept and will be decoded again: {error}", stacklevel=2)
