"""Region vectors out of feature maps, and how well images are ranked by them.

Nothing to run by itself: `regions.py` and `region_settings.py` use it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from region_maps import Head, Maps, Rows, unit
from region_sets import Queries

Kind = Literal["contributions", "pooled"]


@dataclass(frozen=True)
class Regions:
    """Region vectors of many images, one image after another.

    Attributes:
        rows: ``(r, d)`` float32 of unit length.
        first: where each image's begin; one more than images.
        boxes: ``(r, 4)``, x, y, width and height as fractions of the image.
        part: which of the given window sizes each region is of.
    """

    rows: Rows
    first: NDArray[np.intp]
    boxes: Rows
    part: NDArray[np.intp]

    def of(self, image: int) -> Rows:
        """The regions of one image."""
        return self.rows[self.first[image] : self.first[image + 1]]

    def only(self, keep: NDArray[np.bool_]) -> Regions:
        """Some of the regions."""
        counts = np.add.reduceat(np.append(keep, False), self.first[:-1]) * (
            np.diff(self.first) > 0
        )
        first = np.cumsum([0, *counts])
        return Regions(self.rows[keep], first, self.boxes[keep], self.part[keep])

    def replaced(self, rows: Rows) -> Regions:
        """The same regions with other vectors."""
        return Regions(rows, self.first, self.boxes, self.part)


def windows(rows: int, columns: int, part: float, overlap: float = 0.5) -> NDArray[np.intp]:
    """Square windows over a map: ``(n, 4)`` of top, bottom, left and right in cells.

    Args:
        rows: of the map.
        columns: of the map.
        part: the window's side is this part of the side of a square with the map's area.
        overlap: least share of a window that the next one has in common with it.
    """
    side = max(1.0, np.sqrt(rows * columns) * part)
    spans = []
    for length in (rows, columns):
        size = min(side, length)
        count = 1 + int(np.ceil((length - size) / (size * (1 - overlap)) - 1e-6))
        starts = np.linspace(0, length - size, count) if count > 1 else np.zeros(1)
        low = np.floor(starts + 0.5).astype(int)
        spans.append((low, np.maximum(np.floor(starts + size + 0.5).astype(int), low + 1)))
    (top, bottom), (left, right) = spans
    grid = [
        (t, b, x, y)
        for t, b in zip(top, bottom, strict=True)
        for x, y in zip(left, right, strict=True)
    ]
    return np.unique(np.array(grid), axis=0)


def regions_of(
    maps: Maps,
    head: Head,
    numbers: Sequence[int] | NDArray[np.intp],
    parts: Sequence[float],
    kind: Kind,
    overlap: float = 0.5,
) -> tuple[Rows, Regions]:
    """Whole vectors ``(n, d)`` and regions of images.

    Args:
        maps: feature maps.
        head: of the model.
        numbers: images.
        parts: sizes of windows, as `windows` takes them.
        kind: sums of contributions, or windows pooled as the whole image is.
        overlap: as `windows` takes it.
    """
    wholes, found, boxes, sizes, counts = [], [], [], [], []
    for number in numbers:
        grid = maps[number]
        # NumPy's power takes ten times as long as products.
        powered = grid * grid * grid if head.power == 3 else grid**head.power
        height, width = powered.shape[:2]
        cuts = [windows(height, width, part, overlap) for part in parts]
        cut = np.concatenate([np.array([[0, height, 0, width]]), *cuts])
        t, b, x, y = cut.T
        down = (np.arange(height) >= t[:, None]) & (np.arange(height) < b[:, None])
        across = (np.arange(width) >= x[:, None]) & (np.arange(width) < y[:, None])
        inside = (down[:, :, None] & across[:, None, :]).reshape(len(cut), -1).astype(np.float32)
        inside /= inside.sum(axis=1, keepdims=True)
        means = np.maximum(inside @ powered.reshape(-1, powered.shape[2]), 1e-18)
        wholes.append(head.vector(means[:1])[0])
        if not parts:
            continue
        own = means[1:]
        found.append(head.vector(own) if kind == "pooled" else head.contribution(own, means[0]))
        box = np.stack([x / width, t / height, (y - x) / width, (b - t) / height], 1)
        boxes.append(box[1:])
        sizes.append(np.repeat(np.arange(len(parts)), [len(c) for c in cuts]))
        counts.append(len(own))
    if not parts:
        none = np.zeros((0, 4), np.float32)
        nowhere = np.zeros(len(wholes) + 1, np.intp)
        return np.stack(wholes), Regions(none, nowhere, none, nowhere[:0])
    first = np.cumsum([0, *counts])
    return np.stack(wholes), Regions(
        np.concatenate(found).astype(np.float32),
        first,
        np.concatenate(boxes).astype(np.float32),
        np.concatenate(sizes),
    )


def best_per_image(similar: Rows, first: NDArray[np.intp]) -> Rows:
    """The highest of each image's columns: ``(q, regions)`` to ``(q, images)``."""
    return np.asarray(np.maximum.reduceat(similar, first[:-1], axis=1))


