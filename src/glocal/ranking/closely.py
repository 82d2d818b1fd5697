"""Compare two copies at all the resolution that both have, tile by tile.

A scanned page with another digit, a photo with another date in its corner, a long chat with another
word: at a thousand pixels all of them are alike. Who calls one of two files superfluous has to
compare as much as both of them show.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from glocal.ranking.differences import Differences, boxes, differences
from glocal.ranking.geometry import Points, project
from glocal.ranking.registration import (
    BLOCK,
    Rgb,
    luma,
    magnification,
    overlap_grid,
    shown_blocks,
    vote,
    warp,
)

MOST_DRIFT = 1.0
"""Pixels by which nine tenths of the blocks may lie from where they agree best."""

_TILE = 1024  # pixels of the side of a tile, at most
_BEYOND = 12  # pixels of a tile's side around it that are read of the other image
_RIM = 4  # pixels by which the other image is continued beyond its border
_MOST_BOXES = 24
_LEAST_VOTES = 12
_MOST_STEP = 3.0  # pixels by which a tile's own homography may leave that of the whole

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Close:
    """What comparing at full size found.

    Attributes:
        differing: rectangles around what differs, in fractions of the first image.
        share: part of what was compared that differs.
        drift: pixels by which nine tenths of the blocks lie from where they agree best at most.
        compared: whether anything was: not what is shown by less than a block.
    """

    differing: tuple[Box, ...]
    share: float
    drift: float
    compared: bool

    @property
    def alike(self) -> bool:
        """Whether nothing differs."""
        return not self.differing and self.drift <= MOST_DRIFT


def compare_closely(first: Rgb, second: Rgb, homography: Points, found: Differences) -> Close:
    """Compare two images everywhere at the size of the coarser one.

    Args:
        first: ``(h, w, 3)`` uint8 RGB.
        second: ``(h, w, 3)`` uint8 RGB.
        homography: from the first to the second, in fractions, right to a fraction of a pixel of
            the frame in which both were laid on one another before.
        found: what that comparison found: its rule for the colours holds.

    Stops where enough differs.
    """
    swapped = magnification(first, second, homography) < 1
    frame, other, forward = first, second, homography
    if swapped:
        frame, other, forward = second, first, np.asarray(np.linalg.inv(homography))
    differing: list[Box] = []
    votes: list[Points] = []
    compared = differs = 0
    for tile in _tiles(frame.shape, forward):
        laid = _laid(frame, other, forward, tile)
        if laid is None:
            continue
        one, two, shown, some = laid
        votes.append(some)
        pair = (two, one) if swapped else (one, two)
        there = differences(*pair, shown, found).differs
        compared += int(shown.sum())
        differs += int(there.sum())
        left, top, width, height = tile
        sides = np.array([frame.shape[1], frame.shape[0]])
        for x, y, w, h in boxes(there, _MOST_BOXES):
            low = np.array([left + x * width, top + y * height]) / sides
            high = low + np.array([w * width, h * height]) / sides
            corners = np.array([low, (high[0], low[1]), (low[0], high[1]), high])
            if swapped:
                corners = np.clip(project(forward, corners), 0, 1)
            (x0, y0), (x1, y1) = corners.min(axis=0), corners.max(axis=0)
            differing.append((float(x0), float(y0), float(x1 - x0), float(y1 - y0)))
        if len(differing) >= _MOST_BOXES:
            break
    every = np.concatenate(votes) if votes else np.empty((0, 3))
    drift = float(np.quantile(every[:, 2], 0.9)) if len(every) >= _LEAST_VOTES else 0.0
    share = differs / max(compared, 1)
    return Close(tuple(differing[:_MOST_BOXES]), share, drift, compared > 0)


def _tiles(shape: tuple[int, ...], forward: Points) -> Iterator[tuple[int, int, int, int]]:
    """Left, top, width and height of the tiles of what both show, in pixels of the frame."""
    inside = overlap_grid(forward)
    if not len(inside):
        return
    sides = np.array([shape[1], shape[0]])
    low = np.floor(np.maximum(inside.min(axis=0) - 1 / 33, 0) * sides).astype(int)
    high = np.ceil(np.minimum(inside.max(axis=0) + 1 / 33, 1) * sides).astype(int)
    counts = np.maximum(np.ceil((high - low) / _TILE), 1).astype(int)
    xs, ys = (
        np.linspace(a, b, n + 1).round().astype(int)
        for a, b, n in zip(low, high, counts, strict=True)
    )
    for top, bottom in pairwise(ys):
        for left, right in pairwise(xs):
            # Whole blocks, so that tiles overlap a little; a rim of less than one may be left.
            width, height = (
                min(-(-(end - start) // BLOCK), side // BLOCK) * BLOCK
                for start, end, side in ((left, right, shape[1]), (top, bottom, shape[0]))
            )
            if min(width, height) >= BLOCK:
                yield min(left, shape[1] - width), min(top, shape[0] - height), width, height


def _laid(
    frame: Rgb, other: Rgb, forward: Points, tile: tuple[int, int, int, int]
) -> tuple[Rgb, Rgb, np.ndarray[tuple[int, ...], np.dtype[np.bool_]], Points] | None:
    """A tile of the frame, the other image as seen in it, what both show, and the votes.

    Args:
        frame: ``(h, w, 3)``.
        other: ``(h, w, 3)``.
        forward: from the frame to the other image, in fractions.
        tile: left, top, width and height in pixels of the frame.
    """
    left, top, width, height = tile
    to_frame = np.array(
        [
            [width / frame.shape[1], 0, left / frame.shape[1]],
            [0, height / frame.shape[0], top / frame.shape[0]],
            [0, 0, 1.0],
        ]
    )
    beyond = _BEYOND / min(width, height)
    ends = np.array([[x, y] for x in (-beyond, 1 + beyond) for y in (-beyond, 1 + beyond)])
    seen = project(forward @ to_frame, ends)
    sides = np.array([other.shape[1], other.shape[0]])
    low = np.clip(np.floor(seen.min(axis=0) * sides), 0, sides).astype(int)
    high = np.clip(np.ceil(seen.max(axis=0) * sides), 0, sides).astype(int)
    if (high - low).min() < 2:
        return None
    cut = other[low[1] : high[1], low[0] : high[0]]
    part, at = (high - low) / sides, low / sides
    from_cut = np.array([[part[0], 0, at[0]], [0, part[1], at[1]], [0, 0, 1.0]])
    onto = np.asarray(np.linalg.inv(from_cut)) @ forward @ to_frame
    one = frame[top : top + height, left : left + width]
    shown = shown_blocks(onto, one.shape, cut.shape)
    if not shown.any():
        return None
    grey = luma(one)
    stepped, votes = vote(grey, warp(luma(cut), onto, grey.shape), shown, onto)
    if len(votes) >= _LEAST_VOTES and _step(onto, stepped, one.shape) <= _MOST_STEP:
        onto = stepped
        shown = shown_blocks(onto, one.shape, cut.shape)
    else:
        votes = np.empty((0, 3))
    padded = np.pad(cut, ((_RIM, _RIM), (_RIM, _RIM), (0, 0)), mode="edge")  # no black beyond it
    scale = np.array([cut.shape[1] / padded.shape[1], cut.shape[0] / padded.shape[0]])
    into = np.array(
        [[scale[0], 0, (1 - scale[0]) / 2], [0, scale[1], (1 - scale[1]) / 2], [0, 0, 1]]
    )
    two = warp(padded, into @ onto, one.shape, fine=True)
    inside = np.repeat(np.repeat(shown, BLOCK, axis=0), BLOCK, axis=1)
    return one, np.where(inside[..., None], two, one), shown, votes


def _step(before: Points, after: Points, tile: tuple[int, ...]) -> float:
    """By how many pixels of the tile the corners went elsewhere."""
    corners = np.array([[0.0, 0], [1, 0], [0, 1], [1, 1]])
    back = np.asarray(np.linalg.inv(after)) @ before
    return float(np.abs((project(back, corners) - corners) * (tile[1], tile[0])).max())
