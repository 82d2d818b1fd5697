"""The explainer ``fewest``: the fewest regions of the query that the similarity rests on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.fit import fit
from glocal.explain.explainer import Explanation, View
from glocal.explain.fewest_figure import fewest_figure
from glocal.explain.fewest_regions import FewestRegions, choose_regions, grid_regions

REGIONS, MOST, ENOUGH = 16, 6, 0.9
"""Regions of the query, how many are chosen, and the part of the score that ends the choice."""


def explain_fewest(view: View) -> Explanation:
    """Choose the fewest regions of the query that give its similarity to each hit.

    Regions are chosen one after the other, each by encoding the query with it and without it; see
    `glocal.explain.fewest_regions.choose_regions`. The choice ends where the chosen regions alone
    have nine tenths of the score, or after 6 of about 16 regions; for each hit up to 170 images are
    encoded, which takes seconds. Any model will do. Its maps are one for each hit, ``(rows,
    columns)`` of the query: 1 where the first region was chosen, less for each one after it, and 0
    for those that were not. The data has the ``regions`` of each hit with their boxes, x, y, width
    and height in fractions of the query, the similarity of the query with only the regions up to
    this one (``kept``) and without them (``removed``).

    Source: Chen, Zhang, Liang, Li and Cao, Less is More: Fewer Interpretable Region via Submodular
    Subset Selection, 2024.

    Deviations: those of `choose_regions`; regions are cells of a grid.
    """
    encoder = view.encoder
    query, *hits = encoder.encode([each.encoded for each in (view.query, *view.hits)])
    image = fit(view.query.encoded, encoder.card)[0]
    regions, rows, columns = grid_regions(image.shape[0], image.shape[1], REGIONS)

    def encode(images: NDArray[np.uint8]) -> NDArray[np.float32]:
        return np.stack([each.vector for each in encoder.encode(list(images))])

    chosen = [
        choose_regions(image, regions, hit.vector, encode, most=MOST, enough=ENOUGH) for hit in hits
    ]
    scores = tuple(float(query.vector @ hit.vector) for hit in hits)
    shown, *shown_hits = view.shown
    maps = tuple(_map(each, rows, columns) for each in chosen)
    return Explanation(
        "fewest",
        scores,
        lambda: fewest_figure(shown, shown_hits, maps, chosen, scores, view.verdict),
        maps,
        {"hits": [_plain(each, rows, columns) for each in chosen]},
    )


def _map(chosen: FewestRegions, rows: int, columns: int) -> NDArray[np.float32]:
    found = np.zeros(rows * columns, np.float32)
    count = len(chosen.regions)
    for place, region in enumerate(chosen.regions):
        found[region] = 1 - place / count
    return found.reshape(rows, columns)


def _plain(chosen: FewestRegions, rows: int, columns: int) -> dict[str, object]:
    return {
        "score": round(chosen.score, 4),
        "regions": [
            {
                "box": [
                    round(each, 4)
                    for each in (
                        region % columns / columns, region // columns / rows, 1 / columns, 1 / rows
                    )
                ],
                "kept": round(kept, 4),
                "removed": round(removed, 4),
            }
            for region, kept, removed in zip(
                chosen.regions, chosen.kept, chosen.removed, strict=True
            )
        ],
    }  # fmt: skip
