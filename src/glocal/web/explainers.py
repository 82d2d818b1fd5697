"""The explanations that the page draws: matching points, and the similarity of regions.

They are numbers rather than images, so that the page can highlight the counterpart of a point while
the cursor moves, without another request. All points are x and y as fractions of the image or, in
the query, of the region that was searched for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.explain.verified import verified_matches
from glocal.gallery.results import plain
from glocal.web.explaining import Explainer, Explanation, Pair


def matches(pair: Pair) -> Explanation:
    """The matches that agree with one homography, and the evidence as a search has it."""
    encoder = pair.gallery.encoder
    query, hit = (features.vector for features in encoder.encode([pair.query, pair.hit]))
    score = min(float(query @ hit), 1.0)
    found, evidence = verified_matches(pair.query, pair.hit, encoder, score)
    points = zip(found.query_points, found.hit_points, strict=True)
    return _json(
        {
            "verified": True,
            "evidence": plain(evidence),
            "matches": [{"query": _point(one), "hit": _point(other)} for one, other in points],
        }
    )


def similarity(pair: Pair) -> Explanation:
    """What each pair of regions contributes to the score of two images; the sum is the score.

    ``table`` has a row for each cell of the query's grid and, in it, a number for each cell of the
    hit's grid; the cells of both are in row-major order.

    Raises:
        ModelError: the gallery's model has no contributions.
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


def _point(point: NDArray[np.floating]) -> list[float]:
    return [round(float(part), 4) for part in point]


def _shape(grid: NDArray[np.float32]) -> dict[str, int]:
    return {"rows": grid.shape[0], "columns": grid.shape[1]}


def _json(value: Any) -> Explanation:
    return Explanation(json.dumps(value, separators=(",", ":")).encode(), "application/json")
