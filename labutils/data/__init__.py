"""Data sets behind one small type: three that come with pip, public ones, and one's own pictures.

>>> import labutils as lab
>>> lab.load("solar")  # doctest: +SKIP
Domain('solar': 2624 grey pictures of 128 px, 2 classes, 1575 train / 393 validation / 656 test)
"""

from difflib import get_close_matches
from functools import partial
from importlib.metadata import version

from labutils.data import digits, public, solar, textures
from labutils.data.augmentation import Augmentation
from labutils.data.decode_cache import decode_once, divide
from labutils.data.decoding import check_image_size
from labutils.data.domain import Domain
from labutils.data.folder import folder
from labutils.data.public import at_hand
from labutils.data.splits import DataError, split
from labutils.runtime.files import data_folder

__all__ = ["Augmentation", "INSTALLED", "PUBLIC", "DataError", "Domain", "at_hand", "folder", "load", "split"]

_INSTALLED = {"textures": textures, "solar": solar, "digits": digits}
INSTALLED = tuple(_INSTALLED)
PUBLIC = tuple(public.SETS)


def load(name: str, image_size: int = 128, seed: int = 0) -> Domain:
    """Load a data set by name; it is decoded the first time and read from the lab's data folder after that.

    Parameters
    ----------
    name : str
        ``textures``, ``solar`` or ``digits``, which come with pip, or ``flowers102``, ``pets``, ``eurosat`` or ``pneumonia``
        (chest X-rays), which are downloaded the first time.
    image_size : int, default=128
        Side of the square pictures in pixels, from 32 to 512.
    seed : int, default=0
        Which pictures go to training, validation and test. Splits that the source fixes stay as they are:
        those of ``textures``, ``flowers102`` and ``pneumonia``, and the test split of ``pets``.

    Returns
    -------
    Domain
        Its ``source`` holds citation and licence.

    Raises
    ------
    DataError
        (a ``ValueError``) For an unknown name, an image size out of range, more than 2 GB of pictures, or a
        public set that cannot be downloaded.

    Examples
    --------
    >>> import labutils as lab
    >>> digits = lab.load("digits", image_size=64)  # doctest: +SKIP
    >>> digits.images.shape  # doctest: +SKIP
    torch.Size([5000, 1, 64, 64])
    """
    check_image_size(image_size)
    if name in _INSTALLED:
        source = _INSTALLED[name]
        package, citation = f"{source.PACKAGE} {version(source.PACKAGE)}", source.SOURCE
        decode = source.decode
    elif name in PUBLIC:
        package, citation = public.package(name), public.SETS[name].source
        decode = partial(public.decode, name)
    else:
        names = (*INSTALLED, *PUBLIC)
        near = get_close_matches(str(name).lower(), names, cutoff=0.4)
        meant = f"Did you mean {' or '.join(near)}? " if near else ""
        raise DataError(
            f"There is no domain {name!r}. {meant}Known are {', '.join(names)}; "
            "for your own pictures use labutils.data.folder(path)"
        )
    decoded = decode_once(
        data_folder() / "domains" / f"{name}-{image_size}.safetensors",
        {"name": name, "image_size": image_size, "package": package},
        lambda: decode(image_size),
    )
    return divide(name, decoded, seed, citation)
