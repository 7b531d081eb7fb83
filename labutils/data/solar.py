"""Electroluminescence pictures of solar cells, functional or defective: grey, far from photographs."""

from importlib.resources import files
from importlib.resources.abc import Traversable

import torch
from PIL import Image

from labutils.data.decode_cache import Decoded
from labutils.data.decoding import room_for, square
from labutils.runtime.progress import progress_bar

PACKAGE = "elpv-dataset"
SOURCE = (
    "Deitsch et al. 2019, arXiv:1807.02894, and Buerhop-Lutz et al. 2018, doi "
    "10.4229/35thEUPVSEC20182018-5CV.3.15: ELPV data set, CC BY-NC-SA 4.0 (not for commercial use)"
)


def read_rows() -> list[list[str]]:
    """File name, defect probability and "mono" or "poly" of each cell, as text, in the order of all its pictures."""
    return [line.split() for line in (_folder() / "labels.csv").read_text().splitlines()]


def _folder() -> Traversable:
    return files("elpv_dataset") / "data"


def decode(image_size: int) -> Decoded:
    """Scale all 2,624 cells; a cell counts as defective when its defect probability is above one half.

    Cells of one module may stand in training and in test: the set does not say which belong together.
    The package's own ``load_dataset`` would hold every picture in full size, twice, at its peak.
    """
    folder, rows = _folder(), read_rows()
    images = room_for(len(rows), 1, image_size)
    for index, (name, _, _) in enumerate(progress_bar(rows, "Decoding solar")):
        with (folder / name).open("rb") as file, Image.open(file) as picture:
            images[index] = square(picture.convert("L"), image_size)
    labels = torch.tensor([float(probability) > 0.5 for _, probability, _ in rows]).long()
    kinds = torch.tensor([kind == "mono" for _, _, kind in rows]).long()
    return Decoded(images, labels, ("functional", "defective"), {"strata": kinds})
