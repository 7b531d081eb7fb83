"""Progress bars for everything that takes more than two seconds."""

import os

from tqdm.auto import tqdm


def progress_bar(*arguments, **options) -> tqdm:
    """A tqdm bar that shows after two seconds, leaves nothing behind, and is off where ``LAB_PROGRESS=off``."""
    # Given here, because tqdm's bar for notebooks does not obey its own TQDM_DISABLE.
    off = os.environ.get("LAB_PROGRESS") == "off"
    return tqdm(*arguments, delay=2, leave=False, disable=off, **options)
