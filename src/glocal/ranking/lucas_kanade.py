"""Lay images on one another by Gauss-Newton steps on their pixels, many pairs at once.

Pixels are normalised for local brightness and contrast (Lucas and Kanade, IJCAI 1981, composed as
by Baker and Matthews, IJCV 2004).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.geometry import Points
from glocal.ranking.layers import WINDOW, Grey, Mask, Ragged, Stack, box, flattened, moments

LEAST_PIXELS = 50
"""Pixels that two images have in common at least."""

_PIXELS = 2000  # with the steepest slopes, in which a homography is refined
_STEPS = 4


def refined(
    firsts: Stack, seconds: list[Grey], laid: Points, least: float = -1.0
) -> tuple[Points, Mask]:
    """Gauss-Newton steps by which each second image comes to lie on its first one.

    The second image is brought into the frame of the first one and freed from local
    contrast; then the homography within the frame is refined on the pixels that say most, in the
    inverse compositional way (Baker and Matthews, IJCV 2004), whose slopes stay the same.

    Args:
        firsts: those that stay.
        seconds: those that move.
        laid: ``(n, 3, 3)`` from the first to the second, in fractions.
        least: correlation of the pixels, before, below which no step is made.

    Returns:
        The homographies, and which pairs have enough in common and correlate.
    """
    moved, inside = warped(seconds, laid, firsts.shape)
    inside = whole(inside)
    both = np.count_nonzero(inside, axis=(1, 2))
    going = both >= LEAST_PIXELS
    flat = flattened(moved, *moments(moved))
    if least > -1:
        going &= _cosine(firsts.flattened, flat, inside) >= least
    laid = laid.copy()
    if going.any():
        steps = _steps(firsts, flat, inside, going)
        laid[going] = laid[going] @ _UNCENTRED @ steps @ _CENTRED
    return laid, going


def _cosine(first: Grey, second: Grey, inside: Mask) -> Grey:
    """The cosines of the angles between the pixels of images where a mask says so."""
    one, two = first * inside, second * inside

    def dot(a: Grey, b: Grey) -> Grey:
        return np.asarray(np.einsum("nhw,nhw->n", a, b))

    return np.asarray(dot(one, two) / np.sqrt(np.maximum(dot(one, one) * dot(two, two), 1e-12)))


def _steps(firsts: Stack, moved: Grey, inside: Mask, going: Mask) -> Points:
    """The homographies, in centred fractions, that bring pixels to where they agree best.

    Args:
        firsts: those that stay.
        moved: ``(n, h, w)``, the others in their frames, flattened.
        inside: ``(n, h, w)``, where they are.
        going: ``(n,)``, which ones are wanted.
    """
    height, width = firsts.shape
    pixels = Ragged(list(moved[going]))
    shown = inside[going].reshape(-1, height * width)
    down, across, wanted = (
        values[going].reshape(-1, height * width) for values in (*firsts.slopes, firsts.flattened)
    )
    count = min(_PIXELS, height * width // 4)
    power = (down * down + across * across) * shown
    chosen = np.argpartition(power, -count, axis=1)[:, -count:]
    down, across, wanted = (
        np.take_along_axis(values, chosen, axis=1) for values in (down, across, wanted)
    )
    counted = np.take_along_axis(shown, chosen, axis=1)
    y, x = np.divmod(chosen, width)
    at = np.ones((len(chosen), 3, count), np.float32)
    u = np.subtract(x * (1 / (width - 1)), 0.5, out=at[:, 0], casting="same_kind")
    v = np.subtract(y * (1 / (height - 1)), 0.5, out=at[:, 1], casting="same_kind")
    gu, gv = across * np.float32(width - 1), down * np.float32(height - 1)
    lean = gu * u + gv * v
    columns = np.stack(
        [gu * u, gu * v, gu, gv * u, gv * v, gv, -lean * u, -lean * v], axis=1, dtype=np.float32
    )
    turned = columns.transpose(0, 2, 1)
    to_pixels = np.array(
        [[width - 1.0, 0, (width - 1) / 2], [0, height - 1.0, (height - 1) / 2], [0, 0, 1]]
    )
    within = np.tile(np.eye(3), (len(chosen), 1, 1))
    moving = np.ones(len(chosen), np.bool_)
    diagonal = np.arange(8)
    for _ in range(_STEPS):
        seen, there = _projected(pixels, (to_pixels @ within).astype(np.float32) @ at)
        residual = seen - wanted
        # Huber's weights.
        weights = np.float32(0.5) / np.maximum(np.abs(residual), np.float32(0.5))
        weights *= there & counted
        weighted = columns * weights[:, None]
        curve = (weighted @ turned).astype(np.float64)
        trace = np.trace(curve, axis1=1, axis2=2)[:, None]
        curve[:, diagonal, diagonal] += 1e-3 / 8 * trace + 1e-6
        aside = (weighted @ residual[..., None]).astype(np.float64)
        step = np.clip(np.linalg.solve(curve, aside)[..., 0], -0.1, 0.1)
        step[~moving] = 0
        within = within @ _undone(step)
        moving &= np.abs(step).max(axis=1) >= 2e-4
        if not moving.any():
            break
    return within


def _undone(step: NDArray[np.float64]) -> Points:
    """The inverses of small steps ``(n, 8)``, as homographies, up to a factor near 1."""
    a, b, c, d, e, f, g, h = step.T
    a, e = a + 1, e + 1
    rows = [e - f * h, c * h - b, b * f - c * e]
    rows += [f * g - d, a - c * g, c * d - a * f]
    rows += [d * h - e * g, b * g - a * h, a * e - b * d]
    return np.stack(rows, axis=1).reshape(-1, 3, 3)


def _projected(images: Ragged, at: Grey) -> tuple[Grey, Mask]:
    """Bilinear values of images at homogeneous pixels ``(n, 3, m)``, and whether they are there."""
    depth = at[:, 2]
    depth = np.where(np.abs(depth) < 1e-6, np.float32(1e-6), depth)
    return images.sampled(at[:, 0] / depth, at[:, 1] / depth)


def warped(images: list[Grey], laid: Points, shape: tuple[int, int]) -> tuple[Grey, Mask]:
    """Images warped by homographies, bilinearly, and where they have pixels at all.

    Returns:
        ``(n, h, w)`` each.
    """
    height, width = shape
    pixels = Ragged(images)
    ends = np.ones((len(images), 3, 1))
    ends[:, :2, 0] = pixels.sizes - 1
    starts = np.array([1 / (width - 1), 1 / (height - 1), 1.0])
    warp = (ends * laid * starts).astype(np.float32)[..., None, None]
    y, x = _axes(height, width)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        depth = warp[:, 2, 0] * x + (warp[:, 2, 1] * y + warp[:, 2, 2])
        px = (warp[:, 0, 0] * x + (warp[:, 0, 1] * y + warp[:, 0, 2])) / depth
        py = (warp[:, 1, 0] * x + (warp[:, 1, 1] * y + warp[:, 1, 2])) / depth
    px, py, depth = (values.reshape(len(images), -1) for values in (px, py, depth))
    values, inside = pixels.sampled(px, py, depth > 0)
    return values.reshape(-1, height, width), inside.reshape(-1, height, width)


@lru_cache(maxsize=256)
def _axes(height: int, width: int) -> tuple[Grey, Grey]:
    """``(height, 1)`` and ``(1, width)``: the numbers of rows and of columns."""
    y, x = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    return y[:, None], x[None]


def whole(inside: Mask) -> Mask:
    """Where a whole window lies inside."""
    if inside.all():
        return inside
    return np.asarray(box(inside.astype(np.float32), WINDOW) > 0.999)


_CENTRED = np.array([[1.0, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
_UNCENTRED = np.linalg.inv(_CENTRED)
