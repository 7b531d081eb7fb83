"""The pictures below a folder with their classes, parts and groups, before any of them is opened."""

from collections.abc import Mapping
from pathlib import Path

import torch

from labutils.data.duplicates import grouped
from labutils.data.layouts.annotations import leave_annotations_out
from labutils.data.layouts.folders import LAYOUT, arrange, look_through
from labutils.data.layouts.label_table import arrange_by_table
from labutils.data.layouts.tree import Found, scan
from labutils.data.splits import DataError
from labutils.runtime.words import listed

FEWEST = 3  # one each for training, validation and test


def find(path: Path, labels=None, groups=None, parts=None) -> Found:
    """Files, classes, parts and groups below a folder; arguments as in `labutils.data.folder`.

    Raises
    ------
    FileNotFoundError, DataError
        Nothing there, or no data set; the message shows the layout to have.
    """
    layout = LAYOUT.format(name=path.name)
    if not path.exists():
        raise FileNotFoundError(f"There is no folder {path}: check the spelling. {layout}")
    if not path.is_dir():
        raise DataError(f"{path} is a file, not a folder. {layout}")
    root, notes = scan(path), []
    leave_annotations_out(root, notes, look_through(root) if parts is False else None)
    if labels is None:
        found = arrange(root, parts)
    elif isinstance(parts, Mapping):
        raise DataError("With a table of labels give the parts in a column named split, not in parts={…}")
    else:
        found = arrange_by_table(root, path, labels, groups, all_test=parts == "test")
    found.notes[:0] = notes
    if groups is not None and found.groups is None:
        found.groups = grouped(found.names, groups)
    if parts == "test":
        return found
    if len(found.classes) < 2:
        raise DataError(
            f"{path} has a single class, {found.classes[0]!r}: there is nothing to tell apart. "
            + "".join(f"{note}. " for note in notes)
            + layout
        )
    counts = torch.tensor(found.labels).bincount(minlength=len(found.classes)).tolist()
    few = [f"{name!r} has {n}" for name, n in zip(found.classes, counts, strict=True) if n < FEWEST]
    if few and found.parts is None:
        raise DataError(
            f"Every class needs at least {FEWEST} pictures, one each for training, validation and test, but in "
            f"{path} {listed(few, 10)}. Add pictures or remove the folder. Endings that count are all that Pillow opens"
        )
    return found