@dataclass(frozen=True)
class Quality:
    """How well one set is ranked: shares of queries, and mean average precision."""

    first: float
    ten: float
    fifty: float
    mean_ap: float

    def short(self) -> str:
        """Recall@1, in the first ten, in the first fifty and mAP, in per cent."""
        return " / ".join(
            f"{100 * value:.1f}" for value in (self.first, self.ten, self.fifty, self.mean_ap)
        )


def rate(made: Queries, scores: Rows, gallery: NDArray[np.intp]) -> Quality:
    """Rate a ranking.

    Args:
        made: the set.
        scores: ``(queries, gallery)``; higher is better.
        gallery: numbers of the gallery's images.
    """
    places, precisions = [], []
    for row, truth, junk in zip(scores, made.truth, made.junk, strict=True):
        counted = ~np.isin(gallery, list(junk))
        right = np.isin(gallery[counted], list(truth))
        order = np.argsort(-row[counted], kind="stable")
        at = np.flatnonzero(right[order])
        places.append(at[0])
        precisions.append(np.mean((1 + np.arange(len(at))) / (1 + at)))
    found = np.array(places)
    return Quality(
        float(np.mean(found < 1)),
        float(np.mean(found < 10)),
        float(np.mean(found < 50)),
        float(np.mean(precisions)),
    )


def farthest(regions: Regions, count: int, wholes: Rows) -> NDArray[np.bool_]:
    """Of each image, the regions that differ most from the whole and from each other."""
    keep = np.zeros(len(regions.rows), bool)
    for whole, start, end in zip(wholes, regions.first, regions.first[1:], strict=False):
        own = regions.rows[start:end]
        if len(own) <= count:
            keep[start:end] = True
            continue
        closest = own @ whole
        chosen: list[int] = []
        similar = own @ own.T
        for _ in range(count):
            chosen.append(int(np.argmin(closest)))
            closest = np.maximum(closest, similar[chosen[-1]])
            closest[chosen] = np.inf
        keep[start + np.array(chosen)] = True
    return keep


def cover(regions: Regions, count: int, power: float = 1.0) -> NDArray[np.bool_]:
    """Of each image, regions that represent all of them: greedy facility location.

    Each step takes the region that raises the sum, over all regions, of the similarity to the
    nearest one taken.
    """
    keep = np.zeros(len(regions.rows), bool)
    for start, end in zip(regions.first, regions.first[1:], strict=False):
        own = regions.rows[start:end]
        if len(own) <= count:
            keep[start:end] = True
            continue
        similar = np.clip(own @ own.T, 0, 1) ** power
        closest = np.zeros(len(own))
        chosen: list[int] = []
        for _ in range(count):
            gain = np.maximum(similar - closest[:, None], 0).sum(0)
            gain[chosen] = -1
            chosen.append(int(np.argmax(gain)))
            closest = np.maximum(closest, similar[:, chosen[-1]])
        keep[start + np.array(chosen)] = True
    return keep


def k_means(regions: Regions, count: int, wholes: Rows, steps: int = 8) -> Regions:
    """Of each image, centres of its regions on the sphere, begun at the farthest points."""
    picked = farthest(regions, count, wholes)
    rows, counts = [], []
    for start, end in zip(regions.first, regions.first[1:], strict=False):
        own = regions.rows[start:end]
        centres = own[picked[start:end]]
        for _ in range(steps if len(own) > count else 0):
            nearest = np.argmax(own @ centres.T, axis=1)
            sums = np.zeros_like(centres)
            np.add.at(sums, nearest, own)
            centres = unit(sums)
        rows.append(centres)
        counts.append(len(centres))
    total = sum(counts)
    return Regions(
        np.concatenate(rows),
        np.cumsum([0, *counts]),
        np.zeros((total, 4), np.float32),
        np.zeros(total, np.intp),
    )


def as_bytes(rows: Rows) -> Rows:
    """What is left of vectors when each is stored as int8 with a scale of its own."""
    scale = np.abs(rows).max(axis=1, keepdims=True) / 127
    return np.asarray(np.round(rows / np.maximum(scale, 1e-12)) * scale, np.float32)
