"""One's own pictures: a folder with one sub-folder per class."""

import hashlib
import os
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from labutils.data.decode_cache import FORMAT, Decoded, decode_once, divide
from labutils.data.decoding import check_image_size, fault, fits_in_memory, read_picture, room_for
from labutils.data.domain import Domain
from labutils.data.splits import DataError
from labutils.data.streaming import StreamedPictures
from labutils.runtime.files import data_folder, read_json, write_json
from labutils.runtime.progress import check_stop, progress_bar

ENDINGS = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp"}
FEWEST = 3  # one each for training, validation and test
ALREADY_SPLIT = {"train", "training", "val", "valid", "validation", "test"}
LAYOUT = """Expected is one folder per class, with at least two classes:
    {name}/cats/first.jpg
    {name}/cats/second.png
    {name}/dogs/third.jpg"""


def folder(path: str | Path, image_size: int = 128, seed: int = 0, skip_unreadable: bool = False) -> Domain:
    """Use your own pictures: one sub-folder per class, named like the class.

    Pictures of any mode become colour: upright, transparency on white, 16 bits scaled to 8. The shorter side
    is scaled to ``image_size`` and the centre kept. Endings: jpg, jpeg, png, bmp, gif (first frame), tif,
    tiff, webp. Pictures deeper inside a class folder count; hidden files do not. The pixels are kept decoded
    under the lab's data folder until a file's name, size or time changes. More than 2 GB of them are not: then
    pictures are read from their files as needed, ahead of time by worker processes, with the same results.

    Parameters
    ----------
    path : str or Path
        The folder that holds the class folders.
    image_size : int, default=128
        Side of the square pictures in pixels, from 32 to 512.
    seed : int, default=0
        Which pictures go to training (60 %), validation (15 %) and test (25 %), class by class.
    skip_unreadable : bool, default=False
        Leave damaged pictures out, with a warning that names them, instead of stopping. Beyond 2 GB all are read
        once to find them; without it the first damaged one stops whatever was reading.

    Returns
    -------
    Domain
        With three channels and the class names in alphabetical order.

    Raises
    ------
    FileNotFoundError
        When ``path`` does not exist.
    DataError
        (a ``ValueError``) For a wrong layout, a single class, a class with fewer than three pictures,
        or unreadable pictures.

    Examples
    --------
    >>> from labutils import domains
    >>> domains.folder("holiday", image_size=96)  # doctest: +SKIP
    Domain('holiday': 240 colour pictures of 96 px, 3 classes, 144 train / 36 validation / 60 test)
    """
    check_image_size(image_size)
    path = Path(path).expanduser().resolve()
    files = _find(path)
    stamps = hashlib.sha256()
    for name in chain(*files.values()):
        facts = os.stat(os.path.join(path, name))
        name = name.replace(os.sep, "/")
        stamps.update(f"{name} {facts.st_size} {facts.st_mtime_ns}\n".encode(errors="surrogateescape"))
    place = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    settings = {
        "classes": list(files),
        "files": stamps.hexdigest(),
        "image_size": image_size,
    }
    kept = data_folder() / "domains" / f"folder-{place}-{image_size}.safetensors"
    if fits_in_memory(sum(map(len, files.values())), 3, image_size):
        decoded = decode_once(kept, settings, lambda: _decode(path, files, image_size, skip_unreadable))
    else:
        stamp = f"{FORMAT} {stamps.hexdigest()}"
        decoded = _stream(
            path, files, image_size, stamp, kept.with_suffix(".json") if skip_unreadable else None
        )
    return divide(path.name, decoded, seed, f"own pictures in {path}")


