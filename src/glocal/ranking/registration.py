"""Lay one colour image over another at the resolution that both have, to a fraction of a pixel.

The frame is the coarser of the two images, cut to what both show, so that nothing is compared that
only one of them resolves. Its blocks each vote for a small displacement (one step of Lucas and
Kanade, IJCAI 1981), and a homography is fitted to the votes, robustly, from coarse to fine.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.geometry import Points, project

LONGEST = 1024
"""Pixels of the frame's longer side at most."""

BLOCK = 8
"""Pixels of the side of a block in which two images are compared."""

_VOTING = 32
_LEAST_SIDE = 4 * BLOCK
_SETTLED = 0.15  # pixels by which the last step moved a corner at most
_HOPELESS = {4: 1.0, 2: 0.5, 1: 0.5}
"""Pixels, at a part of the size, by which half of the blocks that correlate lie from where they
agree best: this is no copy, whatever was laid over it. Copies in 18 kinds of edits had .24, .11
and .10 at most."""

Rgb = NDArray[np.uint8]
Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
Size = tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Registered:
    """Two images in one frame.

    Attributes:
        first: ``(h, w, 3)`` uint8; both sides are multiples of `BLOCK`.
        second: ``(h, w, 3)`` uint8, the second image as seen in this frame.
        shown: ``(h / BLOCK, w / BLOCK)``, the blocks that both images show whole.
        homography: ``(3, 3)`` from the first image to the second, in fractions, refined.
        to_first: ``(3, 3)`` from the frame, in fractions, to the first image, in fractions.
        votes: ``(n, 3)``: x and y, in fractions of the frame, of each textured block, and by how
            many pixels it lies from where it agrees best; empty where no block has texture.
    """

    first: Rgb
    second: Rgb
    shown: Mask
    homography: Points
    to_first: Points
    votes: Points

    def drift(self, differs: Mask) -> float:
        """Pixels by which nine tenths of the blocks at most lie from where they agree best.

        Args:
            differs: ``(h / BLOCK, w / BLOCK)``, blocks that are left out since what they show
                differs.

        Returns:
            Infinite where no block has texture.
        """
        if len(self.votes) < 6:
            return float("inf")
        rows, columns = differs.shape
        row = np.clip((self.votes[:, 1] * rows).astype(int), 1, rows - 2)
        column = np.clip((self.votes[:, 0] * columns).astype(int), 1, columns - 2)
        alike = [
            not differs[y - 1 : y + 2, x - 1 : x + 2].any()
            for y, x in zip(row, column, strict=True)
        ]
        left = self.votes[alike, 2] if sum(alike) >= 6 else self.votes[:, 2]
        return float(np.quantile(left, 0.9))


def register(first: Rgb, second: Rgb, homography: Points) -> Registered | None:
    """Bring two images into one frame.

    Args:
        first: ``(h, w, 3)`` uint8 RGB.
        second: ``(h, w, 3)`` of the other one.
        homography: from the first to the second, in fractions, right to about a percent.

    Returns:
        `None` where they have too little in common to be compared, or cannot be copies.
    """
    if not np.isfinite(homography).all() or abs(np.linalg.det(homography)) < 1e-12:
        return None
    swapped = magnification(first, second, homography) < 1
    if swapped:
        first, second = second, first
        homography = np.asarray(np.linalg.inv(homography))
    cut = _cut(first, homography)
    if cut is None:
        return None
    frame, to_first = cut
    forward = homography @ to_first
    votes, before = np.empty((0, 3)), forward
    dark, other = luma(frame), luma(second)  # in which all is laid; colours come last
    for factor in (4, 2, 1):
        if min(frame.shape[:2]) // factor < _LEAST_SIDE:
            continue
        small = _shrunk(dark, factor)
        moved = warp(other, forward, small.shape)
        shown = shown_blocks(forward, small.shape, second.shape[:2])
        before = forward
        forward, votes = vote(small, moved, shown, forward)
        if len(votes) >= 6 and np.median(votes[:, 2]) > _HOPELESS[factor]:
            return None
    if _moved(before, forward, second.shape) > _SETTLED:  # once more, at full size
        moved = warp(other, forward, dark.shape)
        shown = shown_blocks(forward, dark.shape, second.shape[:2])
        forward, votes = vote(dark, moved, shown, forward)
    moved = warp(second, forward, frame.shape[:2], fine=True)
    shown = shown_blocks(forward, frame.shape[:2], second.shape[:2])
    if shown.sum() < 16 or not np.isfinite(forward).all():
        return None
    # What lies outside is no black edge, whatever is smoothed across it.
    inside = np.repeat(np.repeat(shown, BLOCK, axis=0), BLOCK, axis=1)
    moved = np.where(inside[..., None], moved, frame)
    refined = forward @ np.asarray(np.linalg.inv(to_first))
    if swapped:
        refined = np.asarray(np.linalg.inv(refined))
        return Registered(moved, frame, shown, refined, forward, votes)
    return Registered(frame, moved, shown, refined, to_first, votes)


