"""Public sets for whoever is online: flowers, pets and satellite pictures through torchvision, chest X-rays through medmnist."""

from collections.abc import Mapping
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple
from zipfile import BadZipFile

import torch

from labutils.data.decode_cache import Decoded
from labutils.data.decoding import room_for, square, to_rgb
from labutils.data.splits import DataError
from labutils.runtime.files import data_folder
from labutils.runtime.progress import progress_bar


class PublicSet(NamedTuple):
    """A data set class of a library, the folder that it reads, its official splits, its source, and what else it is given."""

    library: str
    class_name: str
    folder: str
    splits: tuple[str, ...]
    source: str
    options: Mapping[str, Any] = {}


SETS = {
    "flowers102": PublicSet(
        "torchvision.datasets",
        "Flowers102",
        "flowers-102",
        ("train", "val", "test"),
        "Nilsback and Zisserman 2008, doi 10.1109/ICVGIP.2008.47: 102 Category Flowers; no licence stated, "
        "for research",
    ),
    "pets": PublicSet(
        "torchvision.datasets",
        "OxfordIIITPet",
        "oxford-iiit-pet",
        ("trainval", "test"),
        "Parkhi et al. 2012, doi 10.1109/CVPR.2012.6248092: Oxford-IIIT Pet, CC BY-SA 4.0",
    ),
    "eurosat": PublicSet(
        "torchvision.datasets",
        "EuroSAT",
        "eurosat",
        (),
        "Helber et al. 2019, arXiv:1709.00029: EuroSAT, Sentinel-2 satellites, MIT",
    ),
    "pneumonia": PublicSet(
        "medmnist",
        "PneumoniaMNIST",
        "pneumoniamnist",
        ("train", "val", "test"),
        "Yang et al. 2023, doi 10.1038/s41597-022-01721-8: MedMNIST v2, PneumoniaMNIST; chest X-rays of Kermany et al. 2018, "
        "CC BY 4.0",
        {"size": 128},
    ),
}
# What the libraries raise for files that are missing, incomplete or cut off.
UNREADABLE = (RuntimeError, OSError, ValueError, EOFError, BadZipFile)
_PART = {"train": 0, "trainval": 0, "val": 1, "test": 2}


def at_hand() -> tuple[str, ...]:
    """Names of the public sets whose files are here and whole, so that opening them needs no network."""
    return tuple(name for name in SETS if _place(name).is_dir() and _is_whole(name))


def package(name: str) -> str:
    """Library that reads a set, and its version. Raises DataError when it is not installed."""
    library = SETS[name].library.partition(".")[0]
    try:
        return f"{library} {version(library)}"
    except PackageNotFoundError as error:
        raise DataError(
            f"{name} is read by {library}, which is not installed: pip install {library}"
        ) from error


def decode(name: str, image_size: int) -> Decoded:
    """Scale all pictures of a public set; its official splits, where it has any, are kept.

    Raises
    ------
    DataError
        When the files are neither there nor to be had, or are damaged.
    """
    datasets = _datasets(name)
    images = room_for(sum(map(len, datasets.values())), 3, image_size)
    labels, parts = [], []
    with progress_bar(total=len(images), desc=f"Decoding {name}") as progress:
        for split, dataset in datasets.items():
            for index in range(len(dataset)):
                try:
                    picture, label = dataset[index]
                except OSError as error:
                    place = _place(name)
                    raise DataError(
                        f"{name} is damaged ({error}): delete {place} and load it again"
                    ) from error
                images[len(labels)] = square(to_rgb(picture), image_size)
                labels.append(int(torch.as_tensor(label)))
                parts.append(_PART[split])
                progress.update()
    extras = {"part": torch.tensor(parts)} if SETS[name].splits else {}
    return Decoded(images, torch.tensor(labels), _classes(datasets[split]), extras)


def _classes(dataset: Any) -> tuple[str, ...]:
    if hasattr(dataset, "classes"):
        return tuple(dataset.classes)
    return tuple(dataset.info["label"].values())  # medmnist


def _place(name: str) -> Path:
    return data_folder() / "public" / SETS[name].folder


def _open(name: str, download: bool) -> dict[str, Any]:
    public, place = SETS[name], _place(name)
    dataset_class = getattr(import_module(public.library), public.class_name)
    # torchvision's classes add their folder to the root themselves, medmnist's wants it to exist.
    root = place.parent if public.library == "torchvision.datasets" else place
    root.mkdir(parents=True, exist_ok=True)
    how = {"root": root, "download": download, **public.options}
    if not public.splits:
        return {"train": dataset_class(**how)}
    return {split: dataset_class(split=split, **how) for split in public.splits}


def _is_whole(name: str) -> bool:
    """A download may have been interrupted: the library itself says whether it can read what is there."""
    try:
        _open(name, download=False)
    except (*UNREADABLE, ImportError):
        return False
    return True


def _datasets(name: str) -> dict[str, Any]:
    """Open the set from disk; download it only when it is not there."""
    public, place = SETS[name], _place(name)
    try:
        return _open(name, download=False)
    except UNREADABLE:
        print(f"{name} is not in {place}, or not whole: downloading it now", flush=True)
    try:
        return _open(name, download=True)
    except (
        Exception
    ) as error:  # sockets, archives and checksums fail in many ways, and the remedy is the same
        raise DataError(
            f"{name} could not be downloaded ({' '.join(str(error).split())}). Connect to the network and try again, or copy "
            f"the files that {public.library}.{public.class_name} reads to {place}. The domains textures, solar and digits "
            "need no network"
        ) from error
