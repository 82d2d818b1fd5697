"""Region vectors: what each window of an image gives to its vector, at unit length.

A model that says what each cell of a map gives to its vector (`OnnxEncoder.contributions`) gives
with it a vector for any window of the image, in the same space: the sum over the window's cells,
which is the image's vector itself where the window is the whole image. Searching with windows in
place of whole images goes back to R-MAC (Tolias, Sicre and Jegou, Particular Object Retrieval with
Integral Max-Pooling of CNN Activations, ICLR 2016); of overlapping windows those are kept that
represent all of them best (greedy facility location: Cornuejols, Fisher and Nemhauser, Location of
Bank Accounts to Optimize Float, 1977).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from glocal.errors import PartError


@dataclass(frozen=True, slots=True)
class RegionSettings:
    """Which regions of an image get a vector.

    Attributes:
        name: under which people choose it.
        scale: side of the network's input relative to the usual one.
        shares: sides of the windows relative to that of a square with the image's area.
        overlap: least share of a window's side that it has in common with the next one.
        count: how many regions are kept: those that represent all of them best.
        margin: how much more similar to a query than the whole image the best of them has to be to
            bring the image up; more where there are more of them to be alike by chance.
    """

    name: str
    scale: float
    shares: tuple[float, ...]
    overlap: float
    count: int
    margin: float = 0.05


COARSE = RegionSettings("coarse", scale=1.0, shares=(1 / 3,), overlap=0.5, count=9)
FINE = RegionSettings("fine", scale=2.0, shares=(1 / 3, 1 / 5), overlap=0.5, count=25, margin=0.1)
QUERY_REGIONS = RegionSettings("query", scale=1.0, shares=(1 / 2,), overlap=0.5, count=9)
"""The regions of a query that are drawn in explanations."""

NO_REGIONS = "none"
_SETTINGS = {settings.name: settings for settings in (COARSE, FINE)}
REGION_CHOICES = (NO_REGIONS, *_SETTINGS)


def region_settings(name: str) -> RegionSettings | None:
    """The settings of a name; `None` for ``none``.

    Raises:
        PartError: there are no settings of that name.
    """
    if name == NO_REGIONS:
        return None
    if name not in _SETTINGS:
        raise PartError(
            f"there are no regions {name!r}; choose one of: {', '.join(REGION_CHOICES)}"
        )
    return _SETTINGS[name]


@dataclass(frozen=True, slots=True, eq=False)
class Regions:
    """Vectors of regions of one image, in the space of its vector.

    Attributes:
        vectors: ``(r, d)`` float32, each row of unit length.
        boxes: ``(r, 4)`` float32: x, y, width and height as fractions of the upright image.
    """

    vectors: NDArray[np.float32]
    boxes: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.vectors)


def windows(rows: int, columns: int, share: float, overlap: float) -> NDArray[np.int64]:
    """Square windows over a map of cells, evenly spaced from edge to edge.

    Args:
        rows: of the map.
        columns: of the map.
        share: side of a window relative to that of a square with the map's area; at least a cell,
            and at most the map's own side.
        overlap: least share of a window's side that it has in common with the next one.

    Returns:
        ``(n, 4)``: first row, first column, row and column behind the last.
    """
    side = max(share * sqrt(rows * columns), 1.0)
    top, bottom = _spans(rows, side, overlap)
    left, right = _spans(columns, side, overlap)
    grid = np.meshgrid(np.arange(len(top)), np.arange(len(left)), indexing="ij")
    down, across = (each.ravel() for each in grid)
    return np.column_stack([top[down], left[across], bottom[down], right[across]])


def _spans(cells: int, side: float, overlap: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    size = min(side, cells)
    steps = ceil((cells - size) / (size * (1 - overlap)) - 1e-6)
    starts = np.linspace(0, cells - size, steps + 1)
    first = np.floor(starts + 0.5).astype(np.int64)
    last = np.floor(starts + size + 0.5).astype(np.int64)
    return first, np.maximum(last, first + 1)


@lru_cache(maxsize=64)
def windows_of(rows: int, columns: int, settings: RegionSettings) -> NDArray[np.int64]:
    """All different windows of the settings over a map."""
    every = [windows(rows, columns, share, settings.overlap) for share in settings.shares]
    found = np.unique(np.concatenate(every), axis=0)
    found.setflags(write=False)
    return found


def region_vectors(contributions: NDArray[np.float32], settings: RegionSettings) -> Regions:
    """The regions of an image that represent all of them best.

    Args:
        contributions: ``(rows, columns, d)`` float32, see `OnnxEncoder.contributions`.
        settings: which windows, and how many regions are kept.

    Returns:
        ``settings.count`` of them, the most representative first; a map of few cells has fewer
        windows, some of which then come more than once.
    """
    every = every_region(contributions, settings)
    chosen = representative(every.vectors, settings.count)
    return Regions(every.vectors[chosen], every.boxes[chosen])


def every_region(contributions: NDArray[np.float32], settings: RegionSettings) -> Regions:
    """The vectors of all different windows of the settings; see `region_vectors`."""
    rows, columns, _ = contributions.shape
    spans = windows_of(rows, columns, settings)
    vectors = window_sums(contributions, spans)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    scale = np.array([columns, rows, columns, rows], np.float32)
    top, left, bottom, right = spans.T
    boxes = np.column_stack([left, top, right - left, bottom - top]).astype(np.float32) / scale
    return Regions(vectors, boxes)


def window_sums(
    contributions: NDArray[np.float32], spans: NDArray[np.int64]
) -> NDArray[np.float32]:
    """The sum over each window, ``(n, d)``, by a table of sums from the first cell on."""
    rows, columns, dim = contributions.shape
    table = np.zeros((rows + 1, columns + 1, dim), np.float32)
    # `cumsum` along these axes is slower than sums of whole rows.
    for row in range(rows):
        np.add(table[row, 1:], contributions[row], out=table[row + 1, 1:])
    for column in range(columns):
        table[1:, column + 1] += table[1:, column]
    top, left, bottom, right = spans.T
    sums, width = table.reshape(-1, dim), columns + 1
    summed: NDArray[np.float32] = sums[bottom * width + right]
    summed -= sums[top * width + right]
    summed -= sums[bottom * width + left]
    summed += sums[top * width + left]
    return summed


def representative(vectors: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Greedy cover: each next one raises most the similarity of all to the nearest one chosen.

    Args:
        vectors: ``(n, d)`` of unit length.
        count: how many to choose; with fewer vectors some are chosen again.

    Returns:
        ``(count,)`` rows, in the order in which they were chosen.
    """
    # einsum: BLAS would wake threads for products as small as these, which cost more than they do.
    similar = np.maximum(np.einsum("nd,md->nm", vectors, vectors), 0)
    covered = np.zeros(len(vectors), np.float32)
    chosen = np.empty(count, np.int64)
    for place in range(count):
        if place >= len(vectors):
            chosen[place] = chosen[place - len(vectors)]
            continue
        gain = np.maximum(similar - covered[:, None], 0).sum(axis=0)
        gain[chosen[:place]] = -1  # never twice while others are left
        chosen[place] = np.argmax(gain)
        covered = np.maximum(covered, similar[:, chosen[place]])
    return chosen
