"""One small type for every data set: pictures as bytes, labels, names, and three disjoint splits."""

import hashlib
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from labutils.data.decoding import Preparation, Scale
from labutils.data.splits import DataError, check_splits, choose
from labutils.data.streaming import StreamedPictures
from labutils.runtime.checks import is_whole
from labutils.runtime.seeds import default_seed
from labutils.runtime.words import listed

FEW_TESTS = 30  # below, a 95 % interval (Wilson) of the accuracy is wider than 30 points at 70 %


@dataclass(frozen=True, eq=False)
class Domain:
    """A labelled set of pictures, split into training, validation and test.

    The pictures are raw bytes: each backbone applies its own mean and standard deviation.

    Parameters
    ----------
    name : str
        What the set is called in tables and plots.
    images : Tensor of uint8, or StreamedPictures, shape (N, C, S, S)
        Square pictures; C is 1 (grey) or 3 (red, green, blue). More than fit into memory are read from their files
        as needed.
    labels : Tensor of int64, shape (N,)
        Class of each picture, from 0 to ``len(classes) - 1``.
    classes : tuple of str
        At least two class names.
    train, validation, test : Tensor of int64
        Sample ids, that is row numbers of ``images``; no id stands twice.
    source : str
        Citation and licence, in one line.
    notes : tuple of str, optional
        What whoever opened it must know: what was left out, copies, where the parts come from.
    fit, scale : optional
        How its pictures were made square, see `Preparation`.
    files : tuple of str, optional
        Names of the picture files below their folder, with forward slashes; None where there are none.

    Training and validation may both be empty: then it is a test set, of any number of classes.

    Raises
    ------
    DataError
        (a ``ValueError``) When any of this does not hold; labels out of range are named with their sample.

    Examples
    --------
    >>> images = torch.zeros(6, 1, 32, 32, dtype=torch.uint8)
    >>> labels, ids = torch.tensor([0, 1] * 3), torch.arange(6)
    >>> Domain("tiny", images, labels, ("cat", "dog"), ids[:2], ids[2:4], ids[4:], "made up")
    Domain('tiny': 6 grey pictures of 32 px, 2 classes, 2 train / 2 validation / 2 test)
    """

    name: str
    images: Tensor | StreamedPictures
    labels: Tensor
    classes: tuple[str, ...]
    train: Tensor
    validation: Tensor
    test: Tensor
    source: str
    notes: tuple[str, ...] = ()
    fit: str = "crop"
    scale: Scale | None = None
    files: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        shape = tuple(self.images.shape)
        if (
            self.images.dtype != torch.uint8
            or len(shape) != 4
            or shape[1] not in (1, 3)
            or shape[2] != shape[3]
        ):
            raise DataError(
                f"{self.name}: images must be uint8 of shape (N, 1 or 3, S, S), not {self.images.dtype} of "
                f"shape {shape}. Scale to 0–255, convert with .to(torch.uint8) and put the channels second"
            )
        for name in ("labels", "train", "validation", "test"):
            if not isinstance(given := getattr(self, name), Tensor):
                raise DataError(
                    f"{self.name}: {name} must be a tensor, not a {type(given).__name__}: use torch.tensor({name})"
                )
        if self.labels.dtype != torch.int64 or tuple(self.labels.shape) != shape[:1]:
            raise DataError(
                f"{self.name}: labels must be int64 of shape ({shape[0]},), one for each picture, "
                f"not {self.labels.dtype} of shape {tuple(self.labels.shape)}"
            )
        if self.files is not None and len(self.files) != shape[0]:
            raise DataError(
                f"{self.name}: {len(self.files)} names of files for {shape[0]} pictures: give one each"
            )
        if len(self.classes) < (1 if self.only_test else 2):
            raise DataError(f"{self.name}: at least two classes are needed, here is {list(self.classes)}")
        outside = ((self.labels < 0) | (self.labels >= len(self.classes))).nonzero()
        if len(outside):
            sample = int(outside[0])
            raise DataError(
                f"{self.name}: label {int(self.labels[sample])} of sample {sample} is out of range: "
                f"with {len(self.classes)} classes labels go from 0 to {len(self.classes) - 1}"
            )
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        check_splits(
            self.name, splits, len(self.labels), may_be_empty=("train", "validation") * self.only_test
        )

    def __repr__(self) -> str:
        streamed = " streamed from files" if isinstance(self.images, StreamedPictures) else ""
        return (
            f"Domain({self.name!r}: {len(self.labels)} {'grey' if self.channels == 1 else 'colour'} pictures of "
            f"{self.image_size} px{streamed}, {len(self.classes)} classes, {len(self.train)} train / "
            f"{len(self.validation)} validation / {len(self.test)} test)"
        )

    def describe(self) -> str:
        """What a reader should know: how many pictures of each class are in each part, how far they tell anything, notes."""
        lines = [
            f"{self!r}",
            f"Pictures per class (training / validation / test): {self._listed_classes()}",
            self._share_of_the_largest(),
        ]
        if len(self.test) < FEW_TESTS:
            lines.append(
                f"{len(self.test)} test pictures are too few to tell good from bad: one more or less right is "
                f"{100 / len(self.test):.1f} points of accuracy"
            )
        lines += [*self.notes, f"Source: {self.source}"]
        # As wide as JupyterLab shows without breaking a word
        return "\n".join(textwrap.fill(line, 100, break_on_hyphens=False) for line in lines)

    def counts(self) -> Tensor:
        """Pictures of each class in training, validation and test: int64 of shape (classes, 3)."""
        parts = (self.train, self.validation, self.test)
        return torch.stack([self.labels[ids].bincount(minlength=len(self.classes)) for ids in parts], 1)

    def _listed_classes(self) -> str:
        classes = [
            f"{name} {sum(row)} ({' / '.join(map(str, row))})"
            for name, row in zip(self.classes, self.counts().tolist(), strict=True)
        ]
        return listed(classes, 12)

    def _share_of_the_largest(self) -> str:
        tested = self.counts()[:, 2]
        largest, share = self.classes[int(tested.argmax())], float(tested.max() / tested.sum())
        return f"Largest class in the test split: {largest}, {share:.1%}, which is what always predicting it would score"

    @property
    def only_test(self) -> bool:
        """Whether all of it is a test, with nothing to train on."""
        return not len(self.train) and not len(self.validation)

    @property
    def preparation(self) -> Preparation:
        """How later pictures must be made square to be like these."""
        return Preparation(self.image_size, self.fit, self.scale)

    def match(self, classes: Sequence[str]) -> "Domain":
        """The same pictures, with their labels numbered as in ``classes``, such as those of a trained network.

        Parameters
        ----------
        classes : sequence of str
            In any order, and more than those of the domain if need be.

        Raises
        ------
        DataError
            Pictures here have a class that is not among them; the message names it.

        Examples
        --------
        >>> images, ids = torch.zeros(6, 1, 32, 32, dtype=torch.uint8), torch.arange(6)
        >>> pets = Domain("pets", images, ids % 2, ("cat", "dog"), ids[:2], ids[2:4], ids[4:], "made up")
        >>> pets.match(("dog", "cow", "cat")).labels.tolist()
        [2, 0, 2, 0, 2, 0]
        """
        classes = tuple(classes)
        if classes == self.classes:
            return self
        if len(set(classes)) < len(classes):
            raise DataError(
                f"Class names must differ, but {_first_twice(classes)!r} appears twice in {list(classes)}"
            )
        there = self.labels.unique().tolist()
        unknown = [self.classes[label] for label in there if self.classes[label] not in classes]
        if unknown:
            raise DataError(
                f"{self.name} has pictures of {', '.join(map(repr, unknown[:10]))}, which {'is' if len(unknown) == 1 else 'are'} "
                f"not among the known classes {', '.join(map(repr, classes[:20]))}: rename or remove these, or train on them"
            )
        number = torch.tensor([classes.index(name) if name in classes else -1 for name in self.classes])
        return replace(self, labels=number[self.labels], classes=classes)

    @property
    def image_size(self) -> int:
        """Side of the square pictures in pixels."""
        return self.images.shape[-1]

    @property
    def channels(self) -> int:
        """1 for grey, 3 for colour."""
        return self.images.shape[1]

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits that change with any picture (or its file) or label: a key for caches."""
        digest = hashlib.sha256(str(tuple(self.images.shape)).encode())
        if isinstance(self.images, StreamedPictures):
            digest.update(self.images.stamp.encode())
        else:
            digest.update(self.images.contiguous().numpy())
        digest.update(self.labels.contiguous().numpy())
        return digest.hexdigest()[:16]

    def labelled(self, n: int, seed: int | None = None) -> "Domain":
        """Pretend that only ``n`` of the training pictures had been labelled.

        Parameters
        ----------
        n : int
            How many training pictures to keep: at least one per class, at most all of them.
        seed : int, default 0, or the variable LAB_SEED
            Which ones. With the same seed a smaller choice is part of a larger one, so a curve over ``n``
            shows the worth of *more* labels rather than the luck of *other* labels.

        Returns
        -------
        Domain
            With the same pictures, validation and test; the class proportions of ``train`` are kept.

        Raises
        ------
        DataError
            When ``n`` is out of range.

        Examples
        --------
        >>> import labutils as lab
        >>> lab.load("digits").labelled(50, seed=0)  # doctest: +SKIP
        Domain('digits': 5000 grey pictures of 128 px, 10 classes, 50 train / 750 validation / 1250 test)
        """
        least, most = len(self.labels[self.train].unique()), len(self.train)
        if not (is_whole(n) and least <= n <= most):
            raise DataError(
                f"{self.name}: n={n!r} labelled pictures cannot be chosen: n must be a whole number from {least} "
                f"(one per class) to {most} (the whole training split)"
            )
        return replace(
            self, train=choose(self.train, self.labels, n, default_seed() if seed is None else seed)
        )


def _first_twice(items: Sequence[str]) -> str:
    return next(item for place, item in enumerate(items) if item in items[:place])
