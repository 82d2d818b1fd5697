"""Heat maps over photos."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.explain.color_scales import CONCEPT_COLORS, signed_colors, strength_colors

_COVER = 0.88  # share of the photo that is covered where a map is strongest
# The grey photo below the colours, which is neither as bright nor as dark as they are.
_DIM, _LIFT = 0.72, 26.0


def signed_heat(photo: NDArray[np.uint8], grid: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A grey photo with yellow where a map is above 0 and blue where it is below.

    Args:
        photo: ``(H, W, 3)`` uint8 RGB.
        grid: ``(h, w)`` over the whole of the photo, of any size and sign. Its largest value, of
            either sign, has the strongest colour; a map of zeros leaves the photo grey.
    """
    values = enlarge(grid, photo.shape[:2])
    values /= max(float(np.abs(grid).max()), 1e-12)
    return _laid(photo, signed_colors(values), np.abs(values))


def strength_heat(photo: NDArray[np.uint8], grid: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A grey photo under a scale from dark blue (0) to yellow (1).

    Args:
        photo: ``(H, W, 3)`` uint8 RGB.
        grid: ``(h, w)`` from 0 to 1.
    """
    values = enlarge(grid, photo.shape[:2])
    return _laid(photo, strength_colors(values), np.full(values.shape, 0.4))


def concepts_heat(photo: NDArray[np.uint8], concepts: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A grey photo with each place in the colour of the concept that is strongest there.

    Args:
        photo: ``(H, W, 3)`` uint8 RGB.
        concepts: ``(h, w, k)`` from 0 to 1; see `glocal.explain.factorization.joint_concepts`.
    """
    count = concepts.shape[2]
    values = np.stack([enlarge(concepts[..., k], photo.shape[:2]) for k in range(count)], axis=2)
    strongest = values.argmax(axis=2)
    table = np.array([CONCEPT_COLORS[k % len(CONCEPT_COLORS)] for k in range(count)], np.float64)
    return _laid(photo, table[strongest], values.max(axis=2))


def enlarge(grid: NDArray[np.float32], shape: tuple[int, int]) -> NDArray[np.float32]:
    """A map at a photo's size, smooth between the centres of its cells."""
    from PIL import Image

    size = shape[1], shape[0]
    image = Image.fromarray(np.ascontiguousarray(grid, np.float32))
    return np.array(image.resize(size, Image.Resampling.BICUBIC), np.float32)


def signed_bar(width: int, height: int) -> NDArray[np.uint8]:
    """The scale of `signed_heat` from -1 to 1, as it looks on a middle grey."""
    values = np.tile(np.linspace(-1, 1, width), (height, 1))
    grey = np.full((height, width, 3), 128, np.uint8)
    return _laid(grey, signed_colors(values), np.abs(values))


def strength_bar(width: int, height: int) -> NDArray[np.uint8]:
    """The scale of `strength_heat` from 0 to 1, as it looks on a middle grey."""
    values = np.tile(np.linspace(0, 1, width), (height, 1))
    grey = np.full((height, width, 3), 128, np.uint8)
    return _laid(grey, strength_colors(values), np.full(values.shape, 0.4))


def _laid(
    photo: NDArray[np.uint8], colors: NDArray[np.float64], strength: NDArray[np.floating]
) -> NDArray[np.uint8]:
    grey = photo @ np.array([0.299, 0.587, 0.114]) * _DIM + _LIFT
    # The power makes weak values visible.
    cover = (np.clip(strength, 0, 1) ** 0.7 * _COVER)[..., None]
    # Light and shade of the photo show through the colour, so that the object stays visible.
    lit = colors * (0.55 + 0.45 * grey / (128 * _DIM + _LIFT))[..., None]
    mixed = grey[..., None] * (1 - cover) + lit * cover
    laid: NDArray[np.uint8] = np.clip(np.rint(mixed), 0, 255).astype(np.uint8)
    return laid
