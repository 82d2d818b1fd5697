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

SIDE = 128
"""Square root of the area of the images that are compared: the size of a thumbnail."""

_WINDOW = 9
_WIDE = 17
_FLAT = 2.0  # grey levels of standard deviation below which a window has no texture
_HOPELESS = 0.5, 0.6
"""Correlations at half the size, after the first and the second step, below which no more is tried;
of 219 pairs of copies in 25 kinds of edits the least were .71 and .75."""

_LEAST = 50  # pixels
_PIXELS = 2000  # with the steepest slopes, in which a homography is refined
_STEPS = 6
Grey = NDArray[np.float32]
Mask = NDArray[np.bool_]


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


def align(first: Grey, second: Grey, homography: Points) -> Alignment:
    """Align the second image with the first one and compare their pixels.

    Args:
        first: ``(h, w)`` float32 grey, about `SIDE` squared pixels; best the image that shows less.
        second: ``(h, w)`` float32 grey, the other image.
        homography: ``(3, 3)`` from the first to the second, in fractions of width and height,
            accurate to a few per cent.
    """
    if min(*first.shape, *second.shape) < 2 * _WIDE:
        return _NOTHING
    half, other_half = _halved(first), _halved(second)
    for blur, least in zip((5, 3), _HOPELESS, strict=True):
        homography = _refined(_smooth(half, blur), _smooth(other_half, blur), homography, 2)
        if _compared(half, other_half, homography).correlation < least:
            return _NOTHING
    homography = _refined(_smooth(first, 3), _smooth(second, 3), homography, 1)
    homography = _refined(first, second, homography, 2)
    return replace(_compared(first, second, homography), homography=homography)


