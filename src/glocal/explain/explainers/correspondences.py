"""The explainer ``correspondences``: which cells correspond, of those that may."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError
from glocal.explain.explainer import Explanation, View
from glocal.explain.figures import regions_figure
from glocal.explain.guided import GuidedRanking, cells_in
from glocal.explain.region_pairs import Box, RegionPair
from glocal.explain.similarity import decompose
from glocal.images.region import Region, pixel_box


def explain_correspondences(view: View) -> Explanation:
    """Show the strongest correspondences of cells; see `glocal.explain.guided.GuidedRanking`.

    With a point or region, only cells of the query that lie there may correspond. The data has the
    ``pairs`` of each hit and the sum of their similarities, by which the hits are ranked
    (``guided``), and the hits' numbers in that order (``ranking``). `GuidedRanking` edits further,
    and keeps a log.

    Source: Nguyen, Taesiri, Kim and Nguyen, Allowing Humans to Interactively Guide Machines Where
    to Look Does Not Always Improve a Human-AI Team's Classification Accuracy, 2024.

    Deviations: those of `GuidedRanking`; a cell's vector is what it adds to the image's.

    Raises:
        ModelError: The model cannot say what each region adds to a vector.
        QueryError: The point or region is not in the query.
    """
    query, *hits = view.contributions()
    found = GuidedRanking(query, hits)
    place = _place(view)
    if place is not None:
        found.only(cells_in(place, query.shape[:2]))
    scores = tuple(decompose(query, hit).score for hit in hits)
    pairs = [
        [
            RegionPair(each.similarity, _box(each.query, query), _box(each.candidate, hit))
            for each in found.explain(number)
        ]
        for number, hit in enumerate(hits)
    ]
    shown, *shown_hits = view.shown
    return Explanation(
        "correspondences",
        scores,
        lambda: regions_figure(shown, shown_hits, pairs, scores, view.verdict),
        data={
            "pairs": [[_plain(pair) for pair in each] for each in pairs],
            "guided": [round(float(score), 4) for score in found.scores],
            "ranking": found.ranking.tolist(),
        },
    )


def _place(view: View) -> Region | None:
    """The chosen place in fractions of the query; a point has no width and height."""
    width, height = view.query.width, view.query.height
    if view.point is not None:
        x, y = view.point
        if max(x, y) > 1:
            x, y = x / width, y / height
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise QueryError(
                f"the point {view.point[0]:g},{view.point[1]:g} is not in the query of "
                f"{width} x {height} pixels: choose one inside it"
            )
        return x, y, 0.0, 0.0
    if view.region is None:
        return None
    box = pixel_box(view.region, width, height)
    left, top = box.left / width, box.top / height
    return left, top, box.right / width - left, box.bottom / height - top


def _box(cell: tuple[int, int], grid: NDArray[np.float32]) -> Box:
    rows, columns = grid.shape[:2]
    return cell[1] / columns, cell[0] / rows, 1 / columns, 1 / rows


def _plain(pair: RegionPair) -> dict[str, object]:
    return {
        "query": [round(each, 4) for each in pair.query_box],
        "hit": [round(each, 4) for each in pair.hit_box],
        "similarity": round(pair.similarity, 4),
    }
