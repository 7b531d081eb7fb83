"""Any picture file's pixels as square bytes, without aliasing, clipping or turning."""

from pathlib import Path

import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from labutils.data.splits import DataError

MOST_BYTES = 2_000_000_000
SMALLEST_SIZE, LARGEST_SIZE = 32, 512


def check_image_size(image_size: int) -> None:
    """Raise ``DataError`` unless ``image_size`` is a whole number from 32 to 512."""
    if not isinstance(image_size, int) or not SMALLEST_SIZE <= image_size <= LARGEST_SIZE:
        raise DataError(
            f"image_size={image_size!r} must be a whole number of pixels from {SMALLEST_SIZE} to {LARGEST_SIZE}; "
            "128 is a good start on a laptop, 224 is what most backbones were trained on"
        )


def fits_in_memory(count: int, channels: int, image_size: int) -> bool:
    """Whether so many pictures take at most 2 GB."""
    return count * channels * image_size**2 <= MOST_BYTES


def room_for(count: int, channels: int, image_size: int) -> Tensor:
    """Empty pictures to fill, shape (count, channels, image_size, image_size), or an error if too many.

    Raises
    ------
    DataError
        When they would take more than 2 GB of memory; the message gives an image size that fits.
    """
    if not fits_in_memory(count, channels, image_size):
        size = count * channels * image_size**2
        fits = int((MOST_BYTES / (count * channels)) ** 0.5)
        remedy = f"image_size={fits} or less" if fits >= SMALLEST_SIZE else "a part of the pictures"
        raise DataError(
            f"{count} pictures of {image_size} px would take {size / 1e9:.1f} GB of memory, more than "
            f"{MOST_BYTES / 1e9:.0f} GB: use {remedy}"
        )
    return torch.empty(count, channels, image_size, image_size, dtype=torch.uint8)


def read_picture(file: Path, image_size: int) -> Tensor:
    """Colour picture from a file, uint8 of shape (3, S, S); Pillow's errors on damaged files pass through."""
    with Image.open(file) as picture:
        # A large JPEG can be decoded at a half, a quarter or an eighth of its size, which is much faster.
        picture.draft(None, (2 * image_size, 2 * image_size))
        return square(to_rgb(picture), image_size)


def fault(name: str, error: Exception) -> str:
    """What to tell of a file that `read_picture` could not read."""
    return (
        f"{Path(name).as_posix()} ({'not a picture' if isinstance(error, UnidentifiedImageError) else error})"
    )


def square(picture: Image.Image, image_size: int) -> Tensor:
    """Scale the shorter side to ``image_size`` without aliasing and keep the centre; uint8 of shape (C, S, S)."""
    side, (width, height) = min(picture.size), picture.size
    left, top = (width - side) / 2, (height - side) / 2
    # One direction at a time: which of both Pillow takes first, and so how it rounds, depends on its version.
    # The exported graph (labutils.deploy.onnx) repeats exactly this.
    box = (left, 0, left + side, height)
    narrow = picture.resize((image_size, height), Image.Resampling.BILINEAR, box)
    box = (0, top, image_size, top + side)
    return to_tensor(narrow.resize((image_size, image_size), Image.Resampling.BILINEAR, box))


def to_tensor(picture: Image.Image) -> Tensor:
    """Pixels of a grey or colour picture, uint8 of shape (C, height, width)."""
    pixels = torch.frombuffer(bytearray(picture.tobytes()), dtype=torch.uint8)
    return pixels.view(picture.height, picture.width, -1).permute(2, 0, 1)


def to_rgb(picture: Image.Image) -> Image.Image:
    """Upright colour picture from any mode that Pillow opens; what is transparent becomes white.

    Raises
    ------
    DataError
        For floating-point pixels, whose range cannot be known.
    """
    picture = ImageOps.exif_transpose(picture)
    if picture.mode == "F":
        raise DataError("its pixels are floating-point numbers of unknown range: save it with 8 or 16 bits")
    if picture.mode.startswith("I"):
        import numpy

        # Pillow's own conversion clips 16 bits at 255, which makes almost everything white.
        values = numpy.asarray(picture, dtype=numpy.int64).clip(0, 65535)
        picture = Image.fromarray(((values + 128) // 257).astype(numpy.uint8))
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")
