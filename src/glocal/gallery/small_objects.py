"""The deep search: every image's local features compared, for things small in big images.

One vector speaks for a whole image, and what fills a twentieth of it has little say in that.
Local features speak for themselves: by MaxSim each part of the query meets its best answer anywhere in
an image. That is exact and takes time in proportion to the gallery (see docs/decisions.md for what
MUVERA's encodings, which an index could hold, find and miss).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from uuid import UUID

from glocal.encoders import LocalFeatures
from glocal.gallery.catalog import Catalog
from glocal.gallery.packed_features import unpack
from glocal.gallery.records import Match
from glocal.ranking.maxsim import max_similarities

SMALL_OBJECT_SCALES = (1.0, 0.5, 0.3)
"""Sides of the query's input. Parts answer each other at about the same size only, and what is
small in the gallery's image is large in the query."""


def find_small_objects(
    catalog: Catalog,
    looks: list[LocalFeatures],
    count: int,
    strength: float,
    allowed: Callable[[list[UUID]], set[UUID]],
) -> list[Match]:
    """The images whose parts answer the query's best.

    Args:
        catalog: with the parts of every image.
        looks: the query's parts at several sizes; in each image the best size counts.
        count: how many images.
        strength: weaker parts of images are left out.
        allowed: of some images, those that may be found.

    Returns:
        at most ``count``, best first, each with its MaxSim.
    """
    best: list[tuple[float, UUID]] = []
    asked = [look.descriptors for look in looks if len(look)]
    if not asked:
        return []
    for page in catalog.all_local_features():
        may = allowed(list(page))
        ids = [i for i in page if i in may]
        documents = [unpack(page[i]).scored_above(strength).descriptors for i in ids]
        scores = max_similarities(asked, documents).max(axis=0)
        best = heapq.nlargest(count, [*best, *zip(scores.tolist(), ids, strict=True)])
    return [Match(i, score) for score, i in best]
