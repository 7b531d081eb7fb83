"""Any picture file's pixels as square bytes, without aliasing, clipping or turning."""

from pathlib import Path

import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from labutils.data.splits import DataError

MOST_BYTES = 2_000_000_000
SMALLEST_SIZE, LARGEST_SIZE = 32, 512
GREY = (128, 128, 128)  # about the mean of photographs, so near zero for the network


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


def read_picture(file: Path, image_size: int, fit: str = "crop") -> Tensor:
    """Colour picture from a file, uint8 of shape (3, S, S); Pillow's errors on damaged files pass through."""
    with Image.open(file) as picture:
        # A large JPEG can be decoded at a half, a quarter or an eighth of its size, which is much faster.
        picture.draft(None, (2 * image_size, 2 * image_size))
        return square(to_rgb(picture), image_size, fit)


def fault(name: str, error: Exception) -> str:
    """What to tell of a file that `read_picture` could not read."""
    return (
        f"{Path(name).as_posix()} ({'not a picture' if isinstance(error, UnidentifiedImageError) else error})"
    )


def square(picture: Image.Image, image_size: int, fit: str = "crop") -> Tensor:
    """Scale without aliasing and fit into a square, uint8 of shape (C, S, S).

    "crop" scales the shorter side and keeps the centre, "pad" scales the longer side and fills up with grey, "squash"
    scales both sides.
    """
    width, height = picture.size
    if fit == "crop":
        side = min(width, height)
        left, top = (width - side) / 2, (height - side) / 2
        box, inner = (left, top, left + side, top + side), (image_size, image_size)
    else:
        longer = max(width, height) if fit == "pad" else None
        box = (0, 0, width, height)
        inner = tuple(max(1, round(side / (longer or side) * image_size)) for side in (width, height))
    # One direction at a time: which of both Pillow takes first, and so how it rounds, depends on its version.
    # The exported graph (labutils.deploy.onnx) repeats exactly this.
    narrow = picture.resize((inner[0], height), Image.Resampling.BILINEAR, (box[0], 0, box[2], height))
    scaled = narrow.resize(inner, Image.Resampling.BILINEAR, (0, box[1], inner[0], box[3]))
    if inner != (image_size, image_size):
        whole = Image.new(picture.mode, (image_size, image_size), GREY[: len(picture.getbands())])
        whole.paste(scaled, tuple((image_size - side) // 2 for side in inner))
        scaled = whole
    return to_tensor(scaled)


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
