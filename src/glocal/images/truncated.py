"""What can be decoded of an image whose file was cut off, as viewers show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image

LEAST_SHARE = 0.8
"""Of the rows of an image, the share that has to be there: see `docs/decisions.md`."""


def is_truncation(error: Exception) -> bool:
    """Whether a decoder complains about nothing but the early end of its data."""
    return isinstance(error, OSError) and "truncated" in str(error)


def decoded_share(array: NDArray[np.generic]) -> float:
    """The share of the rows, from the top, that a decoder has filled.

    Args:
        array: ``(h, w)`` or ``(h, w, c)``; what was not decoded is of one colour.

    Returns:
        From 0 to 1. Rows at the end that truly are of one colour count as missing: a little less
        than is there, never more.
    """
    rows = array.reshape(len(array), -1)
    last = np.broadcast_to(array[-1, -1], array.shape[1:]).reshape(-1)
    filled = np.flatnonzero((rows != last).any(axis=1))
    return 0.0 if not len(filled) else float(filled[-1] + 1) / len(array)


def rescue(image: Image.Image, name: str, error: Exception) -> float | None:
    """Let a PNG that Pillow has refused as truncated keep the rows that were decoded.

    Args:
        image: which raised the error when it was loaded; is changed.
        name: its format.
        error: what it raised.

    Returns:
        The share of the rows that are there; `None` where they cannot be used.
    """
    if name != "PNG" or not is_truncation(error) or image.info.get("interlace"):
        return None
    image.tile = []  # type: ignore[attr-defined]  # nothing is left to be decoded
    share = decoded_share(np.asarray(image))
    return share if share >= LEAST_SHARE else None