def warp(
    image: Pixels, homography: Points, shape: tuple[int, ...], *, fine: bool = False
) -> Pixels:
    """An image as seen in a frame.

    Args:
        image: ``(h, w, 3)`` or ``(h, w)`` uint8.
        homography: from the frame to the image, in fractions.
        shape: height and width of the frame.
        fine: interpolate by cubic splines, which takes three times as long.

    Averages the image first where it is finer than the frame.
    """
    from PIL import Image

    height, width = shape[:2]
    opened = Image.fromarray(image)
    scale = _density(homography, image.shape, (height, width))
    if scale > 1.05:
        size = (max(2, round(opened.width / scale)), max(2, round(opened.height / scale)))
        opened = opened.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)
    matrix = (
        np.diag([opened.width, opened.height, 1.0])
        @ homography
        @ np.diag([1 / width, 1 / height, 1.0])
    )
    matrix = matrix / matrix[2, 2]
    if opened.size == (width, height) and _moves_nothing(matrix, width, height):
        return np.asarray(opened)
    seen = opened.transform(
        (width, height),
        Image.Transform.PERSPECTIVE,
        tuple(matrix.ravel()[:8].tolist()),
        Image.Resampling.BICUBIC if fine else Image.Resampling.BILINEAR,
    )
    return np.asarray(seen)


def _moves_nothing(matrix: Points, width: int, height: int) -> bool:
    """Whether a homography in pixels leaves all corners where they are, to a twentieth of one."""
    corners = np.array([[0.0, 0], [width, 0], [0, height], [width, height]])
    return bool(np.abs(project(matrix, corners) - corners).max() < 0.05)


def luma(image: Rgb) -> Pixels:
    """``(h, w)`` uint8 of ``(h, w, 3)``, by the weights of ITU-R BT.601."""
    from PIL import Image

    return np.asarray(Image.fromarray(image).convert("L"))


def block_means(values: NDArray[np.float32], side: int = BLOCK) -> NDArray[np.float32]:
    """The mean of each block of ``(h, w, ...)``; what is left over at the ends is left out."""
    height, width = values.shape[0] // side, values.shape[1] // side
    cut = values[: height * side, : width * side]
    rest = values.shape[2:]
    rows = cut.reshape(height, side, width * side, *rest).sum(axis=1)  # far faster than at once
    sums = rows.reshape(height, width, side, *rest).sum(axis=2)
    return np.asarray(sums / np.float32(side * side), np.float32)


def magnification(first: Rgb, second: Rgb, homography: Points) -> float:
    """Pixels of the second image for each of the first, along a side, amid what both show."""
    inside = overlap_grid(homography)
    if not len(inside):
        return 1.0
    return _density(homography, second.shape, first.shape, inside.mean(axis=0))


def side_of_overlap(first: Size, second: Size, homography: Points) -> float:
    """The longer side, in pixels of the coarser image, of what both show.

    Args:
        first: height and width.
        second: height and width of the other one.
        homography: from the first to the second, in fractions.
    """
    inside = overlap_grid(homography)
    if not len(inside):
        return 0.0
    low = np.maximum(inside.min(axis=0) - 1 / 33, 0)
    high = np.minimum(inside.max(axis=0) + 1 / 33, 1)
    side = float(((high - low) * (first[1], first[0])).max())
    return side * min(1.0, _density(homography, second, first, inside.mean(axis=0)))


