"""The explainer ``regions``: which region of the query is like which region of the hit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.regions import COARSE, QUERY_REGIONS, Regions, every_region
from glocal.explain.explainer import Explanation, View
from glocal.explain.figures import regions_figure
from glocal.explain.region_pairs import RegionPair, best_pairs
from glocal.explain.similarity import decompose


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
        data={"pairs": [[_plain(pair) for pair in found] for found in pairs]},
    )


def _with_whole(contributions: NDArray[np.float32]) -> Regions:
    regions = every_region(contributions, QUERY_REGIONS)
    whole = contributions.sum((0, 1))[None]
    return Regions(
        np.concatenate([whole, regions.vectors]),
        np.concatenate([np.array([[0, 0, 1, 1]], np.float32), regions.boxes]),
    )


def _plain(pair: RegionPair) -> dict[str, object]:
    return {
        "query": pair.query_box,
        "hit": pair.hit_box,
        "similarity": round(pair.similarity, 4),
    }
