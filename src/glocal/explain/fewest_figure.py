"""The page of the explainer ``fewest``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from glocal.explain.fewest_regions import FewestRegions
from glocal.explain.figure import Figure
from glocal.explain.figures import Shown
from glocal.explain.page import Page, Panel

_DIM = 0.25  # brightness of what was not chosen


def fewest_figure(
    query: Shown,
    hits: Sequence[Shown],
    maps: Sequence[NDArray[np.float32]],
    chosen: Sequence[FewestRegions],
    scores: Sequence[float],
    verdict: str = "",
) -> Figure:
    """The chosen regions of the query in their colours, the others dark, beside each hit.

    Args:
        query: The query.
        hits: The hits.
        maps: For each hit ``(rows, columns)`` over the query, above 0 where a region was chosen.
        chosen: For each hit the choice.
        scores: For each hit the similarity of the search.
        verdict: Words to write beside the score.
    """
    said = ", ".join(f"{score:.3f}" for score in scores)
    page = Page(f"Similarity {said}" + (f": {verdict}" if verdict else ""))
    page.note("The fewest regions of the query that make it similar to the hit are lit.")
    for hit, grid, each, score in zip(hits, maps, chosen, scores, strict=True):
        page.row(
            [
                Panel(_lit(query.array, grid), "Query", query.name, "Query, chosen regions lit"),
                Panel(hit.array, f"Hit, {score:.3f}", hit.name, "Hit"),
            ]
        )
        page.note(
            f"These {len(each.regions)} of {grid.size} regions alone have a similarity of "
            f"{each.kept[-1]:.3f}, and the query without them {each.removed[-1]:.3f}."
        )
    return page.figure()


def _lit(photo: NDArray[np.uint8], grid: NDArray[np.float32]) -> NDArray[np.uint8]:
    height, width = photo.shape[:2]
    rows = np.arange(height) * grid.shape[0] // height
    columns = np.arange(width) * grid.shape[1] // width
    light = np.where(grid[np.ix_(rows, columns)] > 0, 1.0, _DIM)
    lit: NDArray[np.uint8] = (photo * light[..., None]).round().astype(np.uint8)
    return lit
