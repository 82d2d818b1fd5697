"""Search by all local features, for objects that are small in large images.

One vector describes a whole image, and an object that fills a twentieth of it hardly changes that
vector. Here the best local features of the query are compared with those of every image, and an
image's score is its MaxSim. This is exact and takes time in proportion to the gallery (see
docs/decisions.md for MUVERA's encodings, which an index could hold, and what they miss).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from uuid import UUID

from glocal.encoders import LocalFeatures
from glocal.gallery.catalog import Catalog
from glocal.gallery.packed_features import unpack_few
from glocal.gallery.records import Match
from glocal.ranking.maxsim import max_similarities

SMALL_OBJECT_SCALES = (1.0, 0.5, 0.3)
"""Sides of the query's input relative to the usual one.

Local features match at about the same size only, and an object that fills the query is small in
the image that is looked for.
"""


def find_small_objects(
    catalog: Catalog,
    queries: Sequence[LocalFeatures],
    count: int,
    min_score: float,
    allowed: Callable[[list[UUID]], set[UUID]],
) -> list[Match]:
    """The images whose local features are most similar to the query's.

    Args:
        catalog: holds the local features of every image.
        queries: the query's local features at several sizes; for each image the best size counts.
        count: how many images to return at most.
        min_score: features of images with a lower score are left out.
        allowed: which of the given images may be found.

    Returns:
        Best first, each with its MaxSim.
    """
    best: list[tuple[float, UUID]] = []
    descriptors = [local.descriptors for local in queries if len(local)]
    if not descriptors:
        return []
    for page in catalog.all_local_features():
        permitted = allowed(list(page))
        ids = [i for i in page if i in permitted]
        candidates = [unpack_few(page[i]).scored_above(min_score).descriptors for i in ids]
        scores = max_similarities(descriptors, candidates).max(axis=0)
        best = heapq.nlargest(count, [*best, *zip(scores.tolist(), ids, strict=True)])
    return [Match(i, score) for score, i in best]
