"""Public sets for whoever is online, through torchvision: flowers, pets and satellite pictures."""

from pathlib import Path
from typing import Any, NamedTuple

import torch

from labutils.data.decode_cache import Decoded
from labutils.data.decoding import room_for, square, to_rgb
from labutils.data.splits import DataError
from labutils.runtime.files import data_folder
from labutils.runtime.progress import progress_bar

PACKAGE = "torchvision"


class PublicSet(NamedTuple):
    """A class of ``torchvision.datasets``, the folder that it reads, its official splits, and its source."""

    torchvision_class: str
    folder: str
    splits: tuple[str, ...]
    source: str


SETS = {
    "flowers102": PublicSet(
        "Flowers102",
        "flowers-102",
        ("train", "val", "test"),
        "Nilsback and Zisserman 2008, doi 10.1109/ICVGIP.2008.47: 102 Category Flowers; no licence stated, "
        "for research",
    ),
    "pets": PublicSet(
        "OxfordIIITPet",
        "oxford-iiit-pet",
        ("trainval", "test"),
        "Parkhi et al. 2012, doi 10.1109/CVPR.2012.6248092: Oxford-IIIT Pet, CC BY-SA 4.0",
    ),
    "eurosat": PublicSet(
        "EuroSAT", "eurosat", (), "Helber et al. 2019, arXiv:1709.00029: EuroSAT, Sentinel-2 satellites, MIT"
    ),
}
_PART = {"train": 0, "trainval": 0, "val": 1, "test": 2}


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
                labels.append(int(label))
                parts.append(_PART[split])
                progress.update()
    extras = {"part": torch.tensor(parts)} if SETS[name].splits else {}
    return Decoded(images, torch.tensor(labels), tuple(datasets[split].classes), extras)


def _place(name: str) -> Path:
    return data_folder() / "public" / SETS[name].folder


def _datasets(name: str) -> dict[str, Any]:
    """Open the set from disk; download it only when it is not there."""
    import torchvision

    dataset_class = getattr(torchvision.datasets, SETS[name].torchvision_class)
    place = _place(name)

    def opened(**how: Any) -> dict[str, Any]:
        if not SETS[name].splits:
            return {"train": dataset_class(place.parent, **how)}
        return {split: dataset_class(place.parent, split=split, **how) for split in SETS[name].splits}

    try:
        return opened(download=False)
    except (RuntimeError, OSError):
        print(f"{name} is not in {place}: downloading it now", flush=True)
    try:
        return opened(download=True)
    except (
        Exception
    ) as error:  # sockets, archives and checksums fail in many ways, and the remedy is the same
        raise DataError(
            f"{name} could not be downloaded ({error}). Connect to the network and try again, or copy the files "
            f"that torchvision.datasets.{SETS[name].torchvision_class} reads to {place}. "
            "The domains textures, solar and digits need no network"
        ) from error
