"""Any picture file's pixels as square bytes, without aliasing, clipping or turning."""

import sys
import warnings
from collections.abc import Iterable
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy
import torch
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from labutils.data.splits import DataError
from labutils.runtime.checks import is_whole

MOST_BYTES = 2_000_000_000
SMALLEST_SIZE, LARGEST_SIZE = 32, 512
FITS = ("crop", "pad", "squash")
LARGE, LARGEST = 50_000_000, 1_000_000_000  # pixels of one picture: opened one at a time; not opened
DEPTHS = (1, 8, 10, 12, 14, 16, 20, 24, 32)  # bits
GREY = (128, 128, 128)  # about the mean of photographs, so near zero for the network
_OTHER_BYTE = {"RGB;16L": "RGB;16B", "RGB;16B": "RGB;16L"}
_OTHER_BYTE |= {"RGBA;16L": "RGBA;16B", "RGBA;16B": "RGBA;16L", "LA;16B": "RGBA"}  # the last: all four bytes
_OTHER_BYTE |= {
    f"{mode};16N": f"{mode};16{'B' if sys.byteorder == 'little' else 'L'}" for mode in ("RGB", "RGBA")
}
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # as a camera's note of orientation has them
Scale = tuple[float, float]


@dataclass(frozen=True)
class Preparation:
    """How a picture becomes square bytes: the same for the pictures trained on and for all later ones.

    Parameters
    ----------
    image_size : int
        Side of the square in pixels.
    fit : {"crop", "pad", "squash"}
        "crop" scales the shorter side and keeps the centre, "pad" scales the longer side and fills up with grey,
        "squash" scales both sides.
    scale : (float, float), optional
        Values of deep pictures (more than 8 bits, or floating point) that become black and white; default what a
        picture holds, see `scale_of`.
    """

    image_size: int
    fit: str = "crop"
    scale: Scale | None = None

    def __post_init__(self) -> None:
        check_image_size(self.image_size)
        object.__setattr__(self, "image_size", int(self.image_size))
        if self.fit not in FITS:
            raise DataError(
                f'fit={self.fit!r} must be "crop" (the centre), "pad" (all, with a grey border) or "squash" '
                "(all, distorted)"
            )
        if self.scale is not None and not self.scale[0] < self.scale[1]:
            raise DataError(
                f"scale={self.scale!r} must be two numbers, of which the first, black, is the lower"
            )

    def __call__(self, picture: Image.Image) -> Tensor:
        """Colour pixels of a picture of any size and mode, uint8 of shape (3, S, S)."""
        return square(to_rgb(picture, self.scale), self.image_size, self.fit)


def check_image_size(image_size: int) -> None:
    """Raise ``DataError`` unless ``image_size`` is a whole number from 32 to 512."""
    if not is_whole(image_size) or not SMALLEST_SIZE <= image_size <= LARGEST_SIZE:
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


class _Tolerance:
    """Inside, Pillow warns of no single file and has no limit of size; many threads may be inside at a time."""

    def __init__(self):
        self.lock, self.inside = Lock(), 0

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.before, self.limit = warnings.catch_warnings(), Image.MAX_IMAGE_PIXELS
                self.before.__enter__()
                warnings.filterwarnings("ignore", module="PIL")
                Image.MAX_IMAGE_PIXELS = None
            self.inside += 1

    def __exit__(self, *error) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                Image.MAX_IMAGE_PIXELS = self.limit
                self.before.__exit__(*error)


tolerance = _Tolerance()
_one_at_a_time = Lock()


@contextmanager
def opened(file: Path, image_size: int):
    """A picture file ready to be prepared for ``image_size``; Pillow's errors on damaged files pass through.

    Raises
    ------
    DataError
        For more than a thousand million pixels.
    """
    with tolerance, Image.open(file) as picture:
        # A large JPEG can be decoded at a half, a quarter or an eighth of its size, which is much faster.
        picture.draft(None, (2 * image_size, 2 * image_size))
        pixels = picture.width * picture.height
        if pixels > LARGEST:
            raise DataError(f"{pixels / 1e6:,.0f} million pixels are too many to decode: save it smaller")
        with _one_at_a_time if pixels > LARGE else nullcontext():
            factor = min(picture.size) // (4 * image_size)
            shrinks = pixels > LARGE and factor > 1 and picture.mode in ("L", "RGB")
            yield picture.reduce(factor) if shrinks else picture


def read_picture(file: Path, preparation: Preparation) -> Tensor:
    """Colour picture from a file, uint8 of shape (3, S, S); raises what `opened` raises."""
    with opened(file, preparation.image_size) as picture:
        return preparation(picture)


def fault(name: str, error: Exception) -> str:
    """What to report of a file that `read_picture` could not read."""
    why = "not a picture" if isinstance(error, UnidentifiedImageError) else str(error) or type(error).__name__
    return f"{Path(name).as_posix()} ({why})"


