"""One score of an image's vector and of its regions, and where in the image the query is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REGION_WEIGHT = 1.0
"""How much the best region's similarity counts against the whole image's."""


@dataclass(frozen=True, slots=True)
class RegionMatch:
    """The region of an image that is most similar to a query or to a region of it.

    Attributes:
        similarity: cosine similarity of the two, in [-1, 1].
        query_box: x, y, width and height of the query's region, as fractions of the query.
        box: x, y, width and height of the image's region, as fractions of the image.
    """

    similarity: float
    query_box: tuple[float, float, float, float]
    box: tuple[float, float, float, float]


def blend(whole: NDArray[np.float32], similar: NDArray[np.float32]) -> NDArray[np.float32]:
    """One score for each image, to order by.

    Args:
        whole: ``(n,)`` similarities of the images' vectors to the query's.
        similar: ``(n, m, r)`` similarities of the query's ``m`` regions to the images' regions.
    """
    return np.asarray(whole + REGION_WEIGHT * similar.max(axis=(1, 2)), np.float32)


def blend_without_regions(whole: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same for images that have no regions: their vectors stand in for these."""
    return np.asarray(whole + REGION_WEIGHT * whole, np.float32)


def pair(
    similar: NDArray[np.float32],
    query_boxes: NDArray[np.float32],
    boxes: NDArray[np.float32],
) -> tuple[RegionMatch, int, int]:
    """The pair of regions that is most similar, and the numbers of the two.

    Args:
        similar: ``(m, r)`` similarities.
        query_boxes: ``(m, 4)``.
        boxes: ``(r, 4)``.
    """
    at, there = (int(n) for n in np.unravel_index(int(np.argmax(similar)), similar.shape))
    match = RegionMatch(float(similar[at, there]), _box(query_boxes[at]), _box(boxes[there]))
    return match, at, there


def _box(box: NDArray[np.float32]) -> tuple[float, float, float, float]:
    x, y, width, height = (round(float(value), 4) for value in box)
    return x, y, width, height
