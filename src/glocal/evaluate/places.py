"""Place recognition: an answer is right if it was taken close enough to the query."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import EvaluationError
from glocal.evaluate.checks import EMPTY_SLOT, checked_ks, checked_numbers, checked_ranks

EARTH_RADIUS = 6_371_008.8
"""Mean radius in metres (IUGG); distances on this sphere are off by up to about 0.5 %."""

BLOCK_BYTES = 16 << 20
"""Memory for distances: queries are processed in blocks that fit."""

Coordinates = Literal["utm", "latlon"]


@dataclass(frozen=True, slots=True, eq=False)
class PlacesResult:
    """Result of place recognition.

    Attributes:
        recall_at: for each k, the share of the counted queries with an answer within the radius
            among the first k; nan if no query is counted.
        queries: number of counted queries.
        without_place: number of queries left out because nothing in the gallery lies within the
            radius.
        first_right_rank: ``(q,)`` int64, rank of the first right answer, from 1; 0 if no answer is
            right, -1 for a query that was left out.
    """

    recall_at: dict[int, float]
    queries: int
    without_place: int
    first_right_rank: NDArray[np.int64]


def evaluate_places(
    ranks: ArrayLike,
    query_positions: ArrayLike,
    gallery_positions: ArrayLike,
    *,
    coordinates: Coordinates,
    radius: float = 25.0,
    ks: Iterable[int] = (1, 5, 10, 20),
) -> PlacesResult:
    """Compute recall@k within a radius, as NetVLAD (Arandjelović et al., CVPR 2016) does.

    A distance of exactly the radius is within it. Queries without a true place in the gallery are
    left out and counted; some published code counts them as misses instead, which is
    ``recall * queries / (queries + without_place)`` here.

    Args:
        ranks: ``(q, length)`` gallery indices, best first, -1 if nothing was returned. The lists
            must reach the largest k or hold the whole gallery.
        query_positions: ``(q, 2)``: ``"utm"`` easting and northing in metres, in one zone;
            ``"latlon"`` latitude and longitude in degrees.
        gallery_positions: ``(n, 2)``, in the same coordinates.
        coordinates: ``"utm"`` or ``"latlon"``.
        radius: radius in metres, more than 0; 25 is usual in the field.
        ks: cut-offs of recall.

    Raises:
        EvaluationError: shapes do not fit, a position is nan or off the globe, the radius is not
            positive, or the lists are too short for the largest k.
    """
    cutoffs = checked_ks(ks)
    if not (np.isfinite(radius) and radius > 0):
        raise EvaluationError(f"the radius must be a positive number of metres, not {radius!r}")
    queries = _positions(query_positions, "query positions", coordinates)
    gallery = _positions(gallery_positions, "gallery positions", coordinates)
    lists = checked_ranks(ranks, len(queries), len(gallery))
    if lists.shape[1] < min(cutoffs[-1], len(gallery)):
        raise EvaluationError(
            f"recall@{cutoffs[-1]} needs {cutoffs[-1]} answers per query, but the lists have "
            f"{lists.shape[1]}; rank deeper or use a smaller k"
        )

    answerable = _has_place(queries, gallery, coordinates, radius)
    first = np.where(answerable, 0, -1)
    for query in np.flatnonzero(answerable):
        row = lists[query]
        given = row != EMPTY_SLOT
        right = np.zeros(row.size, dtype=np.bool_)
        right[given] = metres_between(queries[query], gallery[row[given]], coordinates) <= radius
        if right.any():
            first[query] = int(right.argmax()) + 1
    counted = first[answerable]
    return PlacesResult(
        recall_at={
            k: float(((counted > 0) & (counted <= k)).mean()) if counted.size else float("nan")
            for k in cutoffs
        },
        queries=int(counted.size),
        without_place=len(queries) - int(counted.size),
        first_right_rank=first,
    )


def metres_between(
    one: NDArray[Any], other: NDArray[Any], coordinates: Coordinates
) -> NDArray[np.float64]:
    """Compute the distance in metres between positions.

    Args:
        one: ``(..., 2)``: easting and northing in metres (``"utm"``), or latitude and longitude
            in degrees (``"latlon"``, great circle by the haversine formula).
        other: ``(..., 2)``, broadcast against the first.
        coordinates: ``"utm"`` or ``"latlon"``.

    Returns:
        ``(...)`` float64.
    """
    if coordinates == "utm":
        metres: NDArray[np.float64] = np.hypot(
            one[..., 0] - other[..., 0], one[..., 1] - other[..., 1]
        )
        return metres
    latitude, longitude = np.radians(one[..., 0]), np.radians(one[..., 1])
    other_latitude, other_longitude = np.radians(other[..., 0]), np.radians(other[..., 1])
    half_chord = (
        np.sin((other_latitude - latitude) / 2) ** 2
        + np.cos(latitude) * np.cos(other_latitude) * np.sin((other_longitude - longitude) / 2) ** 2
    )
    # rounding can raise the value of opposite points of the globe above 1
    angle = 2 * np.arcsin(np.sqrt(np.minimum(half_chord, 1.0)))
    along_sphere: NDArray[np.float64] = EARTH_RADIUS * angle
    return along_sphere


def _positions(positions: ArrayLike, what: str, coordinates: Coordinates) -> NDArray[np.float64]:
    if coordinates not in ("utm", "latlon"):
        raise EvaluationError(f"coordinates must be 'utm' or 'latlon', not {coordinates!r}")
    # in float32 a northing has steps of half a metre
    array = checked_numbers(positions, what, (None, 2)).astype(np.float64)
    if coordinates == "latlon":
        off = (np.abs(array[:, 0]) > 90) | (np.abs(array[:, 1]) > 180)
        if off.any():
            row = int(off.argmax())
            raise EvaluationError(
                f"{what}, row {row}: {array[row].tolist()} is not a latitude and longitude; put "
                "latitude first, or use coordinates='utm' for metres"
            )
    return array


def _has_place(
    queries: NDArray[np.float64],
    gallery: NDArray[np.float64],
    coordinates: Coordinates,
    radius: float,
) -> NDArray[np.bool_]:
    found = np.zeros(len(queries), dtype=np.bool_)
    rows = max(1, BLOCK_BYTES // max(1, len(gallery) * gallery.itemsize))
    for begin in range(0, len(queries), rows):
        block = queries[begin : begin + rows, None, :]
        near = metres_between(block, gallery[None], coordinates) <= radius
        found[begin : begin + rows] = near.any(axis=1)
    return found