def square(picture: Image.Image, image_size: int, fit: str = "crop") -> Tensor:
    """Scale without aliasing and fit into a square as in `Preparation`; uint8 of shape (C, S, S)."""
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


def to_rgb(picture: Image.Image, scale: Scale | None = None) -> Image.Image:
    """Upright colour picture from any mode that Pillow opens; what is transparent becomes white.

    ``scale`` holds the values of a deep picture that become black and white; default its own, by `scale_of`.
    """
    if (values := deep_values(picture)) is not None:
        return from_deep(values, scale or scale_of([extent(values)]))
    picture = _upright(picture)
    if picture.mode == "LAB":
        from PIL import ImageCms

        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(picture, lab, rgb, outputMode="RGB")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB")


def from_deep(values: numpy.ndarray, scale: Scale) -> Image.Image:
    """Colour picture of what `deep_values` gave."""
    low, high = scale
    colours = values[..., :3] if values.ndim == 3 else values
    levels = (numpy.nan_to_num(colours.astype(numpy.float64), nan=low) - low) * (255 / (high - low))
    levels = levels.clip(0, 255)
    if values.ndim == 3 and values.shape[2] == 4:  # what is transparent becomes white
        opaque = values[..., 3:] / 65535
        levels = levels * opaque + 255 * (1 - opaque)
    return Image.fromarray((levels + 0.5).astype(numpy.uint8)).convert("RGB")


def _upright(picture: Image.Image) -> Image.Image:
    picture.load()  # so that what fails below is the camera's note, not the picture
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # a damaged note fails in many ways, and turns nothing
        return picture


def deep_values(picture: Image.Image) -> numpy.ndarray | None:
    """Numbers of a picture with more than 8 bits a channel or in floating point; ``None`` for all others.

    Shape (height, width), or (height, width, 3 or 4) for a colour picture that is still in its file, 4 with transparency.
    """
    if picture.mode in ("RGB", "RGBA") and getattr(picture, "fp", None) and picture.tile:
        args = picture.tile[0].args
        raw, *more = (args,) if isinstance(args, str) else args or ("",)
        if raw in _OTHER_BYTE:
            swapped = _OTHER_BYTE[raw] if isinstance(args, str) else (_OTHER_BYTE[raw], *more)
            return _both_bytes(picture, raw, swapped)
    return numpy.asarray(_upright(picture)) if picture.mode.split(";")[0] in ("I", "F") else None


def _both_bytes(picture: Image.Image, raw: str, swapped: str | tuple) -> numpy.ndarray:
    # Pillow keeps the upper byte of the two, which leaves four of twelve bits. Read in the other order of bytes it keeps the
    # lower one.
    place = picture.fp.tell()
    picture.fp.seek(0)
    content = BytesIO(picture.fp.read())
    picture.fp.seek(place)
    with Image.open(content) as lower:
        if frame := picture.tell():
            lower.seek(frame)
        lower.tile = [tile._replace(args=swapped) for tile in lower.tile]
        low = numpy.asarray(lower).astype(numpy.int64)
    if raw == "LA;16B":
        grey, alpha = low[..., 0] * 256 + low[..., 1], low[..., 2] * 256 + low[..., 3]
        values = numpy.stack([grey, grey, grey, alpha], -1)
    else:
        values = numpy.asarray(picture).astype(numpy.int64) * 256 + low
    try:
        turn = _TURNS.get(picture.getexif().get(ExifTags.Base.Orientation))
    except Exception:  # a damaged note, see `_upright`
        turn = None
    if turn is None:
        return values
    planes = (
        Image.fromarray(plane.astype(numpy.int32)).transpose(turn) for plane in numpy.moveaxis(values, -1, 0)
    )
    return numpy.stack([numpy.asarray(plane) for plane in planes], -1)


def extent(values: numpy.ndarray) -> tuple[float, float]:
    """Smallest and largest of the finite values, transparency left out."""
    colours = values[..., :3] if values.ndim == 3 else values
    finite = colours[numpy.isfinite(colours)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)


def scale_of(extents: Iterable[tuple[float, float]]) -> Scale:
    """Values that become black and white in pictures of these smallest and largest values.

    From 0 to the largest of 1, 8, 10, 12, 14, 16, 20, 24 or 32 bits that holds them all; where some are below 0, from the
    smallest to the largest.

    Examples
    --------
    >>> scale_of([(3, 900), (0, 3100)])
    (0.0, 4095.0)
    """
    lows, highs = zip(*extents, strict=True)
    low, high = min(lows), max(highs)
    if low < 0:
        return low, max(high, low + 1)
    return 0.0, next((float(2**bits - 1) for bits in DEPTHS if high <= 2**bits - 1), high)
