"""The explanations that the page draws itself: points that match, and what answers what.

Numbers rather than pictures, so that the page can light a point's counterpart while the cursor
moves, without asking again. All points are x and y as fractions of the picture, or of the region
that was looked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.web.explaining import Explainer, Explanation, Pair

_LEAST_SIMILARITY = 0.6
_MOST_MATCHES = 200


def matches(pair: Pair) -> Explanation:
    """Local parts of the two pictures that choose each other, the most similar first.

    ``verified`` says whether geometry was asked, too; ``inlier`` is there only if it was.
    """
    query, hit = pair.gallery.encoder.encode([pair.query, pair.hit])
    found = _mutual(query.descriptors, hit.descriptors)
    return _json(
        {
            "verified": False,
            "matches": [
                {
                    "query": _point(query.keypoints[one]),
                    "hit": _point(hit.keypoints[other]),
                    "similarity": round(similarity, 3),
                }
                for one, other, similarity in found
            ],
        }
    )


def similarity(pair: Pair) -> Explanation:
    """What each pair of the two pictures' regions adds to their score; all together make it.

    ``table`` has a row for each cell of the query's grid, row by row, and in it a number for each
    cell of the hit's.

    Raises:
        ModelError: the gallery's model cannot tell.
    """
    encoder = pair.gallery.encoder
    query, hit = encoder.contributions(pair.query), encoder.contributions(pair.hit)
    table = np.tensordot(query, hit, axes=(2, 2))
    cells = table.reshape(query.shape[0] * query.shape[1], -1)
    return _json(
        {
            "score": round(float(cells.sum()), 4),
            "query": _shape(query),
            "hit": _shape(hit),
            "table": np.round(cells.astype(np.float64), 6).tolist(),
        }
    )


EXPLAINERS: Mapping[str, Explainer] = {"matches": matches, "similarity": similarity}


def _mutual(query: NDArray[np.float32], hit: NDArray[np.float32]) -> list[tuple[int, int, float]]:
    """Rows that are each other's nearest, and how near, the nearest pairs first."""
    if not len(query) or not len(hit):
        return []
    table = query @ hit.T
    forth, back = table.argmax(1), table.argmax(0)
    pairs = [
        (one, int(other), float(table[one, other]))
        for one, other in enumerate(forth)
        if back[other] == one and table[one, other] >= _LEAST_SIMILARITY
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:_MOST_MATCHES]


def _point(point: NDArray[np.float32]) -> list[float]:
    return [round(float(part), 4) for part in point]


def _shape(grid: NDArray[np.float32]) -> dict[str, int]:
    return {"rows": grid.shape[0], "columns": grid.shape[1]}


def _json(value: Any) -> Explanation:
    return Explanation(json.dumps(value, separators=(",", ":")).encode(), "application/json")
