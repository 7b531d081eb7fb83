"""Pictures that are the same, or belong together: found, kept in one part, and reported."""

import os
import re
import zlib
from collections.abc import Callable, Sequence

import numpy
import torch
from PIL import Image
from torch import Tensor

from labutils.data.splits import DataError

MOST_NAMED = 3


def digest(pixels: Tensor, picture: Image.Image | None = None) -> tuple[int, ...]:
    """The same numbers for equal pixels; for others with a chance of 2⁻⁶⁴.

    With the ``picture`` that a square was cut from, they also cover what was cut off: strips may have the same centre.
    Checksums, for a cryptographic hash of every picture takes as long as a tenth of its decoding.
    """
    pixels = pixels.contiguous().numpy()
    found = [zlib.crc32(pixels), zlib.adler32(pixels)]
    if picture is not None and picture.width != picture.height:
        (width, height), square = picture.size, min(picture.size)
        left, top = (width - square) // 2, (height - square) // 2
        first = picture.crop((0, 0, left or width, top or height))
        last = picture.crop((left + square if left else 0, top + square if top else 0, width, height))
        found += [width, height, zlib.crc32(first.tobytes()), zlib.crc32(last.tobytes())]
    return tuple(found)


def numbered(items: Sequence) -> Tensor:
    """Number of each item, from 0 in the order of first appearance; equal items get the same. int64 of shape (N,)."""
    numbers: dict = {}
    return torch.tensor([numbers.setdefault(item, len(numbers)) for item in items], dtype=torch.int64)


def joined(one: Tensor, other: Tensor) -> Tensor:
    """Numbers of what hangs together, directly or through others, by either of two numberings; shape (N,).

    >>> joined(torch.tensor([0, 0, 1, 2]), torch.tensor([0, 1, 1, 2])).tolist()
    [0, 0, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    one, other = one.numpy(), other.numpy() + int(one.max()) + 1
    size = int(other.max()) + 1
    graph = coo_array((numpy.ones(len(one)), (one, other)), shape=(size, size))
    return numbered(connected_components(graph, directed=False)[1][one].tolist())


def note_copies(
    copies: Tensor, labels: Tensor, part: Tensor | None, names: Sequence[str], classes: Sequence[str]
) -> list[str]:
    """What to report of equal pictures: how many, in which classes, and whether given parts share some.

    Parameters
    ----------
    copies : Tensor of int64, shape (N,)
        The same number for equal pictures.
    labels, part : Tensor of int64, shape (N,)
        Class, and 0, 1 or 2 for training, validation or test where the source fixes them.
    names : sequence of str
        Files.
    classes : sequence of str
    """
    notes, again = [], len(copies) - len(copies.unique())
    if not again:
        return notes
    notes.append(
        f"{again} of {len(copies)} pictures are copies of another, to the last pixel; "
        + ("copies are kept in the same part" if part is None else "the given parts are kept")
    )
    if part is not None:
        held, _ = _shared(copies, part)
        if held:
            notes.append(
                f"The given parts share pictures: {held} pictures of validation or test are in an earlier part as well, "
                "so the results flatter. Remove them, or let the lab divide all pictures"
            )
    _, twins = _shared(copies, labels)
    if twins:
        shown = []
        for number in twins[:MOST_NAMED]:
            members = (copies == number).nonzero().squeeze(1).tolist()
            first = next(i for i in members if labels[i] != labels[members[0]])
            shown.append(" and ".join(names[i].replace(os.sep, "/") for i in (members[0], first)))
        more = f" and {len(twins) - MOST_NAMED} more" if len(twins) > MOST_NAMED else ""
        notes.append(
            f"{len(twins)} pictures appear in two classes, so no network can get them right: {'; '.join(shown)}{more}"
        )
    return notes


def note_groups(groups: Tensor, part: Tensor | None) -> list[str]:
    """What to report of pictures that belong together; arguments as in `note_copies`."""
    notes = [f"The pictures belong to {len(groups.unique())} groups, each of which is kept in one part"]
    if part is not None:
        _, torn = _shared(groups, part)
        if torn:
            notes = [
                f"The given parts tear {len(torn)} groups apart, so the results flatter: the parts are kept"
            ]
    return notes


def _shared(copies: Tensor, kind: Tensor) -> tuple[int, list[int]]:
    """Pictures of a later kind that stand in an earlier one as well, and the numbers of copies with several kinds."""
    earliest = torch.full((int(copies.max()) + 1,), int(kind.max())).scatter_reduce(0, copies, kind, "amin")
    later = kind > earliest[copies]
    return int(later.sum()), copies[later].unique().tolist()


def grouped(names: list[str], rule: str | Callable[[str], str]) -> list[str]:
    """What each file belongs to by a rule on its name.

    Parameters
    ----------
    names : list of str
    rule : str or callable
        A regular expression with one group, searched in the file's name, or in its place below the folder if the
        expression has a slash; or a function of that place.

    Raises
    ------
    DataError
        The expression fits a file not at all, or has no group.
    """
    places = [name.replace(os.sep, "/") for name in names]
    if callable(rule):
        return [str(rule(place)) for place in places]
    try:
        pattern = re.compile(rule)
    except re.error as error:
        raise DataError(f"groups={rule!r} is no regular expression: {error}") from error
    if pattern.groups < 1:
        raise DataError(
            f"groups={rule!r} needs a group in brackets, such as r'(patient\\d+)_', or a column of labels"
        )
    found = [pattern.search(place if "/" in rule else place.rsplit("/", 1)[-1]) for place in places]
    missed = [place for place, match in zip(places, found, strict=True) if match is None or match[1] is None]
    if missed:
        raise DataError(
            f"groups={rule!r} does not fit {len(missed)} of {len(names)} files, such as {missed[0]}"
        )
    return [match[1] for match in found]
