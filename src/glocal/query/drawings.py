"""Drawings: lines of photos to learn from, and what people draw brought to one form."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError

_cv2: Any = cv2  # its own types are incomplete
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
    grey = _cv2.cvtColor(image, _cv2.COLOR_RGB2GRAY)
    grey = _cv2.resize(grey, size, interpolation=_cv2.INTER_AREA).astype(np.float32) / 255
    spread = 1.8 / detail
    fine, coarse = (_cv2.GaussianBlur(grey, (0, 0), sigma) for sigma in (spread, 1.6 * spread))
    edges = fine + 20 * (fine - coarse)
    lines = np.where(edges >= 0.35, 1.0, 1 + np.tanh(12 * (edges - 0.35)))
    # What is dark all over is no line: only what differs from its surroundings stays.
    flat = np.abs(fine - coarse) < 0.006
    lines[flat] = 1.0
    return np.repeat((255 * np.clip(lines, 0, 1)).astype(np.uint8)[..., None], 3, axis=2)


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
    grey = _cv2.cvtColor(image, _cv2.COLOR_RGB2GRAY)
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
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)], np.float32)
    moved = corners + random.uniform(0, 0.22, (4, 2)) * np.where(corners > 0.5, -1, 1)
    if random.random() < 0.5:
        moved[:, 0] = 1 - moved[:, 0]
    scale = np.array([width, height], np.float32)
    matrix = _cv2.getPerspectiveTransform(corners * scale, (moved * scale).astype(np.float32))
    warped = _cv2.warpPerspective(
        image, matrix, (width, height), borderMode=_cv2.BORDER_CONSTANT, borderValue=(255,) * 3
    )
    return np.asarray(warped, np.uint8)
