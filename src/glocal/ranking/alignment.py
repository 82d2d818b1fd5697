"""Align two images to the pixel, which tells copies from two photos of the same scene.

Local features agree between two photos of a burst as well as between copies. Copies agree to the
pixel. Here the homography of geometric verification is refined by Gauss-Newton steps on pixels
normalised for local brightness and contrast (Lucas and Kanade, IJCAI 1981, composed as by Baker and
Matthews, IJCV 2004). Then two things are measured: whether small windows agree, and whether they
would agree better at some distance, as anything with depth does when the camera has moved.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import exp

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.geometry import Points
from glocal.ranking.layers import (
    FLAT,
    WINDOW,
    Grey,
    Layer,
    Layers,
    Mask,
    box,
    flattened,
    moments,
    slopes,
    smooth,
)

SIDE = 128
"""Square root of the area of the images that are compared: the size of a thumbnail."""

_WIDE = 17
_HOPELESS = 0.5, 0.6
"""Correlations at half the size, after the first and the second step, below which no more is tried;
of 219 pairs of copies in 25 kinds of edits the least were .71 and .75."""

_UNLIKE = 0.2, 0.45
"""Correlations of all pixels at half the size, smoothed, before and after the first round, below
which no more is tried; docs/decisions.md has those of copies."""

_LEAST = 50  # pixels
_PIXELS = 2000  # with the steepest slopes, in which a homography is refined
_STEPS = 6


@dataclass(frozen=True, slots=True)
class Alignment:
    """How well one image agrees with another after alignment.

    Attributes:
        correlation: Mean over the windows that have texture and lie in both, in [-1, 1].
        drift: Distance within which four fifths of them agree best, as a fraction of the image's
            side; infinite where nothing agrees.
        covered: Share of the first image that those windows cover.
        homography: From the first image to the second, refined; `None` where nothing agrees.
    """

    correlation: float
    drift: float
    covered: float
    homography: Points | None = field(default=None, compare=False)

    @property
    def copy_probability(self) -> float:
        """Probability that both come from one photo: a logistic model of correlation and drift."""
        drift = min(self.drift * 128, 1.0)
        return 1 / (1 + exp(-(_BIAS + _CORRELATION * self.correlation + _DRIFT * drift)))

    @property
    def may_be_copy(self) -> bool:
        """Whether the pair is worth a look at the files themselves."""
        return self.copy_probability >= WORTH_READING

    def turned(self) -> Alignment:
        """The same with the homography from the second image to the first."""
        if self.homography is None:
            return self
        return replace(self, homography=np.asarray(np.linalg.inv(self.homography)))


# Fitted on edited copies against other views and look-alikes that geometry could not tell from
# them; docs/decisions.md has the measurements.
_BIAS, _CORRELATION, _DRIFT = -5.6, 9.9, -7.1
COPY_FROM = 0.6
"""The least probability at which two images are copies."""

WORTH_READING = 0.4
"""The least probability at which two images' files are compared in colour."""

LEAST_EXCESS = 3.0
"""Support beyond chance from which images are aligned; 1 copy in 90 has less."""

_NOTHING = Alignment(0.0, float("inf"), 0.0)


def align(first: Grey | Layers, second: Grey | Layers, homography: Points) -> Alignment:
    """Align the second image with the first one and compare their pixels.

    Args:
        first: ``(h, w)`` float32 grey, about `SIDE` squared pixels, or its layers where it is
            aligned with several; best the image that shows less.
        second: the other image, likewise.
        homography: ``(3, 3)`` from the first to the second, in fractions of width and height,
            accurate to a few per cent.
    """
    one = first if isinstance(first, Layers) else Layers(first)
    two = second if isinstance(second, Layers) else Layers(second)
    if min(*one.full.shape, *two.full.shape) < 2 * _WIDE:
        return _NOTHING
    laid = homography
    for least in _UNLIKE:
        laid, agreeing = _refined(one.coarsest, two.coarsest, laid, 1, least)
        if not agreeing:
            return _NOTHING
    if _agreement(one.half, two.half, laid) < _HOPELESS[0]:
        return _NOTHING
    laid, _ = _refined(one.coarse, two.coarse, laid, 2)
    if _agreement(one.half, two.half, laid) < _HOPELESS[1]:
        return _NOTHING
    full, other = one.full, two.full
    smoothed = Layer(smooth(full.image, 3)), Layer(smooth(other.image, 3))
    laid, _ = _refined(*smoothed, laid, 1)
    laid, _ = _refined(full, other, laid, 2)
    return replace(_compared(full, other, laid), homography=laid)


