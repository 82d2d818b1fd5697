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
from math import exp
from operator import attrgetter
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
    Stack,
    box,
    flattened,
    moments,
    slopes,
)
from glocal.ranking.lucas_kanade import LEAST_PIXELS, refined, warped, whole

T = TypeVar("T")

SIDE = 128
"""Square root of the area of the images that are compared: the size of a thumbnail."""

_WIDE = 17
_HOPELESS = 0.5
"""Correlation at half the size, after the first steps, below which no more is tried; of 767 pairs
of copies in 25 kinds of edits the least was .57."""

_ADRIFT = 0.55
"""The same after the last steps at that size, less half of the drift in its pixels; of those pairs
the least was .65."""

_UNLIKE = 0.2, 0.45
"""Correlations of all pixels at half the size, smoothed, before and after the first round, below
which no more is tried; docs/decisions.md has those of copies."""

_ROUGHLY, _NEARLY = 0.3, 0.8  # how sure a homography is after the first rounds and after all

_AT_ONCE = 24, 8  # pairs, at half the size and at the whole: what they need fits into a cache


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


def align_all(
    pairs: Sequence[tuple[Layers, Layers, Points]],
    possible: Callable[[int, Points, float], bool] | None = None,
) -> list[Alignment]:
    """Align many pairs, as `align` does each, in a third of the time.

    Pairs whose first images have one shape are aligned together.

    Args:
        pairs: as the arguments of `align`.
        possible: whether a pair may still be copies; told its number, its homography so far and how
            sure that is, in [0, 1]. What may not is aligned no further.
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
            left = _coarsely(batch, possible)
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


_coarsest, _coarse, _half = attrgetter("coarsest"), attrgetter("coarse"), attrgetter("half")


def _coarsely(batch: _Batch, possible: Callable[[int, Points, float], bool] | None) -> _Batch:
    """Those pairs that may be copies as far as half the size tells, laid on one another there."""

    def still(sure: float) -> Mask:
        if possible is None:
            return np.ones(len(batch.numbers), np.bool_)
        each = zip(batch.numbers.tolist(), batch.laid, strict=True)
        return np.array([possible(number, to, sure) for number, to in each], np.bool_)

    for least in _UNLIKE:
        firsts, seconds = batch.layers(_coarsest)
        laid, agreeing = refined(firsts, seconds, batch.laid, least)
        batch = replace(batch, laid=laid).only(agreeing)
        if not len(batch.numbers):
            return batch
    batch = batch.only(still(_ROUGHLY))
    if not len(batch.numbers):
        return batch
    batch = batch.only(_agreement(batch) >= _HOPELESS)
    for layer in (_coarse, _coarse, _half, _half):
        if not len(batch.numbers):
            return batch
        laid, _ = refined(*batch.layers(layer), batch.laid)
        batch = replace(batch, laid=laid)
    batch = batch.only(still(_NEARLY))
    if not len(batch.numbers):
        return batch
    firsts, seconds = batch.layers(_half)
    found = _compared(firsts, seconds, batch.laid)
    side = np.sqrt(firsts.shape[0] * firsts.shape[1])
    hopeful = [each.correlation - 0.5 * min(each.drift * side, 1.0) for each in found]
    return batch.only(np.array(hopeful) >= _ADRIFT)


def _finely(firsts: Stack, seconds: list[Grey], laid: Points) -> list[Alignment]:
    """The alignments of pairs that lie on one another nearly."""
    for _ in range(2):
        laid, _ = refined(firsts, seconds, laid)
    found = _compared(firsts, seconds, laid)
    return [replace(each, homography=to) for each, to in zip(found, laid, strict=True)]


def _agreement(batch: _Batch) -> NDArray[np.float64]:
    """Mean correlation of the windows that have texture and lie in both; 0 where too few do."""
    firsts, seconds = batch.layers(_half)
    moved, inside = warped(seconds, batch.laid, firsts.shape)
    correlation, shared = _correlation(firsts, moved)
    shared &= whole(inside)
    count = np.count_nonzero(shared, axis=(1, 2))
    sums = np.sum(correlation, axis=(1, 2), where=shared, dtype=np.float64)
    return np.where(count >= LEAST_PIXELS, sums / np.maximum(count, 1), 0.0)


def _compared(firsts: Stack, seconds: list[Grey], laid: Points) -> list[Alignment]:
    moved, inside = warped(seconds, laid, firsts.shape)
    inside = whole(inside)
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
        if both.sum() < LEAST_PIXELS:
            found.append(_NOTHING)
            continue
        mean, covered = float(correlation[number][both].mean()), float(both.mean())
        drift = float("inf")
        if agree[number].sum() >= LEAST_PIXELS:
            drift = float(np.quantile(aside[number][agree[number]], 0.8)) / side
        found.append(Alignment(mean, drift, covered))
    return found


def _correlation(firsts: Stack, seconds: Grey) -> tuple[Grey, Mask]:
    """Correlation of each window of both, and whether it has any texture."""
    (mean, one), (other, two) = firsts.moments, moments(seconds)
    both = box(firsts.images * seconds, WINDOW) - mean * other
    textured = np.maximum(one, two) > FLAT**2
    return np.asarray(both / np.sqrt((one + 1) * (two + 1)), np.float32), textured
