"""Small grey images, by whose pixels a copy is told from another photo of the same thing."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.alignment import SIDE

_QUALITY = 88


def shrink(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """``(h, w, 3)`` uint8 RGB to grey of about `SIDE` squared pixels, whatever its shape."""
    from PIL import Image

    whole = Image.fromarray(image)
    scale = SIDE / (whole.width * whole.height) ** 0.5
    size = (max(1, round(whole.width * scale)), max(1, round(whole.height * scale)))
    return np.asarray(whole.convert("L").resize(size, Image.Resampling.LANCZOS))


def to_jpeg(small: NDArray[np.uint8]) -> bytes:
    """A small image as the gallery keeps it: 3 to 7 kB."""
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(small).save(written, "JPEG", quality=_QUALITY)
    return written.getvalue()


def from_jpeg(data: bytes) -> NDArray[np.float32] | None:
    """``(h, w)`` float32 grey in [0, 255]; None of no bytes, or of bytes that are damaged."""
    from PIL import Image, JpegImagePlugin

    if not data:
        return None
    try:
        with JpegImagePlugin.JpegImageFile(io.BytesIO(data)) as opened:
            if opened.mode != "L" or opened.width * opened.height > 4 * SIDE * SIDE:
                return None
            return np.asarray(opened, np.float32)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
