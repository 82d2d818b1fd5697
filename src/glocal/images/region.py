"""Regions of an image: as people give them, and as decoders need them."""

from __future__ import annotations

import math
from dataclasses import dataclass

from glocal.errors import QueryError

Region = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """Whole pixels of the upright image: ``left <= x < right``, ``top <= y < bottom``."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def area(self) -> int:
        """Width times height in pixels."""
        return (self.right - self.left) * (self.bottom - self.top)

    @property
    def shorter(self) -> int:
        """The shorter side in pixels."""
        return min(self.right - self.left, self.bottom - self.top)

    def scaled(self, width: int, height: int, to_width: int, to_height: int) -> Box:
        """Return the smallest box that covers this one in the image decoded at another size."""
        return Box(
            self.left * to_width // width,
            self.top * to_height // height,
            -(-self.right * to_width // width),
            -(-self.bottom * to_height // height),
        )


def pixel_box(region: Region | None, width: int, height: int) -> Box:
    """Convert X, Y, W, H to whole pixels of an upright image; None is the whole image.

    Four values that are all at most 1 are fractions of the image, so ``(0, 0, 1, 1)`` is the whole
    image; all others are pixels. What lies outside the image is cut off, and edges are rounded
    outwards to whole pixels.

    Raises:
        QueryError: They are not four finite numbers, the width or height is 0, or the region lies
            outside the image.
    """
    if region is None:
        return Box(0, 0, width, height)
    try:
        x, y, w, h = (float(value) for value in region)
    except (TypeError, ValueError, OverflowError) as error:
        raise QueryError(f"region must be four numbers X,Y,W,H, not {region!r}") from error
    shown = f"{x:g},{y:g},{w:g},{h:g}"
    if not all(math.isfinite(value) for value in (x, y, w, h)):
        raise QueryError(f"region {shown}: the four numbers must be finite")
    if w <= 0 or h <= 0:
        raise QueryError(f"region {shown}: width and height must be above 0")
    if max(x, y, w, h) <= 1:
        x, y, w, h = x * width, y * height, w * width, h * height
    # A fraction such as 1/3 of 300 must not take pixel 101 in for the error of a float.
    left, top = max(0, math.floor(x + 1e-6)), max(0, math.floor(y + 1e-6))
    right = min(width, math.ceil(min(x + w, width) - 1e-6))
    bottom = min(height, math.ceil(min(y + h, height) - 1e-6))
    if right <= left or bottom <= top:
        raise QueryError(f"region {shown} covers no pixel of the image of {width} x {height}")
    return Box(left, top, right, bottom)
