"""Does one image show the whole of another: mirrored, on its side, or within a border?

Local features know nothing upside down, and none of a mirror image. Of two small grey images all
eight ways to turn and mirror one are compared at a glance, each with and without its plain border;
that takes a tenth of the time of matching their features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.geometry import Points

_SIDE = 20
_LEAST = 0.72  # correlation of the tiny images from which two are laid on one another exactly
_PLAIN = 7.0  # grey levels by which a border's pixels differ at most
_TRIED = 2
Grey = NDArray[np.float32]

# Eight maps of the unit square onto itself, each by where it takes x and y.
_TURNS = tuple(
    np.array(rows, np.float64)
    for rows in (
        [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[-1, 0, 1], [0, 1, 0], [0, 0, 1]],
        [[-1, 0, 1], [0, -1, 1], [0, 0, 1]],
        [[1, 0, 0], [0, -1, 1], [0, 0, 1]],
        [[0, 1, 0], [1, 0, 0], [0, 0, 1]],
        [[0, 1, 0], [-1, 0, 1], [0, 0, 1]],
        [[0, -1, 1], [-1, 0, 1], [0, 0, 1]],
        [[0, -1, 1], [1, 0, 0], [0, 0, 1]],
    )
)


_TICKS = (np.arange(_SIDE) + 0.5) / _SIDE
_GRID = np.stack(np.meshgrid(_TICKS, _TICKS), axis=-1).reshape(-1, 2)


def _order(turn: Points) -> NDArray[np.intp]:
    """Which cell of the grid each cell comes to lie on."""
    at = np.rint((_GRID @ turn[:2, :2].T + turn[:2, 2]) * _SIDE - 0.5).astype(np.intp)
    return np.asarray(at[:, 1] * _SIDE + at[:, 0])


_ORDERS = np.stack([_order(turn) for turn in _TURNS])


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """An image at a glance, for `whole_on_whole`.

    Attributes:
        frames: ``(3, 3)`` each: the unit square, and where the image has a plain border, the part
            within it, as homographies from the unit square.
        tiny: ``(frames, 400)`` float32, unit length: what each of them shows.
    """

    frames: tuple[Points, ...]
    tiny: Grey


def outline(image: Grey) -> Outline:
    """The outline of an image ``(h, w)`` float32 grey."""
    frames = _frames(image)
    tiny = [_tiny(image, _GRID @ inner[:2, :2].T + inner[:2, 2]) for inner in frames]
    return Outline(tuple(frames), np.stack(tiny))


def whole_on_whole(first: Outline, second: Outline) -> list[Points]:
    """Homographies by which one image may show the whole of the other, the likeliest first.

    Returns:
        At most two, ``(3, 3)`` each, from the first to the second in fractions; right to a few
        per cent.
    """
    found = []
    for number, other_inner in enumerate(second.frames):
        alike = first.tiny @ second.tiny[number][_ORDERS].T
        for row, turn in np.argwhere(alike >= _LEAST):
            back = np.linalg.inv(first.frames[row])
            found.append((float(alike[row, turn]), other_inner @ _TURNS[turn] @ back))
    found.sort(key=lambda pair: -pair[0])
    return [homography for _, homography in found[:_TRIED]]


def _frames(image: Grey) -> list[Points]:
    """The unit square, and the part of the image within its plain border, if it has one."""
    whole = np.eye(3)
    top, bottom = _rim(image), _rim(image[::-1])
    left, right = _rim(image.T), _rim(image.T[::-1])
    height, width = image.shape
    if (
        top + bottom + left + right == 0
        or top + bottom > 0.8 * height
        or left + right > 0.8 * width
    ):
        return [whole]
    inner = np.array(
        [
            [1 - (left + right) / width, 0, left / width],
            [0, 1 - (top + bottom) / height, top / height],
            [0, 0, 1],
        ]
    )
    return [whole, inner]


def _rim(image: Grey) -> int:
    """How many rows at the top are of one grey."""
    level = float(np.median(image[0]))

    def plain(rows: Grey) -> NDArray[np.bool_]:
        return np.asarray(np.mean(np.abs(rows - level) > _PLAIN, axis=1) < 0.03)

    # One row alone is no border, and most images have none.
    if len(image) < 2 or not plain(image[:2]).all():
        return 0
    found = plain(image)
    return int(np.argmin(found)) if not found.all() else len(found)


def _tiny(image: Grey, at: Points) -> Grey:
    """Means of the image around points, without their mean and of unit length."""
    height, width = image.shape
    side = max(1, round(min(height, width) / _SIDE / 2))
    sums = np.pad(image, ((1, 0), (1, 0))).cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    y, x = (at[:, 1] * height).astype(int), (at[:, 0] * width).astype(int)
    top, bottom = np.clip(y - side, 0, height), np.clip(y + side + 1, 0, height)
    left, right = np.clip(x - side, 0, width), np.clip(x + side + 1, 0, width)
    total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    values = total / np.maximum((bottom - top) * (right - left), 1)
    values = values - values.mean()
    return np.asarray(values / max(float(np.linalg.norm(values)), 1e-6), np.float32)
