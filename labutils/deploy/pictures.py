"""Whatever shows pictures (paths, folders, PIL pictures, arrays, tensors), prepared as the training pictures were."""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from labutils.data import DataError, decoding
from labutils.data.layouts.tree import scan

NO_LISTS = (str, bytes, bytearray, memoryview, dict)  # nor a table, whose parts are its headings
CHANNELS = (1, 3, 4)  # grey, colour, colour with transparency
GREY = (19595, 38470, 7471)  # of 65536: red, green and blue in a grey value, as in Pillow (ITU-R 601-2)


@dataclass(frozen=True)
class Preparation(decoding.Preparation):
    """How a picture becomes what the network was trained on.

    Parameters
    ----------
    image_size, fit, scale
        As in `labutils.data.decoding.Preparation`.
    channels : {1, 3}
        1 when it was trained on grey pictures: colour is then turned to grey.
    """

    channels: int = 3

    def __call__(self, picture: Path | Image.Image) -> Tensor:
        """Bytes of shape (channels, S, S); Pillow's errors on damaged files pass through."""
        if isinstance(picture, Path):
            return decoding.read_picture(picture, self)
        pixels = super().__call__(picture)
        return to_grey(pixels) if self.channels == 1 else pixels


def to_grey(pixels: Tensor) -> Tensor:
    """Grey of colour bytes, shape (…, 3, S, S) to (…, 1, S, S), rounded as Pillow does."""
    shares = torch.tensor(GREY, dtype=torch.int32, device=pixels.device).view(3, 1, 1)
    return ((pixels.int() * shares).sum(-3, keepdim=True) + 32768).div(65536, rounding_mode="floor").byte()


def found(what: Any) -> list[tuple[str, Path | Image.Image]]:
    """Names and pictures, in order, of everything in ``what``.

    Raises
    ------
    FileNotFoundError
        A path where there is nothing.
    ValueError, TypeError
        A folder without pictures, or what is no picture; the message says what to do.
    """
    pictures = []
    _collect(what, pictures)
    if not pictures:
        raise ValueError("There is nothing to answer: the list of pictures is empty")
    return pictures


def _collect(what: Any, into: list[tuple[str, Path | Image.Image]]) -> None:
    if isinstance(what, str | os.PathLike) and str(what):
        into += [(str(path), path) for path in _files(Path(what).expanduser())]
    elif isinstance(what, Image.Image):
        # An iterator over frames gives one object again and again.
        picture = what.copy() if getattr(what, "is_animated", False) else what
        into.append((getattr(what, "filename", "") or f"picture {len(into) + 1}", picture))
    elif isinstance(what, np.ndarray | Tensor) and getattr(what.dtype, "kind", "") not in tuple("OSU"):
        for picture in from_numbers(what):
            into.append((f"picture {len(into) + 1}", picture))
    elif isinstance(what, Iterable) and not isinstance(what, NO_LISTS) and not hasattr(what, "columns"):
        for one in what:
            _collect(one, into)
    else:
        raise TypeError(
            f"A {type(what).__name__} {'that is empty ' * isinstance(what, str)}is not a picture: give a path, a folder, a PIL "
            "picture, a numpy array or a tensor, "
            "or a list of them (bytes of a file: PIL.Image.open(io.BytesIO(bytes)))"
        )


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        online = re.match("https?:/", str(path))
        remedy = "download the picture first" if online else "check the spelling"
        raise FileNotFoundError(f"There is no file or folder {path}: {remedy}")
    files = [path / place for place in sorted(scan(path).files())]
    if not files:
        raise ValueError(f"{path} holds no pictures: no file there has an ending that Pillow opens")
    return files


def from_numbers(numbers: np.ndarray | Tensor) -> list[Image.Image]:
    """PIL pictures of an array: one or many, grey, RGB or RGBA, channels first or last.

    Parameters
    ----------
    numbers : array or Tensor
        Shape (H, W), (H, W, C), (C, H, W), (N, H, W, C) or (N, C, H, W), C one of 1, 3, 4. Bytes, 16-bit whole numbers
        (grey only), true and false, or floats from 0 to 1. Where the shape allows both readings an array has its
        channels last, a tensor first.

    Raises
    ------
    DataError
        (a ``ValueError``) Another shape or kind of numbers, values out of range, NaN.
    """
    channels_first = isinstance(numbers, Tensor)
    array = numbers.detach().cpu() if channels_first else numbers
    array = (
        array.float() if channels_first and array.dtype == torch.bfloat16 else array
    )  # numpy does not know it
    array = _to_bytes(np.asarray(array))
    if array.ndim == 2:
        array = array[..., None]
    places = [place for place in (-1, -3) if array.ndim in (3, 4) and array.shape[place] in CHANNELS]
    if not places or not array.size:
        raise DataError(
            f"Numbers of shape {array.shape} are no pictures: give height × width × channels or channels × height × "
            "width, with 1, 3 or 4 channels, or many of them (many grey ones: count × height × width × 1)"
        )
    if places[-1 if channels_first else 0] == -3:
        array = np.moveaxis(array, -3, -1)
    pictures = array if array.ndim == 4 else array[None]
    if array.dtype == np.uint16 and array.shape[-1] != 1:
        raise DataError("16-bit numbers are understood of grey pictures only: divide colour by 65535")
    return [
        Image.fromarray(np.ascontiguousarray(one.squeeze(2) if one.shape[2] == 1 else one))
        for one in pictures
    ]


def _to_bytes(array: np.ndarray) -> np.ndarray:
    if array.dtype in (np.uint8, np.uint16):
        return array
    if array.dtype == bool:
        return array.astype(np.uint8) * 255
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(
            f"Numbers of type {array.dtype} have no known range: convert them with .astype('uint8') or to floats from 0 to 1"
        )
    if not np.isfinite(array).all():
        raise DataError("The picture has values that are NaN or infinite: replace them before asking")
    if array.size and array.min() < 0:
        raise DataError(
            f"Floats must lie between 0 and 1, here the least is {array.min():.3g}: give the picture as it was before "
            "its mean was taken away; the classifier normalises by itself"
        )
    if array.size and array.max() > 1:
        raise DataError(
            f"Floats must lie between 0 and 1, here the largest is {array.max():.3g}: divide by 255, or convert to uint8"
        )
    return np.rint(array.astype(np.float64) * 255).astype(np.uint8)
