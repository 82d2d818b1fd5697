"""Text, a sticker or a watermark laid over a copy, told from a place that shows another thing.

What is laid over is of a few flat colours, or a veil; and what it covers goes on around it, as a
photo does around a sticker. The label of another bottle or the painting in another frame ends where
the difference ends, in both images.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.registration import BLOCK, Mask, Registered, block_means

LEAST_OVERLAY, MOST_OVERLAY = 0.004, 0.6
"""Share of the overlap that text or a sticker covers; a digit that differs is neither."""

# docs/decisions.md has what edits and variants of one thing have.
_LEAST_ALIKE = 0.4  # overlap of the histograms of what is covered and what is around it
_MOST_STEP, _MOST_MEDIAN_STEP = 1.45, 2.1  # over its border, for steps beside it
_NOISE_LEVELS = 2.0


def overlay(laid: Registered, differs: Mask) -> str:
    """Which of both has all that differs laid over it: ``first``, ``second`` or neither, ``""``.

    Args:
        laid: both images in one frame.
        differs: ``(h / BLOCK, w / BLOCK)``, the blocks that differ.
    """
    wide = np.repeat(np.repeat(differs, BLOCK, axis=0), BLOCK, axis=1)
    one, two = laid.first.astype(np.float32), laid.second.astype(np.float32)
    apart = np.abs(one - two).max(axis=-1)
    pixels = wide & (apart > 24)
    if pixels.sum() < 16:
        return ""
    around = _grown(differs, 2) & ~_grown(differs, 0) & laid.shown
    ring = np.repeat(np.repeat(around, BLOCK, axis=0), BLOCK, axis=1)
    flat = (
        _laid_over(one[pixels], two[pixels], one[ring]),
        _laid_over(two[pixels], one[pixels], two[ring]),
    )
    if flat == (True, False) and _goes_on(two, pixels, ring, differs, laid.shown):
        return "first"
    if flat == (False, True) and _goes_on(one, pixels, ring, differs, laid.shown):
        return "second"
    return ""


def _goes_on(
    beneath: NDArray[np.float32], covered: Mask, ring: Mask, differs: Mask, shown: Mask
) -> bool:
    """Whether what is said to be covered goes on around it.

    Args:
        beneath: ``(h, w, 3)`` levels of the image without what is laid over.
        covered: ``(h, w)``, the pixels that differ.
        ring: ``(h, w)``, those around them.
        differs: the blocks that differ.
        shown: the blocks that both images show.
    """
    alike = np.minimum(_histogram(beneath[covered]), _histogram(beneath[ring])).sum()
    if alike < _LEAST_ALIKE:
        return False
    colours = block_means(beneath)
    around, near = shown & ~differs, _grown(differs, 4) & shown
    across, along = [], []
    for axis in (0, 1):
        ends = [
            tuple(slice(None) if i != axis else part for i in range(2))
            for part in (slice(None, -2), slice(2, None))
        ]
        steps = np.abs(colours[ends[0]] - colours[ends[1]]).max(axis=-1)
        in_one, in_other = (differs[end] for end in ends)
        out_one, out_other = (around[end] for end in ends)
        close = near[ends[0]] & near[ends[1]]
        across.append(steps[(in_one & out_other) | (out_one & in_other)])
        along.append(steps[((in_one & in_other) | (out_one & out_other)) & close])
    border, rest = np.concatenate(across), np.concatenate(along)
    if not len(border) or not len(rest):
        return False
    mean = (border.mean() + _NOISE_LEVELS) / (rest.mean() + _NOISE_LEVELS)
    median = (np.median(border) + _NOISE_LEVELS) / (np.median(rest) + _NOISE_LEVELS)
    return bool(mean <= _MOST_STEP and median <= _MOST_MEDIAN_STEP)


def _grown(differs: Mask, by: int) -> Mask:
    padded = np.pad(differs, by)
    rows, columns = differs.shape
    out = np.zeros_like(differs)
    for dy in range(2 * by + 1):
        for dx in range(2 * by + 1):
            out |= padded[dy : dy + rows, dx : dx + columns]
    return out


def _laid_over(
    colours: NDArray[np.float32], beneath: NDArray[np.float32], ring: NDArray[np.float32]
) -> bool:
    """Whether colours ``(n, 3)`` are a few that the surroundings lack, or a veil of one colour."""
    few = _histogram(colours)
    if np.sort(few)[::-1][:4].sum() >= 0.8:
        # A plain background that something stands before in the other image goes on around it.
        return len(ring) > 0 and float(np.minimum(few, _histogram(ring)).sum()) < 0.3
    # A veil: what is beneath shows through it, weaker, and all of it is paler or all is darker.
    paler = float(np.mean(colours.sum(axis=1) > beneath.sum(axis=1)))
    x, y = beneath - beneath.mean(axis=0), colours - colours.mean(axis=0)
    power, other, both = float((x * x).sum()), float((y * y).sum()), float((x * y).sum())
    slope = both / max(power, 1.0)
    alike = both / max(np.sqrt(power * other), 1.0)
    return 0.1 < slope < 0.85 and alike > 0.7 and not 0.1 < paler < 0.9


def _histogram(colours: NDArray[np.float32]) -> NDArray[np.float64]:
    coarse = (colours // 32).astype(int) @ (64, 8, 1)
    return np.bincount(coarse, minlength=512) / max(len(colours), 1)