def _refined(
    first: Layer, second: Layer, homography: Points, rounds: int, least: float = -1.0
) -> tuple[Points, bool]:
    """Gauss-Newton steps by which the second image comes to lie on the first one.

    In each round the second image is brought into the frame of the first one and freed from local
    contrast; then the homography within the frame is refined on the pixels that say most, in the
    inverse compositional way (Baker and Matthews, IJCV 2004), whose slopes stay the same.

    Args:
        first: the one that stays.
        second: the one that moves.
        homography: from the first to the second, in fractions.
        rounds: how often.
        least: correlation of the pixels, before a round, below which it is not made.

    Returns:
        The homography, and whether all rounds were made.
    """
    for _ in range(rounds):
        moved, inside = _warped(second.image, homography, first.shape)
        inside = _whole(inside)
        both = int(np.count_nonzero(inside))
        if both < _LEAST:
            return homography, False
        flat = flattened(moved, *moments(moved))
        if least > -1 and _cosine(first.flattened, flat, inside) < least:
            return homography, False
        power = first.power if both == inside.size else first.power * inside.ravel()
        count = min(_PIXELS, inside.size // 4, both)
        chosen = np.argpartition(power, -count)[-count:]
        homography = homography @ _UNCENTRED @ _steps(first, flat, chosen) @ _CENTRED
    return homography, True


def _cosine(first: Grey, second: Grey, inside: Mask) -> float:
    """The cosine of the angle between the pixels of two images where a mask says so."""
    one, two = first[inside], second[inside]
    return float(one @ two / np.sqrt(max(float(one @ one) * float(two @ two), 1e-12)))


def _steps(first: Layer, moved: Grey, chosen: NDArray[np.intp]) -> Points:
    """The homography, in centred fractions, that brings some pixels to where they agree best."""
    height, width = moved.shape
    down, across = first.slopes
    y, x = np.divmod(chosen, width)
    at = np.ones((3, len(chosen)), np.float32)
    at[0], at[1] = x * (1 / (width - 1)) - 0.5, y * (1 / (height - 1)) - 0.5
    u, v = at[0], at[1]
    gu = across.ravel()[chosen] * np.float32(width - 1)
    gv = down.ravel()[chosen] * np.float32(height - 1)
    columns = np.empty((8, len(chosen)), np.float32)
    columns[0], columns[1], columns[2] = gu * u, gu * v, gu
    columns[3], columns[4], columns[5] = gv * u, gv * v, gv
    lean = columns[0] + columns[4]
    columns[6], columns[7] = -lean * u, -lean * v
    wanted = first.flattened.ravel()[chosen]
    to_pixels = np.array(
        [[width - 1.0, 0, (width - 1) / 2], [0, height - 1.0, (height - 1) / 2], [0, 0, 1]]
    )
    within = np.eye(3)
    for _ in range(_STEPS):
        seen, there = _sampled(moved, (to_pixels @ within).astype(np.float32) @ at)
        residual = seen - wanted
        # Huber's weights.
        weights = np.float32(0.5) / np.maximum(np.abs(residual), np.float32(0.5))
        weights *= there
        weighted = columns * weights
        curve = (weighted @ columns.T).astype(np.float64)
        diagonal = curve.reshape(-1)[::9]
        diagonal += 1e-3 / 8 * diagonal.sum() + 1e-6
        aside = (weighted @ residual).astype(np.float64)
        step = np.clip(np.linalg.solve(curve, aside), -0.1, 0.1)
        within = within @ _undone(step)
        if np.abs(step).max() < 2e-4:
            break
    return within


def _undone(step: NDArray[np.float64]) -> Points:
    """The inverse of a small step, as a homography, up to a factor near 1."""
    a, b, c, d, e, f, g, h = step.tolist()
    a, e = a + 1, e + 1
    rows = [e - f * h, c * h - b, b * f - c * e]
    rows += [f * g - d, a - c * g, c * d - a * f]
    rows += [d * h - e * g, b * g - a * h, a * e - b * d]
    return np.array(rows).reshape(3, 3)


def _sampled(image: Grey, at: Grey) -> tuple[Grey, Mask]:
    """Bilinear values of an image at homogeneous pixels ``(3, n)``, and whether they are in it."""
    depth = at[2]
    depth = np.where(np.abs(depth) < 1e-6, np.float32(1e-6), depth)
    return _bilinear(image, at[0] / depth, at[1] / depth)


def _bilinear(image: Grey, px: Grey, py: Grey, facing: Mask | None = None) -> tuple[Grey, Mask]:
    """Values at pixels, 0 or near the border where they are not in the image, and which are."""
    height, width = image.shape
    inside = (px >= 0) & (px <= width - 1) & (py >= 0) & (py <= height - 1)
    if facing is not None:
        inside &= facing
    if not inside.all():
        px, py = np.where(inside, px, np.float32(0)), np.where(inside, py, np.float32(0))
    left = np.minimum(np.floor(px), np.float32(width - 2))
    top = np.minimum(np.floor(py), np.float32(height - 2))
    fx, fy = px - left, py - top
    at = (top * np.float32(width) + left).astype(np.intp)
    flat = image.ravel()
    upper, lower = flat.take(at), flat.take(at + width)
    upper += fx * (flat.take(at + 1) - upper)
    lower += fx * (flat.take(at + (width + 1)) - lower)
    upper += fy * (lower - upper)
    return upper, inside


def _agreement(first: Layer, second: Layer, homography: Points) -> float:
    """Mean correlation of the windows that have texture and lie in both; 0 where too few do."""
    moved, inside = _warped(second.image, homography, first.shape)
    correlation, shared = _correlation(first, moved)
    shared &= _whole(inside)
    count = int(np.count_nonzero(shared))
    return float(correlation[shared].sum(dtype=np.float64) / count) if count >= _LEAST else 0.0


def _compared(first: Layer, second: Layer, homography: Points) -> Alignment:
    moved, inside = _warped(second.image, homography, first.shape)
    inside = _whole(inside)
    correlation, textured = _correlation(first, moved)
    shared = textured & inside
    if shared.sum() < _LEAST:
        return _NOTHING
    mean = float(correlation[shared].mean())
    covered = float(shared.mean())
    # One more step of Lucas and Kanade for each window by itself.
    flat, other = first.flattened, flattened(moved, *moments(moved))
    down, across = slopes(np.asarray((flat + other) / 2, np.float32))
    apart = flat - other
    xx, yy, xy, xr, yr = (
        box(np.where(inside, product, 0), _WIDE)
        for product in (across * across, down * down, across * down, across * apart, down * apart)
    )
    trace, determinant = xx + yy, np.maximum(xx * yy - xy * xy, 1e-9)
    least = trace / 2 - np.sqrt(np.maximum(trace * trace / 4 - determinant, 0))
    agree = shared & (least > 0.02) & (correlation > 0.5)  # 0.02: an edge can slide along itself
    if agree.sum() < _LEAST:
        return Alignment(mean, float("inf"), covered)
    aside = np.hypot(yy * xr - xy * yr, xx * yr - xy * xr)[agree] / determinant[agree]
    side = float(np.sqrt(flat.size))
    return Alignment(mean, float(np.quantile(aside, 0.8)) / side, covered)


def _warped(image: Grey, homography: Points, shape: tuple[int, int]) -> tuple[Grey, Mask]:
    """The image warped by a homography, bilinearly, and where it has pixels at all."""
    height, width = shape
    ends = np.array([image.shape[1] - 1.0, image.shape[0] - 1.0, 1.0])
    starts = np.array([1 / (width - 1), 1 / (height - 1), 1.0])
    warp = (ends[:, None] * homography * starts).astype(np.float32)
    y, x = _axes(height, width)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        depth = warp[2, 0] * x + (warp[2, 1] * y + warp[2, 2])
        px = (warp[0, 0] * x + (warp[0, 1] * y + warp[0, 2])) / depth
        py = (warp[1, 0] * x + (warp[1, 1] * y + warp[1, 2])) / depth
    return _bilinear(image, px, py, depth > 0)


@lru_cache(maxsize=256)
def _axes(height: int, width: int) -> tuple[Grey, Grey]:
    """``(height, 1)`` and ``(1, width)``: the numbers of rows and of columns."""
    y, x = np.arange(height, dtype=np.float32), np.arange(width, dtype=np.float32)
    return y[:, None], x[None]


def _whole(inside: Mask) -> Mask:
    """Where a whole window lies inside."""
    if inside.all():
        return inside
    return np.asarray(box(inside.astype(np.float32), WINDOW) > 0.999)


def _correlation(first: Layer, second: Grey) -> tuple[Grey, Mask]:
    """Correlation of each window of both, and whether it has any texture."""
    (mean, one), (other, two) = first.moments, moments(second)
    both = box(first.image * second, WINDOW) - mean * other
    textured = np.maximum(one, two) > FLAT**2
    return np.asarray(both / np.sqrt((one + 1) * (two + 1)), np.float32), textured


_CENTRED = np.array([[1.0, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
_UNCENTRED = np.linalg.inv(_CENTRED)
