"""Names that stand for the parts of a data set: training, validation and test."""

import re
from functools import cache

from labutils.data.layouts.tree import Node
from labutils.data.splits import DataError

PARTS = ("train", "validation", "test")
_WORDS = (
    r"train|training|trn|trainval",
    r"val|valid|validate|validation|dev|development",
    r"test|testing|tst|eval|evaluation|holdout|heldout",
)
_STUCK = r"(set|data|dataset|images|imgs|pics|pictures|folder|split)?"  # as in trainset
BESIDE = set(
    "set data dataset images image imgs img pictures pics photos jpg png seg split part folder".split()
)


@cache
def part_of(name: str) -> tuple[int | None, bool]:
    """Which part a folder's name stands for, and whether it names nothing else (``seg_train``, not ``steam train``).

    >>> part_of("seg_train"), part_of("Validation-Images"), part_of("steam train"), part_of("valves")
    ((0, True), (1, True), (0, False), (None, False))
    """
    words = [token for token in map(str.lower, tokens(name)) if not token.isdigit()]
    parts = [part for t in words for part in range(3) if re.fullmatch(f"({_WORDS[part]}){_STUCK}", t)]
    if not parts or len(set(parts)) > (2 if set(parts) == {0, 1} else 1):
        return None, False
    return min(parts), len(words) - len(parts) == sum(token in BESIDE for token in words)


def tokens(name: str) -> list[str]:
    """Words and numbers of a name, with its capitals."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
    return re.findall(r"[^\W\d_]+|\d+", re.sub(r"(?i)h[eo]ld[^a-z]?out", "holdout", name))


def settle_parts(
    parts: list[int], notes: list[str], nodes: dict[int, list[Node]] | None = None
) -> list[int] | None:
    """Make two given parts training and test; with one there is nothing given.

    Raises
    ------
    DataError
        Where there are parts, but none for training.
    """
    there = sorted(set(parts))
    said = {
        part: " and ".join(f"{node.name}/" for node in nodes[part]) if nodes else PARTS[part]
        for part in there
    }
    if len(there) == 1:
        notes.append(only(said[there[0]], there[0]))
        return None
    if 0 not in there:
        raise DataError(
            f"There are {' and '.join(said.values())} but nothing to train on: add a folder train, name it as in "
            'parts={"train": …, "test": …}, or use everything as a test with parts="test"'
        )
    if len(there) == 2:
        notes.append(f"Training is {said[0]}, test is {said[there[1]]}; validation is taken out of training")
        return [min(part, 1) * 2 for part in parts]
    notes.append(f"Parts as given: training is {said[0]}, validation {said[1]}, test {said[2]}")
    return parts


def only(said: str, part: int) -> str:
    """What to report where a single part is there."""
    hint = '; to use all of it as a test, say parts="test"' if part else ""
    return f"Only {said} is there, so training, validation and test all come out of it{hint}"
