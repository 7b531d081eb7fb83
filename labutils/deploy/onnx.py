"""A classifier as an ONNX graph that takes pictures of any size: scaling and cropping are part of it."""

import json
import logging
import warnings
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from labutils.data.decoding import GREY
from labutils.deploy.classifier import Classifier
from labutils.deploy.pictures import to_grey
from labutils.networks.groups import inference
from labutils.runtime.files import atomic_write

FIXED_POINT = 2**22  # Pillow scales with whole numbers: weights in units of 1 / FIXED_POINT (Resample.c)


class Graph(nn.Module):
    """Decoded pictures, uint8 of shape (N, H, W, 3), to probabilities (N, classes) and unfamiliar (N,)."""

    def __init__(self, classifier: Classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        preparation = self.classifier.preparation
        pixels = scaled(images, preparation.image_size, preparation.fit)
        return self.classifier(to_grey(pixels) if preparation.channels == 1 else pixels)


def scaled(images: Tensor, size: int, fit: str = "crop") -> Tensor:
    """What `labutils.data.decoding.square` does with Pillow, to the last bit, as operations that a graph can hold.

    Parameters
    ----------
    images : Tensor of uint8, shape (N, H, W, C)
    size : int
        Side of the result.
    fit : {"crop", "pad", "squash"}

    Returns
    -------
    Tensor of uint8, shape (N, C, size, size)
    """
    sides = [torch.scalar_tensor(side, dtype=torch.float64) for side in images.shape[1:3]]
    used = torch.minimum(*sides) if fit == "crop" else None  # of each side; all of it by default
    longer = torch.maximum(*sides) if fit == "pad" else None
    weights, filled = [], []
    for side, length in zip(sides, images.shape[1:3], strict=True):
        count = torch.tensor(size, dtype=torch.float64)
        if longer is not None:
            count = torch.round(side / longer * size).clamp(min=1)
        extent = side if used is None else used
        along = _weights(length, (side - extent) / 2, extent, count, size)
        weights.append(along)
        filled.append(along.sum(1) > 0)
    down, across = weights
    pixels = images.permute(0, 3, 1, 2).double()  # whole numbers up to 2**53 are exact
    pixels = torch.floor(pixels @ across.T / FIXED_POINT + 0.5)
    pixels = torch.floor(down @ pixels / FIXED_POINT + 0.5).clamp(0, 255)
    return torch.where(filled[0][:, None] & filled[1], pixels, float(GREY[0])).byte()


def _weights(length: int, start: Tensor, extent: Tensor, count: Tensor, size: int) -> Tensor:
    """How much each of ``length`` pixels adds to each of ``size``, of which the middle ``count`` are filled.

    A triangle as wide as two new pixels, or as two old ones if these are larger.
    """
    scale = extent / count
    new = torch.arange(size, dtype=torch.float64) - torch.floor((size - count) / 2)
    middle = start + (new + 0.5) * scale
    place = torch.arange(length, dtype=torch.float64) + 0.5
    weights = (1 - (place - middle[:, None]).abs() / scale.clamp(min=1)).clamp(min=0)
    inside = ((new >= 0) & (new < count))[:, None]
    shares = weights / weights.sum(1, keepdim=True).clamp(min=1e-9)
    return torch.where(inside, torch.floor(shares * FIXED_POINT + 0.5), 0.0)


def to_onnx(classifier: Classifier, path: str | Path) -> Path:
    """Write the classifier as an ONNX graph, which runs without PyTorch and without Python.

    Parameters
    ----------
    path : path
        A single file, weights included.

    Returns
    -------
    Path
        The graph takes ``images``, uint8 of shape (N, H, W, 3): decoded red, green and blue, upright, of any size. It
        gives ``probabilities``, float32 of shape (N, classes), and ``unfamiliar``, true or false of shape (N,). Its
        metadata name the classes and say how pictures are decoded; ``docs/onnx_example.py`` does it.
    """
    device = next(classifier.parameters()).device
    classifier.cpu()
    sizes = {axis: torch.export.Dim(name) for axis, name in enumerate(("pictures", "height", "width"))}
    with inference(classifier), _quiet():
        graph = torch.onnx.export(
            Graph(classifier),
            (torch.zeros(2, 70, 90, 3, dtype=torch.uint8),),
            input_names=["images"],
            output_names=["probabilities", "unfamiliar"],
            dynamic_shapes=(sizes,),
            dynamo=True,
            verbose=False,
        )
    classifier.to(device)
    metadata = {
        "classes": json.dumps(classifier.classes),
        "preparation": json.dumps(asdict(classifier.preparation)),
        "decoding": "JPEG may be decoded at 1/2, 1/4 or 1/8 while both sides stay twice image_size (as Pillow's draft); "
        "turned upright by EXIF; deep pictures (modes I and F) scaled so that preparation's scale, or else 0 and the "
        "largest number of 1, 8, 10, 12, 14, 16, 20, 24 or 32 bits that holds them, become 0 and 255; colour of 16 bits "
        "likewise, which Pillow cannot read; transparent becomes white; converted to RGB",
    }
    graph.model.metadata_props.update(metadata)
    with atomic_write(path) as temporary:
        graph.save(temporary, external_data=False)
    return Path(path)


def run_onnx(path: str | Path, images: Tensor, batch_size: int = 32) -> Tensor:
    """Probabilities that onnxruntime computes for pictures of a domain, uint8 (N, 1 or 3, S, S), on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    colour = images.expand(-1, 3, -1, -1).permute(0, 2, 3, 1)
    parts = [session.run(["probabilities"], {"images": part.numpy()})[0] for part in colour.split(batch_size)]
    return torch.cat([torch.from_numpy(part) for part in parts])


@contextmanager
def _quiet():
    """The exporter reports its steps, and warns of what concerns its own authors."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(level)