def _refined(first: Grey, second: Grey, homography: Points, rounds: int) -> Points:
    """Gauss-Newton steps by which the second image comes to lie on the first one.

    In each round the second image is brought into the frame of the first one and freed from local
    contrast; then the homography within the frame is refined on the pixels that say most, in the
    inverse compositional way (Baker and Matthews, IJCV 2004), whose slopes stay the same.
    """
    target = _flattened(first)
    height, width = first.shape
    down, across = _slopes(target)
    ends = np.array([width - 1.0, height - 1.0])
    centre = np.array([[1.0, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
    back = np.linalg.inv(centre)
    for _ in range(rounds):
        moved, inside = _warped(second, homography, first.shape)
        inside = _whole(inside)
        if inside.sum() < _LEAST:
            break
        moved = _flattened(moved)
        power = np.where(inside, down * down + across * across, 0).ravel()
        count = min(_PIXELS, first.size // 4, int(inside.sum()))
        chosen = np.argpartition(power, -count)[-count:]
        y, x = np.divmod(chosen, width)
        u, v = x / ends[0] - 0.5, y / ends[1] - 0.5
        gu, gv = across.ravel()[chosen] * ends[0], down.ravel()[chosen] * ends[1]
        lean = gu * u + gv * v
        columns = np.stack([gu * u, gu * v, gu, gv * u, gv * v, gv, -lean * u, -lean * v])
        wanted = target.ravel()[chosen]
        within = np.eye(3)
        for _ in range(_STEPS):
            seen, there = _sampled(moved, within, u, v)
            residual = np.where(there, seen - wanted, 0)
            weighted = columns * (there / np.maximum(1.0, np.abs(residual) / 0.5))  # Huber's
            curve = weighted @ columns.T
            curve += np.eye(8) * (1e-3 * np.trace(curve) / 8 + 1e-6)
            step = np.clip(np.linalg.solve(curve, weighted @ residual), -0.1, 0.1)
            within = within @ np.linalg.inv(np.eye(3) + np.append(step, 0).reshape(3, 3))
            if np.abs(step).max() < 2e-4:
                break
        homography = homography @ back @ within @ centre
    return np.asarray(homography)


def _sampled(
    image: Grey, within: Points, u: NDArray[np.float64], v: NDArray[np.float64]
) -> tuple[NDArray[np.float64], Mask]:
    """Bilinear values of an image where a homography takes centred fractions, and their mask."""
    height, width = image.shape
    depth = within[2, 0] * u + within[2, 1] * v + within[2, 2]
    depth = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
    px = ((within[0, 0] * u + within[0, 1] * v + within[0, 2]) / depth + 0.5) * (width - 1)
    py = ((within[1, 0] * u + within[1, 1] * v + within[1, 2]) / depth + 0.5) * (height - 1)
    inside = (px >= 0) & (px <= width - 1) & (py >= 0) & (py <= height - 1)
    px, py = np.where(inside, px, 0), np.where(inside, py, 0)
    left = np.minimum(px.astype(np.intp), width - 2)
    top = np.minimum(py.astype(np.intp), height - 2)
    fx, fy = px - left, py - top
    flat, at = image.ravel(), top * width + left
    upper = flat[at] * (1 - fx) + flat[at + 1] * fx
    lower = flat[at + width] * (1 - fx) + flat[at + width + 1] * fx
    return upper * (1 - fy) + lower * fy, inside


def _compared(first: Grey, second: Grey, homography: Points) -> Alignment:
    moved, inside = _warped(second, homography, first.shape)
    inside = _whole(inside)
    correlation, textured = _correlation(first, moved)
    shared = textured & inside
    if shared.sum() < _LEAST:
        return _NOTHING
    mean = float(correlation[shared].mean())
    covered = float(shared.mean())
    # One more step of Lucas and Kanade for each window by itself.
    flat, other = _flattened(first), _flattened(moved)
    down, across = _slopes(np.asarray((flat + other) / 2, np.float32))
    apart = flat - other
    xx, yy, xy, xr, yr = (
        _box(np.where(inside, product, 0), _WIDE)
        for product in (across * across, down * down, across * down, across * apart, down * apart)
    )
    trace, determinant = xx + yy, np.maximum(xx * yy - xy * xy, 1e-9)
    least = trace / 2 - np.sqrt(np.maximum(trace * trace / 4 - determinant, 0))
    agree = shared & (least > 0.02) & (correlation > 0.5)  # 0.02: an edge can slide along itself
    if agree.sum() < _LEAST:
        return Alignment(mean, float("inf"), covered)
    aside = np.hypot(yy * xr - xy * yr, xx * yr - xy * xr)[agree] / determinant[agree]
    side = float(np.sqrt(first.size))
    return Alignment(mean, float(np.quantile(aside, 0.8)) / side, covered)


def _warped(image: Grey, homography: Points, shape: tuple[int, ...]) -> tuple[Grey, Mask]:
    """The image warped by a homography, bilinearly, and where it has pixels at all."""
    height, width = shape
    ends = np.array([image.shape[1] - 1.0, image.shape[0] - 1.0, 1.0])
    starts = np.array([1 / (width - 1), 1 / (height - 1), 1.0])
    warp = (ends[:, None] * homography * starts).astype(np.float32)
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        depth = warp[2, 0] * x + warp[2, 1] * y + warp[2, 2]
        px = (warp[0, 0] * x + warp[0, 1] * y + warp[0, 2]) / depth
        py = (warp[1, 0] * x + warp[1, 1] * y + warp[1, 2]) / depth
    inside = (px >= 0) & (px <= ends[0]) & (py >= 0) & (py <= ends[1]) & (depth > 0)
    px, py = np.asarray(np.where(inside, px, 0)), np.asarray(np.where(inside, py, 0))
    left = np.minimum(px.astype(np.intp), image.shape[1] - 2)
    top = np.minimum(py.astype(np.intp), image.shape[0] - 2)
    fx, fy = px - left, py - top
    upper = image[top, left] * (1 - fx) + image[top, left + 1] * fx
    lower = image[top + 1, left] * (1 - fx) + image[top + 1, left + 1] * fx
    return np.asarray(upper * (1 - fy) + lower * fy, np.float32), inside


def _slopes(image: Grey) -> tuple[Grey, Grey]:
    """Derivatives downwards and to the right, in grey levels per pixel."""
    return np.asarray(np.gradient(image, axis=0)), np.asarray(np.gradient(image, axis=1))


def _whole(inside: Mask) -> Mask:
    """Where a whole window lies inside."""
    return np.asarray(_box(inside.astype(np.float32), _WINDOW) > 0.999)


def _flattened(image: Grey) -> Grey:
    """The image normalised for local brightness and contrast."""
    mean = _box(image, _WINDOW)
    spread = np.sqrt(np.maximum(_box(image * image, _WINDOW) - mean * mean, 0))
    return np.asarray((image - mean) / (spread + _FLAT), np.float32)


def _correlation(first: Grey, second: Grey) -> tuple[Grey, Mask]:
    """Correlation of each window of both, and whether it has any texture."""
    mean, other = _box(first, _WINDOW), _box(second, _WINDOW)
    one = np.maximum(_box(first * first, _WINDOW) - mean * mean, 0)
    two = np.maximum(_box(second * second, _WINDOW) - other * other, 0)
    both = _box(first * second, _WINDOW) - mean * other
    textured = np.maximum(one, two) > _FLAT**2
    return np.asarray(both / np.sqrt((one + 1) * (two + 1)), np.float32), textured


def _halved(image: Grey) -> Grey:
    height, width = (side // 2 * 2 for side in image.shape)
    even = image[:height, :width]
    return np.asarray(even.reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3)), np.float32)


def _smooth(image: Grey, window: int) -> Grey:
    return _box(_box(image, window), window)


def _box(image: Grey, window: int) -> Grey:
    """The mean of each window, at the borders with the nearest pixels."""
    height, width = image.shape
    return np.asarray(_averaging(height, window) @ image @ _averaging(width, window).T)


@lru_cache(maxsize=256)
def _averaging(size: int, window: int) -> Grey:
    """``(size, size)``: the mean of each window of a line, as a matrix; fast for small images."""
    before, after = (window + 1) // 2 - 1, window // 2
    matrix = np.zeros((size, size), np.float32)
    at = np.arange(size)
    for step in range(-before, after + 1):
        np.add.at(matrix, (at, np.clip(at + step, 0, size - 1)), np.float32(1 / window))
    return matrix
