"""Domains of the lab written out as people have pictures: JPEG files in a folder for each class."""

from pathlib import Path

import torch
from PIL import Image

from labutils.data import Domain


def write_jpegs(domain: Domain, ids: torch.Tensor, path: Path) -> list[Path]:
    """Write the pictures with these sample ids, each below ``path`` in a folder named after its class."""
    files = []
    for number in ids.tolist():
        file = path / domain.classes[int(domain.labels[number])] / f"{number:05}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        pixels = domain.images[number].permute(1, 2, 0).squeeze(2).numpy()
        Image.fromarray(pixels).save(file, quality=90)
        files.append(file)
    return files