def _density(
    homography: Points,
    shape: tuple[int, ...],
    frame: tuple[int, ...],
    at: NDArray[np.float64] | None = None,
) -> float:
    x, y = (0.5, 0.5) if at is None else at
    depth = homography[2] @ (x, y, 1.0)
    area = abs(np.linalg.det(homography) / depth**3) if depth else 0.0
    return float(np.sqrt(max(area, 1e-12) * shape[0] * shape[1] / (frame[0] * frame[1])))


def overlap_grid(homography: Points) -> Points:
    """Points of a grid over the first image that the second one shows."""
    ticks = (np.arange(33) + 0.5) / 33
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    seen = project(homography, grid)
    depth = np.column_stack([grid, np.ones(len(grid))]) @ homography[2]
    sign = np.sign(depth[len(depth) // 2]) or 1.0
    return np.asarray(grid[np.all((seen >= 0) & (seen <= 1), axis=1) & (depth * sign > 0)])


def _cut(first: Rgb, homography: Points) -> tuple[Rgb, Points] | None:
    """The first image cut to what the second one shows, no larger than `LONGEST`."""
    from PIL import Image

    inside = overlap_grid(homography)
    if len(inside) < 4:
        return None
    height, width = first.shape[:2]
    low = np.maximum(inside.min(axis=0) - 1 / 33, 0)
    high = np.minimum(inside.max(axis=0) + 1 / 33, 1)
    left, top = np.floor(low * (width, height)).astype(int)
    right, bottom = np.ceil(high * (width, height)).astype(int)
    scale = min(1.0, LONGEST / max(right - left, bottom - top))
    size = [max(int((right - left) * scale) // BLOCK * BLOCK, 0)]
    size += [max(int((bottom - top) * scale) // BLOCK * BLOCK, 0)]
    if min(size) < _LEAST_SIDE:
        return None
    if scale == 1.0:  # whole blocks without resampling
        right, bottom = left + size[0], top + size[1]
        frame = first[top:bottom, left:right]
    else:
        opened = Image.fromarray(first)
        shrunk = opened.resize(
            (size[0], size[1]),
            Image.Resampling.LANCZOS,
            box=(int(left), int(top), int(right), int(bottom)),
            reducing_gap=3.0,
        )
        frame = np.asarray(shrunk)
    x, y = left / width, top / height
    to_first = np.array(
        [[(right - left) / width, 0, x], [0, (bottom - top) / height, y], [0, 0, 1.0]]
    )
    return frame, to_first


def _moved(before: Points, after: Points, shape: tuple[int, ...]) -> float:
    """By how many pixels of the other image the corners of the frame went elsewhere."""
    corners = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    aside = project(before, corners) - project(after, corners)
    return float(np.abs(aside * (shape[1], shape[0])).max())


def _shrunk(frame: Pixels, factor: int) -> Pixels:
    from PIL import Image

    return frame if factor == 1 else np.asarray(Image.fromarray(frame).reduce(factor))


def shown_blocks(homography: Points, shape: tuple[int, ...], other: tuple[int, ...]) -> Mask:
    """The blocks of a frame that lie within the other image, a pixel from its border.

    Args:
        homography: from the frame to the other image, in fractions.
        shape: height and width of the frame.
        other: height and width of the other image.
    """
    rows, columns = shape[0] // BLOCK, shape[1] // BLOCK
    y, x = np.mgrid[0 : rows + 1, 0 : columns + 1] * float(BLOCK)
    corners = np.column_stack([(x / shape[1]).ravel(), (y / shape[0]).ravel()])
    seen = project(homography, corners)
    depth = np.column_stack([corners, np.ones(len(corners))]) @ homography[2]
    scale = max(_density(homography, other, shape), 0.25)
    rim = 1.5 * scale / np.array([other[1], other[0]])
    whole = np.all((corners > 1e-6) & (corners < 1 - 1e-6), axis=1)
    # Where both images end together nothing is lost at the border; elsewhere a pixel is.
    margin = np.where(whole[:, None], rim, -rim)
    inside = np.all((seen >= margin) & (seen <= 1 - margin), axis=1) & (depth > 0)
    grid = inside.reshape(rows + 1, columns + 1)
    return np.asarray(grid[:-1, :-1] & grid[1:, :-1] & grid[:-1, 1:] & grid[1:, 1:])


def vote(frame: Pixels, moved: Pixels, shown: Mask, forward: Points) -> tuple[Points, Points]:
    """One step: each textured block says where it fits, and a homography is fitted to them.

    Args:
        frame: ``(h, w)`` uint8 grey.
        moved: ``(h, w)``, the other image in that frame.
        shown: the blocks that both show whole.
        forward: ``(3, 3)`` from the frame to the other image, in fractions.

    Returns:
        The homography after the step, and the votes as in `Registered.votes`, after it.
    """
    side = _VOTING if min(frame.shape[:2]) >= 6 * _VOTING else 2 * BLOCK
    one, two = frame.astype(np.float32), moved.astype(np.float32)
    height, width = one.shape[0] // side, one.shape[1] // side
    one, two = one[: height * side, : width * side], two[: height * side, : width * side]

    def means(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return block_means(values, side)

    def spread(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(np.repeat(np.repeat(values, side, axis=0), side, axis=1))

    one, two = one - spread(means(one)), two - spread(means(two))
    power, other, both = means(one * one), means(two * two), means(one * two)
    gain = np.asarray(both / np.maximum(other, 1.0), np.float32)
    correlation = both / np.sqrt(np.maximum(power * other, 1e-3))
    two = two * spread(gain)
    middle = (one + two) / np.float32(2)
    down: NDArray[np.float32] = np.gradient(middle, axis=0)
    across: NDArray[np.float32] = np.gradient(middle, axis=1)
    apart = two - one
    xx, yy, xy = means(across * across), means(down * down), means(across * down)
    xr, yr = means(across * apart), means(down * apart)
    determinant = xx * yy - xy * xy
    trace = xx + yy
    least = trace / 2 - np.sqrt(np.maximum(trace * trace / 4 - determinant, 0))
    ratio = side // BLOCK
    whole = block_means(shown[: height * ratio, : width * ratio].astype(np.float32), ratio) > 0.99
    good = whole & (least > 1.5) & (correlation > 0.5)
    if good.sum() < 6:
        return forward, np.empty((0, 3))
    # The step that moves `two` onto `one`: the frame's point p is found at p + d.
    dx = (yy * xr - xy * yr)[good] / determinant[good]
    dy = (xx * yr - xy * xr)[good] / determinant[good]
    y, x = np.mgrid[0:height, 0:width] * float(side) + side / 2
    at = np.column_stack([x[good] / frame.shape[1], y[good] / frame.shape[0]])
    aside = np.column_stack([dx, dy])
    size = np.array([frame.shape[1], frame.shape[0]], np.float64)
    update, left = _fitted(at, np.clip(aside, -3, 3) / size, np.sqrt(least[good]), size)
    return forward @ np.asarray(np.linalg.inv(update)), np.column_stack([at, left])


def _fitted(
    at: Points, aside: Points, weight: NDArray[np.float32], size: NDArray[np.float64]
) -> tuple[Points, NDArray[np.float64]]:
    """The homography that displaces points most like their votes, and the residual of each."""
    u, v = (at - 0.5).T
    one, zero = np.ones_like(u), np.zeros_like(u)
    full = len(at) >= 24
    rows_x = [u, v, one, zero, zero, zero]
    rows_y = [zero, zero, zero, u, v, one]
    if full:
        rows_x += [-u * u, -u * v]
        rows_y += [-u * v, -v * v]
    design = np.concatenate([np.column_stack(rows_x), np.column_stack(rows_y)])
    target = np.concatenate([aside[:, 0], aside[:, 1]])
    trust = np.minimum(weight, 8.0).astype(np.float64)
    for _ in range(4):
        w = np.concatenate([trust, trust])[:, None]
        solution = np.linalg.lstsq(design * w, target * w[:, 0], rcond=None)[0]
        rest = (target - design @ solution).reshape(2, -1).T * size
        distance = np.linalg.norm(rest, axis=1)
        scale = max(float(np.median(distance)) * 2, 0.1)
        trust = np.minimum(weight, 8.0) / np.maximum(1.0, distance / scale)
    if not full:
        solution = np.append(solution, [0.0, 0.0])
    step = np.eye(3) + np.append(solution, 0).reshape(3, 3)
    centre = np.array([[1.0, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    update = np.asarray(np.linalg.inv(centre)) @ step @ centre
    return update, distance
