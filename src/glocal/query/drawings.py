"""Drawings: lines of photos to learn from, and what people draw brought to one form."""

from __future__ import annotations

from math import ceil

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glocal.errors import QueryError
from glocal.images.perspective import homography

_SIDE = 320  # of what lines are found in, along the longer side
_MARGIN = 0.08  # white around a drawing, relative to its longer side
_INK = 40  # grey levels by which ink differs from paper at least

Pixels = NDArray[np.uint8]


def line_drawing(image: Pixels, *, detail: float = 1.0) -> Pixels:
    """The lines of a photo, black on white.

    Winnemöller, Kyprianidis and Olsen, XDoG: An eXtended Difference-of-Gaussians Compendium
    Including Advanced Image Stylization, 2012: with G_σ the grey image blurred by σ, lines are
    where (1 + p) G_σ - p G_{1.6 σ} falls below a threshold.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        detail: below 1 fewer and coarser lines, above 1 finer ones.

    Returns:
        ``(h', w', 3)`` uint8, the longer side 320 pixels.
    """
    zoom = _SIDE / max(image.shape[:2])
    size = max(1, round(image.shape[1] * zoom)), max(1, round(image.shape[0] * zoom))
    small = Image.fromarray(image).convert("L").resize(size, Image.Resampling.BILINEAR)
    grey = np.asarray(small, np.float32) / np.float32(255)
    spread = 1.8 / detail
    fine, coarse = (_blurred(grey, sigma) for sigma in (spread, 1.6 * spread))
    edges = fine + 20 * (fine - coarse)
    lines = np.where(edges >= 0.35, 1.0, 1 + np.tanh(12 * (edges - 0.35)))
    # What is dark all over is no line: only what differs from its surroundings stays.
    flat = np.abs(fine - coarse) < 0.006
    lines[flat] = 1.0
    return np.repeat((255 * np.clip(lines, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)


def _blurred(grey: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """Blur by a Gaussian; beyond its edges the image goes on as in a mirror."""
    reach = ceil(4 * sigma)
    weights = np.exp(-(np.arange(-reach, reach + 1, dtype=np.float32) ** 2) / (2 * sigma**2))
    weights /= weights.sum()
    for _ in range(2):  # along columns, then along rows
        beyond = np.pad(grey, ((reach, reach), (0, 0)), mode="symmetric")
        shifted = np.lib.stride_tricks.sliding_window_view(beyond, len(weights), axis=0)
        grey = (shifted @ weights).T
    return grey


def upright_ink(image: Pixels) -> Pixels:
    """What a person drew, as dark lines that fill white paper.

    Light lines on dark paper are turned round, and the empty paper around them is cut off.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.

    Returns:
        ``(h', w', 3)`` uint8.

    Raises:
        QueryError: nothing is drawn on it.
    """
    grey = np.asarray(Image.fromarray(image).convert("L"))
    paper = float(np.median(grey))
    if paper < 128:
        grey, paper = 255 - grey, 255 - paper
    rows, columns = np.nonzero(grey < paper - _INK)
    if not len(rows):
        raise QueryError("the sketch is empty; draw dark lines on light paper")
    drawn = grey[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    drawn = np.where(drawn < paper - _INK / 2, drawn, 255)
    room = max(2, round(_MARGIN * max(drawn.shape)))
    framed = np.pad(drawn, room, constant_values=255)
    return np.repeat(framed.astype(np.uint8)[..., None], 3, axis=2)


def turned_view(image: Pixels, random: np.random.Generator) -> Pixels:
    """A photo as if seen from elsewhere: perspective, size and, half of the time, its mirror image.

    Args:
        image: ``(h, w, 3)`` uint8 RGB.
        random: chooses the view.
    """
    height, width = image.shape[:2]
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], float)
    moved = corners + random.uniform(0, 0.22, (4, 2)) * np.where(corners > 0.5, -1, 1)
    if random.random() < 0.5:
        moved[:, 0] = 1 - moved[:, 0]
    back = homography(moved * (width, height), corners * (width, height))
    seen = Image.fromarray(image).transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        back,
        Image.Resampling.BILINEAR,
        fillcolor=(255, 255, 255),
    )
    return np.asarray(seen)
