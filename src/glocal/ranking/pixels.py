"""Does one image show all that the other shows? Asked of the pixels, in colour, everywhere.

Local features find where two images agree and never see where they do not. Here both are laid on
one another (`glocal.ranking.registration`) and compared block by block
(`glocal.ranking.differences`), over all that both show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np

from glocal.ranking.closely import compare_closely
from glocal.ranking.differences import Differences, boxes, differences
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.geometry import Points, project
from glocal.ranking.layers import Grey
from glocal.ranking.overlays import LEAST_OVERLAY, MOST_OVERLAY, overlay
from glocal.ranking.registration import Mask, Rgb, magnification, register
from glocal.ranking.tones import is_grey

MOST_DRIFT = 0.35
"""Pixels of the frame by which nine tenths of the blocks of a copy may be displaced at most.

Copies stay below .25 and those to which little was done below .15; the next photo of a burst, held
in the hand, is seldom below .4.
"""

LEAST_DRIFT = 0.12
"""The same of copies without any noise; each level of noise allows for `_DRIFT_OF_NOISE` more."""

_DRIFT_OF_NOISE = 0.05
_RESIZED = 0.02  # logarithm of the scale from which an image was resized
_STRONG_CHANGE = 8.0  # levels by which colours were changed so much that detail was, too

CERTAIN, DOUBTFUL = 0.99, 0.1
"""Probability of a copy whose pixels agree at least, and of one whose pixels do not at most."""

LEAST_WHOLE = 0.9
"""The least share of one of two copies that the other one shows too, unless its rest is plain."""

_LEAST_BEFORE, _LEAST_AFTER = 0.75, 0.86
"""The same by points alone and after small images were aligned, with room for their errors."""

_LEAST_DETERMINANT = 1e-12  # of a homography; one that is less has no inverse
_GRID, _FEW = 100, 40  # points along a side in which it is counted; some of them do for a guess
_LEAST_REST = 0.002  # of an image, that can be a border
_FLAT = 12  # levels by which the colours of a plain border differ at most
_PLAIN = 24  # and the grey levels of one in a small image

Box = tuple[float, float, float, float]

Whole: TypeAlias = Callable[[Points, int], tuple[Rgb, Rgb, bool] | None]
"""Gives both images at the full size of their files, and whether it is the full size; `None` if
there is no more to see. It is told the refined homography and the longer side, in pixels, at which
what both show was seen."""


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """How two images differ in what both show.

    Attributes:
        copied: whether both show the same: they lie on one another and differ nowhere, but for
            what was laid over one of them.
        homography: ``(3, 3)`` from the first image to the second, in fractions, refined.
        differing: rectangles around what differs: x, y, width, height, in fractions of the first.
        share: part of what both show that differs.
        overlaid: ``first`` or ``second`` where all that differs is text or a sticker laid over
            that one of two copies; empty otherwise.
        first_shown: part of the first image that the second one shows.
        second_shown: part of the second image that the first one shows.
        first_rest_flat: whether the rest of the first image is of one colour, as a border is.
        second_rest_flat: the same of the second.
        drift: see `Registered.drift`.
        noise: levels of 255 by which they differ all over.
        change: levels of 255 by which the colours were changed as a whole.
        first_grey: the first one has no colours and the second one has.
        second_grey: the other way round.
        sharper: detail of the first for that of the second in what both show.
        exact: not one pixel differs by more than rounding, at the size of the coarser one.
        mirrored: whether one is the other's mirror image.
        closely: whether a copy was compared at all the resolution that both images have.
    """

    copied: bool
    homography: Points
    differing: tuple[Box, ...]
    share: float
    overlaid: str
    first_shown: float
    second_shown: float
    first_rest_flat: bool
    second_rest_flat: bool
    drift: float
    noise: float
    change: float
    first_grey: bool
    second_grey: bool
    sharper: float
    exact: bool
    mirrored: bool = False
    closely: bool = True

    def turned(self) -> Comparison:
        """The same comparison with the second image first."""
        back = np.asarray(np.linalg.inv(self.homography))
        return replace(
            self,
            homography=back / back[2, 2],
            differing=tuple(_carried(box, self.homography) for box in self.differing),
            overlaid={"first": "second", "second": "first"}.get(self.overlaid, ""),
            first_shown=self.second_shown,
            second_shown=self.first_shown,
            first_rest_flat=self.second_rest_flat,
            second_rest_flat=self.first_rest_flat,
            first_grey=self.second_grey,
            second_grey=self.first_grey,
            sharper=1 / max(self.sharper, 1e-6),
        )


def compare_pixels(
    first: Rgb, second: Rgb, homography: Points, whole: Whole | None = None
) -> Comparison | None:
    """Compare two images in all that both show.

    Args:
        first: ``(h, w, 3)`` uint8 RGB.
        second: ``(h, w, 3)`` uint8 RGB.
        homography: from the first to the second, in fractions of width and height, right to about
            a percent.
        whole: asked where the images are copies as far as was seen.

    Returns:
        `None` where they have too little in common to be compared.
    """
    laid = register(first, second, homography)
    if laid is None:
        return None
    found = differences(laid.first, laid.second, laid.shown)
    differs = found.differs
    share = float(differs.sum() / max(laid.shown.sum(), 1))
    drift = laid.drift(differs)
    tones = found.tones
    lies = found.exact or drift <= _most_drift(found, magnification(first, second, laid.homography))
    seen = _seen(laid.homography)
    other_seen = _seen(np.asarray(np.linalg.inv(laid.homography)))
    shown, other_shown = float(seen.mean()), float(other_seen.mean())
    rest_flat, other_rest_flat = _is_flat(first, ~seen), _is_flat(second, ~other_seen)
    # Of two photos of one pile each shows what the other does not; a copy is shown whole.
    entire = max(shown, other_shown) >= LEAST_WHOLE or rest_flat or other_rest_flat
    overlaid = ""
    coloured = tones is not None and not tones.one_grey
    if lies and entire and coloured and LEAST_OVERLAY <= share < MOST_OVERLAY:
        overlaid = overlay(laid, differs)
    copied = lies and entire and (share == 0 or bool(overlaid))
    differing = tuple(_carried(box, laid.to_first) for box in boxes(differs))
    closely, side = True, max(laid.first.shape[:2])
    if copied and share == 0 and whole is not None and (asked := whole(laid.homography, side)):
        one, two, closely = asked
        close = compare_closely(one, two, laid.homography, found)
        copied, share, differing = close.alike, close.share, close.differing
        closely &= close.compared
    return Comparison(
        copied=copied,
        homography=laid.homography / laid.homography[2, 2],
        differing=differing,
        share=share,
        overlaid=overlaid,
        first_shown=shown,
        second_shown=other_shown,
        first_rest_flat=rest_flat,
        second_rest_flat=other_rest_flat,
        drift=drift,
        noise=found.noise,
        change=tones.change if tones else 255.0,
        first_grey=bool(tones and tones.first_grey and not tones.second_grey),
        second_grey=bool(tones and tones.second_grey and not tones.first_grey),
        sharper=found.sharper,
        exact=found.exact,
        mirrored=bool(np.linalg.det(laid.homography) * laid.homography[2, 2] < 0),
        closely=closely,
    )


def _most_drift(found: Differences, scale: float) -> float:
    """How much drift a copy may have: the less was done to it, the less.

    Args:
        found: what differs.
        scale: pixels of the second image for each of the first, along a side; an image that was
            resized was sampled anew, which displaces its edges by fractions of a pixel.
    """
    vague = max(found.sharper, 1 / max(found.sharper, 1e-6))
    if vague > 2:  # where one is far less sharp, a pixel says less
        return float(MOST_DRIFT * min(vague, 4.0) ** 0.5)
    if found.tones is not None and found.tones.change > _STRONG_CHANGE:
        return MOST_DRIFT
    if abs(np.log(max(scale, 1e-6))) > _RESIZED:
        return MOST_DRIFT
    return min(MOST_DRIFT, LEAST_DRIFT + _DRIFT_OF_NOISE * found.noise)


def confirm(evidence: Evidence, comparison: Comparison | None) -> Evidence:
    """Evidence of local features, put right by the pixels.

    Args:
        evidence: of a pair.
        comparison: of its pixels; `None` where they were not or could not be compared, and then
            nothing is a copy.
    """
    if comparison is not None and comparison.copied:
        # Agreement everywhere says more than the shape of the agreement of small grey images.
        chance = max(evidence.copy_probability, CERTAIN)
        a, b, c = (tuple(float(value) for value in row) for row in comparison.homography)
        return replace(
            evidence,
            verdict=Verdict.COPY,
            homography=((*a,), (*b,), (*c,)),  # type: ignore[arg-type]
            copy_probability=chance,
            same_probability=max(evidence.same_probability, chance),
        )
    verdict = evidence.verdict
    if verdict is Verdict.COPY:
        verdict = Verdict.SAME_OBJECT
    if comparison is not None:
        return replace(
            evidence, verdict=verdict, copy_probability=min(evidence.copy_probability, DOUBTFUL)
        )
    return replace(evidence, verdict=verdict, copy_probability=min(evidence.copy_probability, 0.5))


def may_be_shown_whole(homography: Points, first: Grey, second: Grey, sure: float) -> bool:
    """Whether one of two images may be shown whole by the other one, or its rest may be plain.

    A copy is; two photos of one shelf seldom are. This is seen without the files.

    Args:
        homography: from the first to the second, in fractions.
        first: ``(h, w)`` float32 grey, small.
        second: the other image, likewise.
        sure: how far the homography can be trusted: 0 of points alone, 1 after alignment.
    """
    if not np.isfinite(homography).all() or abs(np.linalg.det(homography)) < _LEAST_DETERMINANT:
        return False
    back = np.asarray(np.linalg.inv(homography))
    seen, other_seen = _seen(homography, _FEW), _seen(back, _FEW)
    if max(float(seen.mean()), float(other_seen.mean())) >= _LEAST_BEFORE + sure * (
        _LEAST_AFTER - _LEAST_BEFORE
    ):
        return True
    return any(
        _spread(image, ~shown) < _PLAIN for image, shown in ((first, seen), (second, other_seen))
    )


def has_colour(image: Rgb) -> bool:
    """Whether an image ``(h, w, 3)`` has more than shades of one colour."""
    step = max(1, int(np.sqrt(image.shape[0] * image.shape[1] / 10_000)))
    return not is_grey(image[::step, ::step].reshape(-1, 3).astype(np.float32))


def _seen(homography: Points, count: int = _GRID) -> Mask:
    """``(count, count)``: which points of a grid over an image the other one shows."""
    ticks = (np.arange(count) + 0.5) / count
    x, y = ticks[None], ticks[:, None]
    depth, across, down = (
        row[0] * x + (row[1] * y + row[2]) for row in (homography[2], homography[0], homography[1])
    )
    facing = depth * homography[2, 2] > 0
    depth = np.where(depth == 0, 1e-12, depth)
    across, down = across / depth, down / depth
    low, high = -0.003, 1.003
    inside = (across >= low) & (across <= high) & (down >= low) & (down <= high)
    return np.asarray(inside & facing)


def _is_flat(image: Rgb, rest: Mask) -> bool:
    """Whether the rest of an image is of one colour."""
    return bool(rest.mean() >= _LEAST_REST) and _spread(image, rest) < _FLAT


def _spread(image: Rgb | Grey, rest: Mask) -> float:
    """By how many levels the colours of a part of a grid over an image differ; 0 where it is tiny.

    Args:
        image: ``(h, w, 3)`` or ``(h, w)``.
        rest: ``(n, n)``, the part.
    """
    if rest.mean() < _LEAST_REST:
        return 0.0
    ticks = (np.arange(len(rest)) + 0.5) / len(rest)
    rows = (ticks * image.shape[0]).astype(int)
    columns = (ticks * image.shape[1]).astype(int)
    colours = image[rows[:, None], columns][rest].astype(np.float32).reshape(int(rest.sum()), -1)
    apart = np.abs(colours - np.median(colours, axis=0)).max(axis=1)
    return float(np.quantile(apart, 0.92))


def _carried(box: Box, homography: Points) -> Box:
    """The rectangle around a rectangle as seen in another image, cut at its borders."""
    x, y, width, height = box
    corners = np.array([[x, y], [x + width, y], [x + width, y + height], [x, y + height]])
    seen = np.clip(project(homography, corners), 0, 1)
    low, high = seen.min(axis=0), seen.max(axis=0)
    a, b, c, d = (float(value) for value in (*low, *(high - low)))
    return a, b, c, d
