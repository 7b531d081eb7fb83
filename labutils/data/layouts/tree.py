"""What lies in a folder: sub-folders and picture files, without what systems and programs leave behind."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from unicodedata import normalize

from PIL import Image

# Not hidden, and no part of any data set: of macOS, Windows, Synology, Python.
LEFTOVERS = {
    "__macosx",
    "thumbs.db",
    "ehthumbs.db",
    "desktop.ini",
    "icon\r",
    "@eadir",
    "#recycle",
    "$recycle.bin",
    "system volume information",
    "lost+found",
    "__pycache__",
}
NEED_A_PROGRAM = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}  # Pillow knows these by name only


def endings() -> set[str]:
    """Endings of all files that Pillow opens, in small letters with their dot."""
    known, opens = (
        Image.registered_extensions(),
        Image.OPEN.keys() - NEED_A_PROGRAM | {"MPO"},
    )  # which JPEG opens
    return {end for end, kind in known.items() if kind in opens}


@dataclass(eq=False)
class Node:
    """A folder: its name, its place below the top, picture files and folders in it, and how many other files.

    Names are composed (NFC), as they are typed; places are as the disk has them.
    """

    name: str
    place: str
    pictures: list[str] = field(default_factory=list)
    others: Counter = field(default_factory=Counter)
    children: list["Node"] = field(default_factory=list)
    links: list[str] = field(default_factory=list)  # to folders that are here already

    @property
    def total(self) -> int:
        """Pictures in it, at any depth."""
        return len(self.pictures) + sum(child.total for child in self.children)

    @property
    def filled(self) -> list["Node"]:
        """Folders in it that hold pictures, at any depth."""
        return [child for child in self.children if child.total]

    @property
    def empty(self) -> bool:
        """Whether it holds no file at all."""
        return not self.total and not self.others and all(child.empty for child in self.children)

    def files(self) -> Iterator[str]:
        """Places of all pictures in it."""
        yield from (os.path.join(self.place, name) for name in self.pictures)
        for child in self.children:
            yield from child.files()

    def other_files(self) -> Counter:
        """How many files at any depth have an ending that Pillow does not open, by ending."""
        return sum((child.other_files() for child in self.children), Counter(self.others))


@dataclass
class Found:
    """Pictures of a data set before they are decoded.

    ``names`` are places of files below the folder; ``parts`` holds 0, 1, 2 for training, validation and test, where
    the source fixes them; ``groups`` what belongs together; ``notes`` what whoever opens it must know.
    """

    names: list[str]
    labels: list[int]
    classes: tuple[str, ...]
    parts: list[int] | None = None
    notes: list[str] = field(default_factory=list)
    groups: list[str] | None = None


def scan(top: Path) -> Node:
    """Everything below ``top``. Links are followed, but no folder is entered twice, and its real place comes first."""
    counts, known = endings(), set()
    root, links = Node(normalize("NFC", top.name), ""), []

    def enter(node: Node, real: str) -> None:
        known.add(real)
        try:
            entries = sorted(os.scandir(real), key=lambda entry: entry.name)
        except PermissionError:
            node.others["(a folder that may not be opened)"] += 1
            return
        for entry in entries:
            if entry.name.startswith(".") or entry.name.lower() in LEFTOVERS:
                continue
            linked = entry.is_symlink()  # a link to itself is neither, and entry.is_dir() would raise
            if os.path.isdir(entry.path) if linked else entry.is_dir():
                child = Node(normalize("NFC", entry.name), os.path.join(node.place, entry.name))
                if linked:
                    links.append((node, child, os.path.realpath(entry.path)))
                else:
                    node.children.append(child)
                    enter(child, entry.path)
            elif os.path.isfile(entry.path) if linked else entry.is_file():
                ending = os.path.splitext(entry.name)[1].lower()
                if ending in counts:
                    node.pictures.append(entry.name)
                else:
                    node.others[ending or "(no ending)"] += 1
            elif linked and os.path.splitext(entry.name)[1].lower() in counts:
                node.others["(a link to a picture that is not there)"] += 1

    enter(root, str(top))
    while links:
        node, child, real = links.pop(0)
        above = str(top).startswith(real.rstrip(os.sep) + os.sep)  # around it all: a loop
        if real not in known and not above:
            node.children.append(child)
            enter(child, real)
        else:
            node.links.append(child.name)
    _sort(root)
    return root


def _sort(node: Node) -> None:
    node.children.sort(key=lambda child: child.name)
    for child in node.children:
        _sort(child)


def note_other_files(others: Counter, notes: list[str]) -> None:
    """Say how many files have endings that do not count."""
    if others:
        listed = ", ".join(f"{count} {ending}" for ending, count in others.most_common(8))
        notes.append(f"Left out: {others.total()} files that Pillow does not open ({listed})")
