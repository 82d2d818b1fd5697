"""The explainer ``similarity``: what each region of both images adds to their score."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError
from glocal.explain.explainer import ExplainedImage, Explanation, View
from glocal.explain.figure import Point
from glocal.explain.figures import place_figure, similarity_figure
from glocal.explain.similarity import Similarity, decompose, point_weights, region_weights
from glocal.images.region import pixel_box


def explain_similarity(view: View) -> Explanation:
    """Split the score of the query and each hit into regions; see `glocal.explain.similarity`.

    Its maps are, for each hit, the query's map and the hit's; for a chosen point or region, one
    map for each hit of what is like it there.

    Raises:
        ModelError: The model cannot say what each region adds to a vector.
        QueryError: The point or region is not in the query.
    """
    query, *hits = view.contributions()
    similarities = [decompose(query, hit) for hit in hits]
    scores = tuple(similarity.score for similarity in similarities)
    shown, *shown_hits = view.shown
    data = _table(similarities[0]) if len(similarities) == 1 else None
    if view.point is None and view.region is None:
        return Explanation(
            "similarity",
            scores,
            lambda: similarity_figure(shown, shown_hits, similarities, view.verdict),
            tuple(grid for s in similarities for grid in (s.query_map, s.hit_map)),
            data,
        )
    marked, weights = _chosen(view, view.query, query.shape[:2])
    maps = tuple(similarity.map_for(weights) for similarity in similarities)
    return Explanation(
        "similarity",
        scores,
        lambda: place_figure(shown, shown_hits, similarities, maps, marked, view.verdict),
        maps,
        data,
    )


def _table(similarity: Similarity) -> dict[str, Any]:
    """The table with a row for each cell of the query and a column for each of the hit."""
    rows, columns, hit_rows, hit_columns = similarity.table.shape
    cells = similarity.table.reshape(rows * columns, -1)
    return {
        "score": round(float(cells.sum()), 4),
        "query": {"rows": rows, "columns": columns},
        "hit": {"rows": hit_rows, "columns": hit_columns},
        "table": np.round(cells.astype(np.float64), 6).tolist(),
    }


def _chosen(
    view: View, query: ExplainedImage, shape: tuple[int, int]
) -> tuple[tuple[Point, ...], NDArray[np.float32]]:
    """The corners of the chosen place in fractions, and how much of each cell it is."""
    if view.point is not None:
        x, y = view.point
        if max(x, y) > 1:
            x, y = x / query.width, y / query.height
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise QueryError(
                f"the point {view.point[0]:g},{view.point[1]:g} is not in the query of "
                f"{query.width} x {query.height} pixels: choose one inside it"
            )
        return ((x, y),), point_weights((x, y), shape)
    box = pixel_box(view.region, query.width, query.height)
    left, right = box.left / query.width, box.right / query.width
    top, bottom = box.top / query.height, box.bottom / query.height
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return corners, region_weights((left, top, right - left, bottom - top), shape)
