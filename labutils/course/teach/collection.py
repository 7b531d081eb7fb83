"""Pictures collected class by class: which are trained on, which check a choice, which are kept for the end."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from labutils.data import DataError, Domain, load
from labutils.data.decoding import fault
from labutils.data.splits import choose
from labutils.deploy.pictures import Preparation, found
from labutils.runtime.seeds import default_seed

SHARES = {"train": 6, "validation": 2, "test": 2}  # of ten pictures of a class
SOURCE = "collected by whoever trained this network; the pictures stayed on that machine"


@dataclass(frozen=True, eq=False)
class Picture:
    """One collected picture.

    Attributes
    ----------
    number : int
        Its name for as long as the collection lives.
    pixels : Tensor of uint8, shape (3, S, S)
    part : {"train", "validation", "test"}
        Decided when it is added, and never changed: what was trained on once cannot check anything later.
    """

    number: int
    pixels: Tensor
    part: str


class Collection:
    """Pictures of some classes, in the order in which they came.

    Parameters
    ----------
    classes : sequence of str
        Names to begin with; others come with their first picture.
    image_size : int
        Side in pixels of the squares that pictures become.

    Attributes
    ----------
    pictures : dict of str to list of Picture
        By class.
    """

    def __init__(self, classes: Sequence[str], image_size: int):
        if len(set(classes)) < len(classes):
            raise DataError(f"Class names must differ: {list(classes)}")
        self.preparation = Preparation(image_size)
        self.pictures: dict[str, list[Picture]] = {name: [] for name in classes}
        self._numbers = count()

    def add(self, name: str, what: Any, part: str | None = None) -> list[Picture]:
        """Add pictures to a class, all of them or, where one cannot be read, none.

        Parameters
        ----------
        what : path, folder, PIL picture, array, tensor, or a list of any of these
            As in `Classifier.predict`.
        part : {"train", "validation", "test"}, optional
            Default the part that lacks most: of ten pictures of a class six are trained on.

        Raises
        ------
        DataError
            (a ``ValueError``) A file that is no picture.
        """
        prepared = [self._prepared(*named) for named in found(what)]
        into = self.pictures.setdefault(name, [])
        first = len(into)
        for pixels in prepared:
            into.append(Picture(next(self._numbers), pixels, part or _lacking_most(into)))
        return into[first:]

    def add_shipped(self, domain: str, names: Sequence[str], train: int, checks: int) -> None:
        """Add classes of a data set that comes with pip, ``train`` pictures and twice ``checks`` others of each.

        Each picture stays in the part that its data set gives it: crops of one part may overlap.

        Raises
        ------
        DataError
            An unknown name, or more pictures than there are.
        """
        source = load(domain, self.preparation.image_size)
        if unknown := sorted(set(names) - set(source.classes)):
            raise DataError(
                f"{domain} has no class {', '.join(unknown)}: choose among {', '.join(source.classes)}"
            )
        for name in names:
            for part, wanted in zip(SHARES, (train, checks, checks), strict=True):
                ids = getattr(source, part)
                ids = ids[source.labels[ids] == source.classes.index(name)]
                if wanted > len(ids):
                    raise DataError(
                        f"{domain} has {len(ids)} {part} pictures of {name}, not {wanted}: ask for fewer"
                    )
                pixels = source.images[choose(ids, source.labels, wanted, default_seed())]
                self.add(name, pixels.expand(-1, 3, -1, -1), part)

    def _prepared(self, name: str, picture: Path | Image.Image) -> Tensor:
        try:
            return self.preparation(picture)
        except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
            raise DataError(f"Not added: {fault(name, error)}") from error

    def find(self, number: int) -> Picture:
        """The picture of that number; KeyError where it was removed."""
        for pictures in self.pictures.values():
            for picture in pictures:
                if picture.number == number:
                    return picture
        raise KeyError(number)

    def remove(self, number: int) -> None:
        """Take a picture out again."""
        picture = self.find(number)
        for pictures in self.pictures.values():
            if picture in pictures:
                pictures.remove(picture)

    def rename(self, old: str, new: str) -> None:
        """Give a class another name; it keeps its place. Raises DataError for a name that is empty or taken."""
        new = new.strip()
        if not new or (new != old and new in self.pictures):
            raise DataError(f"A class cannot be called {new!r}: choose a name that no other class has")
        self.pictures = {new if name == old else name: kept for name, kept in self.pictures.items()}

    @property
    def lacks(self) -> str:
        """What is missing before a network can be trained, in one sentence; empty where nothing is."""
        if len(self.pictures) < 2:
            return "Two classes are needed to tell anything apart: add one."
        missing = {
            name: sum(all(picture.part != part for picture in pictures) for part in SHARES)
            for name, pictures in self.pictures.items()
        }
        asked = [f"{name} {number} more" for name, number in missing.items() if number]
        if not asked:
            return ""
        return f"Each class needs a picture to train on, one to check with, one for the end. Add: {', '.join(asked)}."

    def domain(self) -> Domain:
        """The pictures as a data set with the three parts; its rows are in the order of `numbers`.

        Raises
        ------
        DataError
            Too few pictures; the message is that of `lacks`.
        """
        if self.lacks:
            raise DataError(self.lacks)
        rows = [
            (label, picture) for label, pictures in enumerate(self.pictures.values()) for picture in pictures
        ]
        parts = {
            part: torch.tensor([row for row, (_, picture) in enumerate(rows) if picture.part == part])
            for part in SHARES
        }
        images = torch.stack([picture.pixels for _, picture in rows])
        labels = torch.tensor([label for label, _ in rows])
        return Domain("your pictures", images, labels, tuple(self.pictures), **parts, source=SOURCE)

    @property
    def numbers(self) -> list[int]:
        """Numbers of all pictures, class by class."""
        return [picture.number for pictures in self.pictures.values() for picture in pictures]


def _lacking_most(pictures: Sequence[Picture]) -> str:
    """The part that holds least of its share; among equals the first."""
    return min(SHARES, key=lambda part: sum(picture.part == part for picture in pictures) / SHARES[part])
