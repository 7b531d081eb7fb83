"""Pictures as addresses that hold them, for pages and browsers."""

import base64
import io

from torch import Tensor
from torchvision.transforms.functional import to_pil_image


def data_url(pixels: Tensor, kind: str = "jpeg", side: int | None = None) -> str:
    """A picture, uint8 of shape (1 or 3, S, S), as a data URL (RFC 2397) of a JPEG or PNG file.

    ``side`` in pixels is that of the file, default S.
    """
    picture, buffer = to_pil_image(pixels), io.BytesIO()
    if side is not None:
        picture = picture.resize((side, side))
    picture.save(buffer, kind, quality=85)  # of which PNG takes no notice
    return f"data:image/{kind};base64,{base64.b64encode(buffer.getvalue()).decode()}"
