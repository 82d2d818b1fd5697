"""Align two images to the pixel, which tells copies from two photos of the same scene.

Local features agree between two photos of a burst as well as between copies. Copies agree to the
pixel. Here the homography of geometric verification is refined by Gauss-Newton steps on pixels
normalised for local brightness and contrast (Lucas and Kanade, IJCAI 1981, composed as by Baker and
Matthews, IJCV 2004). Then two things are measured: whether small windows agree, and whether they
would agree better at some distance, as anything with depth does when the camera has moved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from math import exp
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.geometry import Points
from glocal.ranking.layers import (
    FLAT,
    WINDOW,
    Grey,
    Layers,
    Mask,
    Ragged,
    Stack,
    box,
    flattened,
    moments,
    slopes,
    smooth,
)

T = TypeVar("T")

SIDE = 128
"""Square root of the area of the images that are compared: the size of a thumbnail."""

_WIDE = 17
_HOPELESS = 0.5, 0.6
"""Correlations at half the size, after the first and the second step, below which no more is tried;
of 219 pairs of copies in 25 kinds of edits the least were .71 and .75."""

_UNLIKE = 0.2, 0.45
"""Correlations of all pixels at half the size, smoothed, before and after the first round, below
which no more is tried; docs/decisions.md has those of copies."""

_AT_ONCE = 24, 8  # pairs, at half the size and at the whole: what they need fits into a cache
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
    return align_all([(one, two, homography)])[0]


def align_all(pairs: Sequence[tuple[Layers, Layers, Points]]) -> list[Alignment]:
    """Align many pairs, as `align` does each, in a third of the time.

    Pairs whose first images have one shape are aligned together.
    """
    found = [_NOTHING] * len(pairs)
    alike: dict[tuple[int, int], list[int]] = {}
    for number, (one, two, _) in enumerate(pairs):
        if min(*one.shape, *two.shape) >= 2 * _WIDE:
            alike.setdefault(one.shape, []).append(number)
    for numbers in alike.values():
        hopeful = []
        for some in _portions(numbers, _AT_ONCE[0]):
            batch = _Batch(
                np.array(some),
                [pairs[i][0] for i in some],
                [pairs[i][1] for i in some],
                np.stack([pairs[i][2] for i in some]),
            )
            left = _coarsely(batch)
            hopeful += list(zip(left.numbers.tolist(), left.laid, strict=True))
        for few in _portions(hopeful, _AT_ONCE[1]):
            firsts = Stack(np.stack([pairs[i][0].image for i, _ in few]))
            seconds = [pairs[i][1].image for i, _ in few]
            aligned = _finely(firsts, seconds, np.stack([laid for _, laid in few]))
            for (number, _), one_found in zip(few, aligned, strict=True):
                found[number] = one_found
    return found


def _portions(items: list[T], size: int) -> Iterator[list[T]]:
    return (items[start : start + size] for start in range(0, len(items), size))


@dataclass(frozen=True, slots=True, eq=False)
class _Batch:
    """Pairs of images whose first ones have one shape, and how they are laid on one another."""

    numbers: NDArray[np.intp]
    firsts: list[Layers]
    seconds: list[Layers]
    laid: Points

    def only(self, those: Mask) -> _Batch:
        if those.all():
            return self
        kept = np.flatnonzero(those)
        firsts, seconds = [self.firsts[i] for i in kept], [self.seconds[i] for i in kept]
        return _Batch(self.numbers[kept], firsts, seconds, self.laid[kept])

    def layers(self, layer: Callable[[Layers], Grey]) -> tuple[Stack, list[Grey]]:
        """One layer of the first images and of the second ones."""
        return Stack(np.stack([layer(i) for i in self.firsts])), [layer(i) for i in self.seconds]


def _coarsely(batch: _Batch) -> _Batch:
    """Those pairs that may be copies as far as half the size tells, laid on one another by it."""
    for least in _UNLIKE:
        firsts, seconds = batch.layers(lambda image: image.coarsest)
        laid, agreeing = _refined(firsts, seconds, batch.laid, least)
        batch = replace(batch, laid=laid).only(agreeing)
        if not len(batch.numbers):
            return batch
    batch = batch.only(_agreement(batch) >= _HOPELESS[0])
    for _ in range(2):
        if not len(batch.numbers):
            return batch
        laid, _ = _refined(*batch.layers(lambda image: image.coarse), batch.laid)
        batch = replace(batch, laid=laid)
    return batch.only(_agreement(batch) >= _HOPELESS[1])


def _finely(firsts: Stack, seconds: list[Grey], laid: Points) -> list[Alignment]:
    """The alignments of pairs that lie on one another nearly."""
    smoothed = Stack(smooth(firsts.images, 3))
    laid, _ = _refined(smoothed, [smooth(image, 3) for image in seconds], laid)
    for _ in range(2):
        laid, _ = _refined(firsts, seconds, laid)
    found = _compared(firsts, seconds, laid)
    return [replace(each, homography=to) for each, to in zip(found, laid, strict=True)]


def _refined(
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
    moved, inside = _warped(seconds, laid, firsts.shape)
    inside = _whole(inside)
    both = np.count_nonzero(inside, axis=(1, 2))
    going = both >= _LEAST
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
    down, across, wanted, moved, inside = (
        (values if going.all() else values[going]).reshape(-1, height * width)
        for values in (*firsts.slopes, firsts.flattened, moved, inside)
    )
    count = min(_PIXELS, height * width // 4)
    power = (down * down + across * across) * inside
    chosen = np.argpartition(power, -count, axis=1)[:, -count:]
    down, across, wanted, counted = (
        np.take_along_axis(values, chosen, axis=1) for values in (down, across, wanted, inside)
    )
    pixels = Ragged(moved.reshape(-1, height, width))
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


def _agreement(batch: _Batch) -> NDArray[np.float64]:
    """Mean correlation of the windows that have texture and lie in both; 0 where too few do."""
    firsts, seconds = batch.layers(lambda image: image.half)
    moved, inside = _warped(seconds, batch.laid, firsts.shape)
    correlation, shared = _correlation(firsts, moved)
    shared &= _whole(inside)
    count = np.count_nonzero(shared, axis=(1, 2))
    sums = np.sum(correlation, axis=(1, 2), where=shared, dtype=np.float64)
    return np.where(count >= _LEAST, sums / np.maximum(count, 1), 0.0)


def _compared(firsts: Stack, seconds: list[Grey], laid: Points) -> list[Alignment]:
    moved, inside = _warped(seconds, laid, firsts.shape)
    inside = _whole(inside)
    correlation, textured = _correlation(firsts, moved)
    shared = textured & inside
    # One more step of Lucas and Kanade for each window by itself.
    flat, other = firsts.flattened, flattened(moved, *moments(moved))
    down, across = slopes(np.asarray((flat + other) / 2, np.float32))
    apart = flat - other
    xx, yy, xy, xr, yr = (
        box(np.where(inside, product, 0), _WIDE)
        for product in (across * across, down * down, across * down, across * apart, down * apart)
    )
    trace, determinant = xx + yy, np.maximum(xx * yy - xy * xy, 1e-9)
    least = trace / 2 - np.sqrt(np.maximum(trace * trace / 4 - determinant, 0))
    agree = shared & (least > 0.02) & (correlation > 0.5)  # 0.02: an edge can slide along itself
    aside = np.hypot(yy * xr - xy * yr, xx * yr - xy * xr) / determinant
    side = float(np.sqrt(firsts.shape[0] * firsts.shape[1]))
    found = []
    for number, both in enumerate(shared):
        if both.sum() < _LEAST:
            found.append(_NOTHING)
            continue
        mean, covered = float(correlation[number][both].mean()), float(both.mean())
        drift = float("inf")
        if agree[number].sum() >= _LEAST:
            drift = float(np.quantile(aside[number][agree[number]], 0.8)) / side
        found.append(Alignment(mean, drift, covered))
    return found


def _warped(images: list[Grey], laid: Points, shape: tuple[int, int]) -> tuple[Grey, Mask]:
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


def _whole(inside: Mask) -> Mask:
    """Where a whole window lies inside."""
    if inside.all():
        return inside
    return np.asarray(box(inside.astype(np.float32), WINDOW) > 0.999)


def _correlation(firsts: Stack, seconds: Grey) -> tuple[Grey, Mask]:
    """Correlation of each window of both, and whether it has any texture."""
    (mean, one), (other, two) = firsts.moments, moments(seconds)
    both = box(firsts.images * seconds, WINDOW) - mean * other
    textured = np.maximum(one, two) > FLAT**2
    return np.asarray(both / np.sqrt((one + 1) * (two + 1)), np.float32), textured


_CENTRED = np.array([[1.0, 0, -0.5], [0, 1, -0.5], [0, 0, 1]])
_UNCENTRED = np.linalg.inv(_CENTRED)
