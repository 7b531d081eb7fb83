"""One's own pictures: as folders, as parts of folders, or with a table of labels."""

import hashlib
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from labutils.data.decode_cache import FORMAT, Decoded, decode_once, divide, read_all
from labutils.data.decoding import Preparation, Scale, fits_in_memory, room_for
from labutils.data.domain import Domain
from labutils.data.duplicates import joined, note_copies, note_groups, numbered
from labutils.data.layouts.find import FEWEST, find
from labutils.data.layouts.parts import PARTS
from labutils.data.layouts.tree import Found
from labutils.data.splits import DataError
from labutils.data.streaming import StreamedPictures
from labutils.runtime.files import data_folder
from labutils.runtime.words import listed

if TYPE_CHECKING:
    from pandas import DataFrame


def folder(
    path: str | Path,
    image_size: int = 128,
    seed: int = 0,
    *,
    labels: "str | Path | DataFrame | None" = None,
    groups: str | Callable[[str], str] | None = None,
    parts: Mapping | str | bool | None = None,
    fit: str = "crop",
    scale: Scale | None = None,
    skip_unreadable: bool = False,
) -> Domain:
    """Use your own pictures: a folder a class, such folders in train/, val/ and test/, or a table of labels.

    Every file that Pillow opens counts, also deeper inside a class folder and through links; hidden files and what
    systems leave behind do not. Pictures of any mode become colour: upright, transparency on white; more than 8 bits and
    floating point are scaled by what the whole set holds. Equal pictures stay in the same part. What was left out or
    decided is warned of once, and stays in ``notes`` and `Domain.describe`.

    The pixels are kept decoded under the lab's data folder until a file's name, size or time changes. More than 2 GB of
    them are not: then pictures are read once to find damage and copies, and again from their files as needed, ahead of
    time by worker processes, with the same results.

    Parameters
    ----------
    path : str or Path
        Folders in it that are named like parts of a data set (train, val, test and the like) or hold the same classes
        are parts, and kept; of two parts the second is the test, and validation comes out of training. All others are
        classes. One folder too many around them is looked through.
    image_size : int, default=128
        Side of the square pictures in pixels, from 32 to 512.
    seed : int, default=0
        Which pictures go to training (60 %), validation (15 %) and test (25 %), class by class, where no parts are given.
    labels : path or DataFrame, optional
        A CSV (from ``path`` or here) with a column of file names, whose endings may be missing, one of labels, and
        perhaps one named split with the parts. Pictures then may lie anywhere in the folder.
    groups : str or callable, optional
        What belongs together (a patient, a day) and is kept in one part: a column of ``labels``, or a regular
        expression with one group for the file's name, such as ``r"(patient\\d+)_"`` (with a slash in it: for its place
        below the folder), or a function of that place.
    parts : mapping, "test" or False, optional
        Which folders are parts, where their names do not say: ``{"train": "first", "test": ["second", "third"]}``;
        ``"test"`` for a folder that is a test set as a whole; False for folders that are classes whatever their names.
    fit : {"crop", "pad", "squash"}, default="crop"
        Keep the centre, all with a grey border, or all distorted.
    scale : (float, float), optional
        Values of deep pictures that become black and white, such as the ``scale`` of the domain that a network was trained
        on; default by what the whole folder holds.
    skip_unreadable : bool, default=False
        Leave damaged pictures out, with a warning that names them, instead of stopping.

    Returns
    -------
    Domain
        With three channels and the class names in alphabetical order (whole numbers of a table: by value).

    Raises
    ------
    FileNotFoundError
        When ``path`` or the table does not exist.
    DataError
        (a ``ValueError``) For a wrong layout, a single class, a class with fewer than three pictures,
        or unreadable pictures.

    Examples
    --------
    >>> import labutils as lab
    >>> lab.folder("holiday", image_size=96)  # doctest: +SKIP
    Domain('holiday': 240 colour pictures of 96 px, 3 classes, 144 train / 36 validation / 60 test)
    """
    preparation = Preparation(image_size, fit, scale)
    if not (parts is None or parts is False or parts == "test" or isinstance(parts, Mapping)):
        raise DataError(
            f'parts={parts!r} must be a mapping such as {{"train": "first", "test": "second"}}, "test" or False'
        )
    if not str(path):
        raise DataError("The name of the folder is empty: give the folder of your pictures")
    path = Path(path).expanduser().resolve()
    found = find(path, labels, groups, parts)
    decoded, preparation = _decode(path, found, preparation, skip_unreadable)
    rows, copies = decoded.extras["rows"].tolist(), decoded.extras["copies"]
    if not rows:
        raise DataError(f"No picture in {path} could be read: {listed(decoded.notes)}")
    names, extras, part = [found.names[row] for row in rows], {"together": copies}, None
    if found.parts is not None:
        extras["part"] = part = torch.tensor(found.parts)[rows]
    notes = [*found.notes, *decoded.notes, *note_copies(copies, decoded.labels, part, names, found.classes)]
    _warn(path, notes)
    if part is None:
        _require_three(decoded.labels, copies, found.classes)
    if found.groups is not None:
        group = numbered([found.groups[row] for row in rows])
        _warn(path, grouping := note_groups(group, part))
        notes += grouping
        extras["together"] = joined(group, copies)
    domain = divide(
        path.name,
        replace(decoded, extras=extras),
        seed,
        f"own pictures in {path}",
        fit=fit,
        scale=preparation.scale,
        files=tuple(name.replace(os.sep, "/") for name in names),
    )
    _warn(path, missing := _note_missing_classes(domain))
    return replace(domain, notes=(*notes, *missing))


