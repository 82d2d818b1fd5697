"""Split the similarity of two images exactly into pairs of their regions.

A vector that is a sum over the cells of a grid makes the dot product of two such vectors a sum over
pairs of cells: what Stylianou, Souvenir and Pless (Visualizing Deep Similarity Networks, WACV 2019)
and Zhu, Yang and Chen (Visual Explanation for Deep Metric Learning, 2019) draw. With the
contributions of `glocal.encoders.OnnxEncoder.contributions`, which include normalisation and
projection, the terms add up to the score itself and not to an approximation of it.

Terms have a sign: a pair of regions can also lower the score.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError

Grid = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Similarity:
    """How the regions of a query and of a hit add up to their score.

    Attributes:
        score: Cosine similarity of the two vectors.
        table: ``(h1, w1, h2, w2)`` float32: what each pair of a query's and a hit's cell adds to
            the score. Its sum is the score.
        query_map: ``(h1, w1)`` float32: what each cell of the query adds; sums to the score.
        hit_map: ``(h2, w2)`` float32: what each cell of the hit adds; sums to the score.
    """

    score: float
    table: NDArray[np.float32]
    query_map: Grid
    hit_map: Grid

    def map_for(self, weights: Grid) -> Grid:
        """What in the hit matches a region of the query.

        Args:
            weights: ``(h1, w1)``, how much of each of the query's cells is chosen, from 0 to 1; see
                `point_weights` and `region_weights`.

        Returns:
            ``(h2, w2)`` float32: what each cell of the hit adds to the score together with that
            region. Over regions that make up the whole query, these add up to `hit_map`.
        """
        grid: Grid = np.tensordot(weights, self.table, axes=2).astype(np.float32)
        return grid


def decompose(query: NDArray[np.float32], hit: NDArray[np.float32]) -> Similarity:
    """Split the similarity of two images into pairs of regions.

    Args:
        query: ``(h1, w1, d)`` contributions of the query's cells to its unit vector.
        hit: ``(h2, w2, d)`` contributions of the hit's cells.
    """
    table = np.tensordot(query, hit, axes=(2, 2))
    return Similarity(
        score=float(query.sum((0, 1), dtype=np.float64) @ hit.sum((0, 1), dtype=np.float64)),
        table=table,
        query_map=table.sum((2, 3)),
        hit_map=table.sum((0, 1)),
    )


def point_weights(point: tuple[float, float], shape: tuple[int, int]) -> Grid:
    """Bilinear weights of the cells around a point; they sum to 1.

    Args:
        point: X and y as fractions of the image, from 0 to 1.
        shape: Rows and columns of the grid.

    Raises:
        QueryError: The point is not in the image.
    """
    x, y = point
    if not (0 <= x <= 1 and 0 <= y <= 1):
        raise QueryError(
            f"point {x:g},{y:g} is not in the image: give both as fractions from 0 to 1"
        )
    return np.outer(_near(y, shape[0]), _near(x, shape[1])).astype(np.float32)


def region_weights(region: tuple[float, float, float, float], shape: tuple[int, int]) -> Grid:
    """How much of each cell a region covers, from 0 to 1.

    Args:
        region: X, y, width and height as fractions of the image.
        shape: Rows and columns of the grid.

    Raises:
        QueryError: Nothing of the region is in the image.
    """
    x, y, width, height = region
    rows, columns = _covered(y, y + height, shape[0]), _covered(x, x + width, shape[1])
    weights = np.outer(rows, columns).astype(np.float32)
    if not weights.any():
        raise QueryError(
            f"region {x:g},{y:g},{width:g},{height:g} covers nothing of the image: "
            "choose one inside it"
        )
    return weights


def _near(place: float, cells: int) -> NDArray[np.float64]:
    centres = np.arange(cells)
    at = min(max(place * cells - 0.5, 0), cells - 1)
    weights: NDArray[np.float64] = np.maximum(0.0, 1 - np.abs(centres - at))
    return weights


def _covered(start: float, end: float, cells: int) -> NDArray[np.float64]:
    edges = np.arange(cells + 1)
    ends = np.minimum(edges[1:], end * cells) - np.maximum(edges[:-1], start * cells)
    covered: NDArray[np.float64] = np.clip(ends, 0.0, 1.0)
    return covered
