"""Close-up photographs of twelve surfaces, cut into crops: near to what ImageNet shows."""

import torch
from PIL import Image, ImageStat

from labutils.data.decode_cache import Decoded
from labutils.data.decoding import room_for, to_tensor
from labutils.data.photographs import photograph
from labutils.runtime.progress import progress_bar

PACKAGE = "scikit-image"
SOURCE = (
    "van der Walt et al. 2014, scikit-image, doi 10.7717/peerj.453: photographs bundled with it, whose origins "
    "and licences its documentation of skimage.data names; motorcycle: Scharstein et al. 2014, Middlebury stereo"
)
# The share cut off each border: the eye in the retina picture is a disc in a black frame.
PHOTOGRAPHS = {
    "brick": ("brick.png", 0.0),
    "gravel": ("gravel.png", 0.0),
    "grass": ("grass.png", 0.0),
    "fur": ("chelsea.png", 0.0),
    "coffee": ("coffee.png", 0.0),
    "coins": ("coins.png", 0.0),
    "tissue": ("ihc.png", 0.0),
    "retina": ("retina.jpg", 0.16),
    "galaxies": ("hubble_deep_field.jpg", 0.0),
    "moon": ("moon.png", 0.0),
    "page": ("page.png", 0.0),
    "motorcycle": ("motorcycle_left.png", 0.0),
}
COUNTS = {"train": 60, "validation": 20, "test": 40}
SHORTER_SIDE = 512
SMALLEST, LARGEST = 72, 144
FLATTEST = 0.15  # contrast of a crop, compared with that of its region
MEAN, DEVIATION = 128.0, 52.0

Box = tuple[int, int, int, int]


def regions(height: int, width: int) -> dict[str, Box]:
    """Where in a picture the crops of each split may lie; no two regions share a pixel.

    Parameters
    ----------
    height, width : int
        Size of the picture in pixels.

    Returns
    -------
    dict of str to (left, top, right, bottom)
        ``train``: upper 70 % of the left 55 %; ``validation``: below it; ``test``: the right 45 %.

    Examples
    --------
    >>> regions(100, 200)
    {'train': (0, 0, 110, 70), 'validation': (0, 70, 110, 100), 'test': (110, 0, 200, 100)}
    """
    across, down = round(0.55 * width), round(0.7 * height)
    return {
        "train": (0, 0, across, down),
        "validation": (0, down, across, height),
        "test": (across, 0, width, height),
    }


def crops(picture: Image.Image, part: str, generator: torch.Generator) -> list[Image.Image]:
    """Random square crops of 72–144 px from one region of a picture whose shorter side is scaled to 512 px.

    The region is cut out *before* it is scaled: scaling mixes neighbours, and would carry pixels of the
    training region over the border into the test region.
    """
    scale = SHORTER_SIDE / min(picture.size)
    region = picture.crop(regions(picture.height, picture.width)[part])
    region = region.resize([round(scale * side) for side in region.size], Image.Resampling.BICUBIC)
    return [_crop(region, generator) for _ in range(COUNTS[part])]


def _crop(region: Image.Image, generator: torch.Generator) -> Image.Image:
    flat = FLATTEST * ImageStat.Stat(region).stddev[0]
    for _ in range(20):  # blank paper evened out would show nothing but the noise of the scanner
        size = _at_random(SMALLEST, LARGEST, generator)
        left = _at_random(0, region.width - size, generator)
        top = _at_random(0, region.height - size, generator)
        crop = region.crop((left, top, left + size, top + size))
        if ImageStat.Stat(crop).stddev[0] >= flat:
            break
    return crop


def even_contrast(crop: Image.Image) -> Image.Image:
    """Give a grey crop the mean and contrast of all others, so that neither tells the class."""
    statistics = ImageStat.Stat(crop)
    gain = DEVIATION / max(statistics.stddev[0], 1.0)
    levels = [round(MEAN + gain * (level - statistics.mean[0])) for level in range(256)]
    return crop.point([min(max(level, 0), 255) for level in levels])


def decode(image_size: int) -> Decoded:
    """Cut, scale and even out all crops; which ones is fixed, so that everybody measures on the same."""
    images = room_for(len(PHOTOGRAPHS) * sum(COUNTS.values()), 1, image_size)
    labels, parts = [], []
    for label, name in enumerate(progress_bar(PHOTOGRAPHS, "Decoding textures")):
        picture = _photograph(*PHOTOGRAPHS[name])
        generator = torch.Generator().manual_seed(label)
        for part, part_name in enumerate(COUNTS):
            for crop in crops(picture, part_name, generator):
                crop = crop.resize((image_size, image_size), Image.Resampling.BILINEAR)
                images[len(labels)] = to_tensor(even_contrast(crop))
                labels.append(label)
                parts.append(part)
    return Decoded(images, torch.tensor(labels), tuple(PHOTOGRAPHS), {"part": torch.tensor(parts)})


def _photograph(file_name: str, margin: float) -> Image.Image:
    picture = photograph(file_name)
    width, height = picture.size
    box = (margin * width, margin * height, (1 - margin) * width, (1 - margin) * height)
    return picture.convert("L").crop(tuple(round(side) for side in box))


def _at_random(lowest: int, highest: int, generator: torch.Generator) -> int:
    return int(torch.randint(lowest, highest + 1, (), generator=generator))
