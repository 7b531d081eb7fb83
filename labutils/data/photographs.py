"""The photographs that scikit-image is installed with."""

from PIL import Image

from labutils.data.splits import DataError


def photograph(file_name: str) -> Image.Image:
    """One of them, as it is. Raises DataError where scikit-image does not have it any more."""
    from importlib.resources import files

    # Read as a file: skimage.data's functions would go to the network for a missing picture.
    path = files("skimage") / "data" / file_name
    if not path.is_file():
        raise DataError(f"scikit-image has no {file_name} any more: run pip install 'scikit-image==0.26.0'")
    with path.open("rb") as file, Image.open(file) as picture:
        picture.load()
        return picture
