"""One's own pictures: a folder with one sub-folder per class."""

import hashlib
import warnings
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from labutils.domains.decoded import Decoded, decode_once, divide
from labutils.domains.domain import Domain
from labutils.domains.pictures import check_image_size, room_for, square, to_rgb
from labutils.domains.splits import DataError
from labutils.files import data_folder
from labutils.progress import progress_bar

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
    under the lab's data folder until a file's name, size or time changes.

    Parameters
    ----------
    path : str or Path
        The folder that holds the class folders.
    image_size : int, default=128
        Side of the square pictures in pixels, from 32 to 512.
    seed : int, default=0
        Which pictures go to training (60 %), validation (15 %) and test (25 %), class by class.
    skip_unreadable : bool, default=False
        Leave damaged pictures out, with a warning that names them, instead of stopping.

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
        unreadable pictures, or more pictures than fit into 2 GB.

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
    for file in chain(*files.values()):
        facts = file.stat()
        stamps.update(f"{file.relative_to(path).as_posix()} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    place = hashlib.sha256(str(path).encode()).hexdigest()[:8]
    settings = {
        "classes": list(files),
        "files": stamps.hexdigest(),
        "image_size": image_size,
    }
    decoded = decode_once(
        data_folder() / "domains" / f"folder-{place}-{image_size}.safetensors",
        settings,
        lambda: _decode(path, files, image_size, skip_unreadable),
    )
    return divide(path.name, decoded, seed, f"own pictures in {path}")


def _find(path: Path) -> dict[str, list[Path]]:
    """Picture files of each class, or an error that shows the layout to have."""
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
    files = {name: _pictures(path / name) for name in names}
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


def _pictures(class_folder: Path) -> list[Path]:
    return sorted(
        file
        for file in class_folder.rglob("*")
        if file.suffix.lower() in ENDINGS
        and not any(part.startswith(".") for part in file.relative_to(class_folder).parts)
        and file.is_file()
    )


def _decode(path: Path, files: dict[str, list[Path]], image_size: int, skip_unreadable: bool) -> Decoded:
    every = list(chain(*files.values()))
    labels = torch.arange(len(files)).repeat_interleave(
        torch.tensor([len(found) for found in files.values()])
    )
    images = room_for(len(every), 3, image_size)
    faults: dict[int, str] = {}

    def read(index: int) -> None:
        try:
            images[index] = _read(every[index], image_size)
        except Exception as error:  # Pillow's decoders raise a dozen kinds on damaged files
            reason = "not a picture" if isinstance(error, UnidentifiedImageError) else error
            faults[index] = f"{every[index].relative_to(path).as_posix()} ({reason})"

    # Few threads: each may hold a large picture in full size.
    with ThreadPoolExecutor(4) as pool:
        done = pool.map(read, range(len(every)))
        for _ in progress_bar(done, f"Decoding {path.name}", len(every)):
            pass
    if not faults:
        return Decoded(images, labels, tuple(files))
    listed = f"{len(faults)} of {len(every)} pictures in {path} could not be read: "
    listed += _up_to_ten([faults[index] for index in sorted(faults)])
    if not skip_unreadable:
        raise DataError(f"{listed}. Mend or remove them, or leave them out with skip_unreadable=True")
    warnings.warn(f"{listed}. They are left out", stacklevel=5)
    readable = torch.tensor([index not in faults for index in range(len(every))])
    return Decoded(images[readable], labels[readable], tuple(files), complete=False)


def _read(file: Path, image_size: int) -> Tensor:
    with Image.open(file) as picture:
        # A large JPEG can be decoded at a half, a quarter or an eighth of its size, which is much faster.
        picture.draft(None, (2 * image_size, 2 * image_size))
        return square(to_rgb(picture), image_size)


def _up_to_ten(items: list[str]) -> str:
    more = f" and {len(items) - 10} more" if len(items) > 10 else ""
    return ", ".join(items[:10]) + more
