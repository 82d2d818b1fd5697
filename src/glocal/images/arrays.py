"""Check NumPy arrays that are given as images, and convert them to RGB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.errors import ImageError

_ACCEPTED = (
    "accepted are (h, w) and (h, w, 1, 3 or 4) of uint8, of uint16 up to 65535, "
    "or of float from 0 to 1"
)


def check_array(array: NDArray[Any]) -> tuple[int, int]:
    """Return the height and width of an array that can be an image.

    Raises:
        ImageError: The shape or the type is another one; the text says which are accepted.
    """
    shape, dtype = array.shape, array.dtype
    if array.ndim not in (2, 3) or (array.ndim == 3 and shape[2] not in (1, 3, 4)) or 0 in shape:
        raise ImageError(f"an array of shape {shape} isn't an image; {_ACCEPTED}")
    if dtype not in (np.uint8, np.uint16) and dtype.kind != "f":
        raise ImageError(f"an array of {dtype} isn't an image; {_ACCEPTED}")
    return int(shape[0]), int(shape[1])


def array_to_rgb(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Convert a checked array to ``(h, w, 3)`` uint8; a fourth channel is alpha, laid over white.

    Raises:
        ImageError: Float values are outside 0 to 1 or not numbers.
    """
    values = _to_uint8(array)
    if values.ndim == 2:
        values = values[:, :, np.newaxis]
    if values.shape[2] == 1:
        return np.repeat(values, 3, axis=2)
    if values.shape[2] == 3:
        return values
    colour, alpha = values[:, :, :3].astype(np.uint16), values[:, :, 3:].astype(np.uint16)
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def _to_uint8(array: NDArray[Any]) -> NDArray[np.uint8]:
    if array.dtype == np.uint8:
        return array
    if array.dtype == np.uint16:
        return (array >> 8).astype(np.uint8)
    low, high = float(array.min()), float(array.max())
    if not (low >= 0 and high <= 1):  # written so that NaN is refused too
        raise ImageError(
            f"the values of the {array.dtype} array go from {low:g} to {high:g}; {_ACCEPTED}"
        )
    return (array * np.float32(255) + np.float32(0.5)).astype(np.uint8)
