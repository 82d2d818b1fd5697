"""The explainer ``regions``: which region of the query is like which region of the hit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.regions import COARSE, QUERY_REGIONS, Regions, every_region
from glocal.explain.explainer import Explanation, View
from glocal.explain.figures import regions_figure
from glocal.explain.similarity import decompose
from glocal.ranking.regions import RegionMatch, pair

PAIRS = 3
"""Pairs of regions that are shown for each hit."""


def explain_regions(view: View) -> Explanation:
    """Find the pairs of regions that are most alike; see `glocal.encoders.regions`.

    The query itself is one of its regions. The data has the ``pairs`` of each hit, the most similar
    first; boxes are x, y, width and height in fractions of each image.

    Raises:
        ModelError: The model cannot say what each region adds to a vector.
    """
    query, *hits = view.contributions()
    scores = tuple(decompose(query, hit).score for hit in hits)
    regions = _with_whole(query)
    pairs = [best_pairs(regions, every_region(hit, COARSE)) for hit in hits]
    shown, *shown_hits = view.shown
    return Explanation(
        "regions",
        scores,
        lambda: regions_figure(shown, shown_hits, pairs, scores, view.verdict),
        data={"pairs": [[_plain(match) for match in found] for found in pairs]},
    )


def best_pairs(query: Regions, image: Regions) -> list[RegionMatch]:
    """Pairs of regions from the most similar on, each region in one pair at most."""
    similar = query.vectors @ image.vectors.T
    found = []
    for _ in range(min(PAIRS, *similar.shape)):
        match, at, there = pair(similar, query.boxes, image.boxes)
        found.append(match)
        similar[at], similar[:, there] = -np.inf, -np.inf
    return found


def _with_whole(contributions: NDArray[np.float32]) -> Regions:
    regions = every_region(contributions, QUERY_REGIONS)
    whole = contributions.sum((0, 1))[None]
    return Regions(
        np.concatenate([whole, regions.vectors]),
        np.concatenate([np.array([[0, 0, 1, 1]], np.float32), regions.boxes]),
    )


def _plain(match: RegionMatch) -> dict[str, object]:
    return {
        "query": match.query_box,
        "hit": match.box,
        "similarity": round(match.similarity, 4),
    }