def _warn(path: Path, notes: list[str]) -> None:
    for note in notes:
        warnings.warn(f"{path.name}: {note}", stacklevel=3)


def _decode(
    path: Path, found: Found, preparation: Preparation, skip_unreadable: bool
) -> tuple[Decoded, Preparation]:
    """Pixels, from the cache where they are there, and how they were made.

    ``extras`` hold ``rows`` (which of the files found could be read) and ``copies`` (the same number for equal pixels).
    """
    size, stamps = preparation.image_size, hashlib.sha256()
    for name in found.names:
        facts = os.stat(os.path.join(path, name))
        name = name.replace(os.sep, "/")
        stamps.update(f"{name} {facts.st_size} {facts.st_mtime_ns}\n".encode(errors="surrogateescape"))
    held = fits_in_memory(len(found.names), 3, size)
    settings = {"files": stamps.hexdigest(), "image_size": size, "fit": preparation.fit, "held": held}
    if (
        not held
    ):  # all are read once as well, to find copies and damage; what was found is kept in place of the pixels
        settings["skip_unreadable"] = skip_unreadable
    if preparation.scale is not None:
        settings["scale"] = preparation.scale

    def decode() -> Decoded:
        images = room_for(len(found.names), 3, size) if held else None
        reading = read_all(path, found.names, preparation, images)
        notes, faults = reading.notes(preparation.fit), reading.faults
        if faults:
            first = listed([faults[index] for index in sorted(faults)], 10)
            damaged = f"{len(faults)} of {len(found.names)} pictures in {path} could not be read: {first}"
            if not skip_unreadable:
                raise DataError(
                    f"{damaged}. Repair or remove them, or leave them out with skip_unreadable=True"
                )
            notes.append(f"{damaged}. They are left out")
        rows = torch.tensor([row for row in range(len(found.names)) if row not in faults], dtype=torch.int64)
        extras = {"rows": rows, "copies": numbered([reading.digests[row] for row in rows.tolist()])}
        extras["scale"] = torch.tensor(reading.scale or (), dtype=torch.float64)
        images = torch.empty(0) if images is None else images[rows] if faults else images
        return Decoded(
            images,
            torch.tensor(found.labels)[rows],
            found.classes,
            extras,
            complete=not (held and faults),
            notes=tuple(notes),
        )

    place = hashlib.sha256(os.fsencode(path)).hexdigest()[:8]
    suffix = "" if preparation.fit == "crop" else f"-{preparation.fit}"
    kept = data_folder() / "domains" / f"folder-{place}-{size}{suffix}.safetensors"
    decoded = decode_once(kept, settings, decode)
    rows = decoded.extras["rows"]
    preparation = replace(preparation, scale=tuple(decoded.extras["scale"].tolist()) or None)
    if not held:
        names = [found.names[row] for row in rows.tolist()]
        stamp = f"{FORMAT} {stamps.hexdigest()} {preparation}"
        decoded = replace(decoded, images=StreamedPictures(path, names, preparation, stamp))
    # What a picture is called may have changed since its pixels were kept.
    return replace(decoded, labels=torch.tensor(found.labels)[rows], classes=found.classes), preparation


def _require_three(labels: Tensor, copies: Tensor, classes: tuple[str, ...]) -> None:
    for label, name in enumerate(classes):
        count, different = int((labels == label).sum()), len(copies[labels == label].unique())
        if different < FEWEST:
            only = f", of which only {different} differ" if different < count else ""
            raise DataError(
                f"Class {name!r} has {count} pictures{only}: training, validation and test need at least one each, and "
                "copies stay together. Add pictures or leave the class out"
            )


def _note_missing_classes(domain: Domain) -> list[str]:
    """Classes without a picture in a part that other classes have pictures in."""
    if domain.only_test:
        return []
    why = (
        "so it can't be learned",
        "so no choice takes it into account",
        "so nothing will be known about it",
    )
    notes = []
    for part, name in enumerate(PARTS):
        if missing := [
            domain.classes[label] for label in (domain.counts()[:, part] == 0).nonzero().flatten()
        ]:
            notes.append(f"No picture of {listed(missing, 10)} is in {name}, {why[part]}")
    return notes
