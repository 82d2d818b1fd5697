"""Does what two images have in common look alike everywhere, or only where points agree?

Two paintings in one frame agree in many points, all of them on the frame. Here small grey images
are laid on one another by the homography of these points, roughly, and each block of the one looks
for itself in the other, near its place: another view, another light or some depth displace a block
and leave it recognisable, and another content does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.geometry import Points, project
from glocal.ranking.registration import magnification, warp

_SIDE = 64  # square root of the area of the frame in which blocks are compared
_BLOCK = 10
_STEP = 5
_REACH = 4  # pixels by which a block may be displaced: the tolerance of the points, and some depth
_LEAST_SIDE = 2 * _BLOCK
_DIFFERENT = 0.5  # docs/decisions.md has the measurements
_ALIKE, _ALIKE_LEAST = 0.93, 0.8
_LEAST_BLOCKS = 6
_PART = 0.2  # half the side of a part of the frame
_FLAT = 3.0  # grey levels of standard deviation below which a block has no texture
_AMID = 4.0  # squared Mahalanobis distance; the corners of an even rectangle of points have 6
Grey = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How much of what two images have in common looks alike.

    Attributes:
        overall: mean correlation of the blocks of all that both show, in [-1, 1].
        amid: the same of the blocks amid the points that agree.
        least: the same of the part amid them, some two fifths of the frame wide, that agrees least.
        blocks: how many blocks lie amid them.
    """

    overall: float
    amid: float
    least: float
    blocks: int

    @property
    def differs(self) -> bool:
        """Whether a part amid the points shows something else in the other image."""
        return self.least < _DIFFERENT

    @property
    def is_alike(self) -> bool:
        """Whether all that both show looks alike, as in two photos of one flat thing."""
        return self.overall >= _ALIKE and self.least >= _ALIKE_LEAST


def agreement(
    first: Grey, second: Grey, homography: Points, points: Points, matched: Points
) -> Agreement | None:
    """Compare two small images block by block.

    Args:
        first: ``(h, w)`` uint8 grey.
        second: ``(h, w)`` uint8 grey, the other image.
        homography: ``(3, 3)`` from the first to the second, in fractions of width and height.
        points: ``(n, 2)``, those that agree, in fractions of the first.
        matched: ``(n, 2)``, the same in fractions of the second.

    Returns:
        `None` where they have too little in common to be compared.
    """
    if magnification(first, second, homography) < 1:  # the coarser image is the frame
        first, second, points = second, first, matched
        homography = np.asarray(np.linalg.inv(homography))
    placed = _overlap(first.shape, homography)
    if placed is None:
        return None
    to_first, shape = placed
    frame = warp(first, to_first, shape).astype(np.float32)
    seen = homography @ to_first
    other = warp(second, seen, shape).astype(np.float32)
    at, likeness = _blocks(frame, other, seen)
    amid = _distance(project(np.asarray(np.linalg.inv(to_first)), points), at) <= _AMID
    if amid.sum() < _LEAST_BLOCKS:
        return None
    return Agreement(
        overall=float(likeness.mean()),
        amid=float(likeness[amid].mean()),
        least=_least(at[amid], likeness[amid]),
        blocks=int(amid.sum()),
    )


def _overlap(shape: tuple[int, ...], homography: Points) -> tuple[Points, tuple[int, int]] | None:
    """A frame around what both show: ``(3, 3)`` from it to the first image, and its size."""
    ticks = (np.arange(32) + 0.5) / 32
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    depth = np.column_stack([grid, np.ones(len(grid))]) @ homography[2]
    there = project(homography, grid)
    shown = grid[np.all((there >= 0) & (there <= 1), axis=1) & (depth * depth[len(depth) // 2] > 0)]
    if len(shown) < 4:
        return None
    low, high = shown.min(axis=0) - 1 / 64, shown.max(axis=0) + 1 / 64
    wide, tall = (high - low) * (shape[1], shape[0])
    scale = min(1.0, _SIDE / np.sqrt(wide * tall))
    size = round(float(tall * scale)), round(float(wide * scale))
    if min(size) < _LEAST_SIDE:
        return None
    (x, y), (w, h) = low, high - low
    return np.array([[w, 0, x], [0, h, y], [0, 0, 1.0]]), size


def _blocks(
    frame: NDArray[np.float32], other: NDArray[np.float32], seen: Points
) -> tuple[Points, NDArray[np.float32]]:
    """The middle of each block with texture, in fractions, and its correlation where it fits best.

    Args:
        frame: ``(h, w)`` float32 grey, of the first image.
        other: ``(h, w)`` float32 grey, the second image in the same frame.
        seen: ``(3, 3)`` from the frame to the second image, both in fractions.
    """
    rows = np.arange(0, frame.shape[0] - _BLOCK + 1, _STEP)
    columns = np.arange(0, frame.shape[1] - _BLOCK + 1, _STEP)
    y, x = (axis.ravel() for axis in np.meshgrid(rows, columns, indexing="ij"))
    size = np.array([frame.shape[1], frame.shape[0]], np.float64)
    ends = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * _BLOCK
    corners = (np.column_stack([x, y])[:, None] + ends) / size
    there = project(seen, corners.reshape(-1, 2)).reshape(corners.shape)
    whole = np.all((there >= -0.01) & (there <= 1.01), axis=(1, 2))
    y, x = y[whole], x[whole]
    if not len(y):
        return np.empty((0, 2)), np.empty(0, np.float32)
    views = np.lib.stride_tricks.sliding_window_view
    one = views(frame, (_BLOCK, _BLOCK))[y, x].reshape(len(y), -1)
    padded = np.pad(other, _REACH, mode="edge")
    wide = _BLOCK + 2 * _REACH
    near = views(padded, (wide, wide))[y, x]
    two = views(near, (_BLOCK, _BLOCK), axis=(1, 2))
    two = two.reshape(len(y), (2 * _REACH + 1) ** 2, _BLOCK * _BLOCK)
    one = one - one.mean(axis=1, keepdims=True)
    power = np.einsum("ij,ij->i", one, one) / _BLOCK**2
    mean = two.mean(axis=2)
    others = np.maximum(np.einsum("ijk,ijk->ij", two, two) / _BLOCK**2 - mean * mean, 0)
    both = np.einsum("ij,ikj->ik", one, two) / _BLOCK**2
    likeness = (both / np.sqrt((power[:, None] + 4) * (others + 4))).max(axis=1)
    unmoved = others[:, others.shape[1] // 2]
    textured = np.maximum(power, unmoved) > _FLAT**2
    middle = np.column_stack([x, y]) + _BLOCK / 2
    return (middle / size)[textured], likeness[textured]


def _least(at: Points, likeness: NDArray[np.float32]) -> float:
    """The mean correlation around that block around which it is least."""
    near = np.abs(at[:, None] - at).max(axis=2) <= _PART
    counts = near.sum(axis=1)
    means = near @ likeness / counts
    return float(means[counts >= min(_LEAST_BLOCKS, counts.max())].min())


def _distance(points: Points, at: Points) -> NDArray[np.float64]:
    """Squared Mahalanobis distance of places from a set of points."""
    apart = at - points.mean(axis=0)
    spread = np.cov(points.T, bias=True) + 1e-6 * np.eye(2)
    return np.asarray(np.einsum("ij,ij->i", apart @ np.linalg.inv(spread), apart))