def _find(path: Path) -> dict[str, list[str]]:
    """Picture files of each class, relative to ``path``, or an error that shows the layout to have."""
    layout = LAYOUT.format(name=path.name)
    if not path.exists():
        raise FileNotFoundError(f"There is no folder {path}: check the spelling. {layout}")
    if not path.is_dir():
        raise DataError(f"{path} is a file, not a folder. {layout}")
    names = sorted(
        entry.name for entry in path.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if not names:
        raise DataError(f"{path} has no class folders. {layout}")
    if ALREADY_SPLIT.issuperset(name.lower() for name in names):
        raise DataError(
            f"{path} is already split into {', '.join(names)}, and these would be taken for classes. Give "
            f"{path / names[0]} or merge them by class: the lab makes its own splits"
        )
    files = {name: _pictures(path, name) for name in names}
    if len(names) == 1:
        raise DataError(f"{path} has a single class, {names[0]!r}: there is nothing to tell apart. {layout}")
    few = [f"{name!r} has {len(found)}" for name, found in files.items() if len(found) < FEWEST]
    if few:
        raise DataError(
            f"Every class needs at least {FEWEST} pictures, one each for training, validation and test, but in "
            f"{path} {_up_to_ten(few)}. Add pictures or remove the folder. Endings that count: "
            f"{', '.join(sorted(ENDINGS))}"
        )
    return files


def _pictures(path: Path, class_name: str) -> list[str]:
    found = []
    for place, folders, names in os.walk(
        path / class_name
    ):  # texts: a million Path objects take half a gigabyte
        folders[:] = [name for name in folders if not name.startswith(".")]
        inside = os.path.relpath(place, path)
        found += [
            os.path.join(inside, name)
            for name in names
            if not name.startswith(".")
            and os.path.splitext(name)[1].lower() in ENDINGS
            and os.path.isfile(os.path.join(place, name))
        ]
    return sorted(found, key=lambda name: name.replace(os.sep, "\0"))  # folder by folder, as Path sorts


def _labels(files: dict[str, list[str]]) -> Tensor:
    return torch.arange(len(files)).repeat_interleave(torch.tensor([len(names) for names in files.values()]))


def _decode(path: Path, files: dict[str, list[str]], image_size: int, skip_unreadable: bool) -> Decoded:
    images, labels = room_for(sum(map(len, files.values())), 3, image_size), _labels(files)
    faults = _read_all(path, files, image_size, images)
    if not faults:
        return Decoded(images, labels, tuple(files))
    listed = _listed(path, faults, len(labels))
    if not skip_unreadable:
        raise DataError(f"{listed}. Mend or remove them, or leave them out with skip_unreadable=True")
    warnings.warn(f"{listed}. They are left out", stacklevel=5)
    readable = [index for index in range(len(labels)) if index not in faults]
    return Decoded(images[readable], labels[readable], tuple(files), complete=False)


def _stream(
    path: Path, files: dict[str, list[str]], image_size: int, stamp: str, checked: Path | None
) -> Decoded:
    """Pictures that stay in their files; with a path for what is ``checked``, damaged ones are looked for and left out."""
    names, labels = list(chain(*files.values())), _labels(files)
    if checked is not None:
        known = read_json(checked) or {}
        if known.get("stamp") != stamp:
            known = {"stamp": stamp, "faults": _read_all(path, files, image_size)}
            write_json(checked, known)
        if faults := {int(index): told for index, told in known["faults"].items()}:
            warnings.warn(f"{_listed(path, faults, len(names))}. They are left out", stacklevel=3)
            readable = [index for index in range(len(names)) if index not in faults]
            names, labels = [names[index] for index in readable], labels[readable]
    return Decoded(StreamedPictures(path, names, image_size, stamp), labels, tuple(files))


def _read_all(
    path: Path, files: dict[str, list[str]], image_size: int, into: Tensor | None = None
) -> dict[int, str]:
    """Decode every picture, into its row of a tensor if one is given. Returns what is wrong, by row."""
    names, faults = list(chain(*files.values())), {}

    def read(index: int) -> None:
        try:
            picture = read_picture(path / names[index], image_size)
            if into is not None:
                into[index] = picture
        except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
            faults[index] = fault(names[index], error)

    # Few threads: each may hold a large picture in full size. Some at a time: the pool lists all it is given.
    with ThreadPoolExecutor(4) as pool, progress_bar(total=len(names), desc=f"Decoding {path.name}") as bar:
        for some in torch.arange(len(names)).split(1000):
            for _ in pool.map(read, some.tolist()):
                bar.update()
                check_stop()
    return faults


def _listed(path: Path, faults: dict[int, str], count: int) -> str:
    first = _up_to_ten([faults[index] for index in sorted(faults)])
    return f"{len(faults)} of {count} pictures in {path} could not be read: {first}"


def _up_to_ten(items: list[str]) -> str:
    more = f" and {len(items) - 10} more" if len(items) > 10 else ""
    return ", ".join(items[:10]) + more
