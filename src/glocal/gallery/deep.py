"""The deep search: every picture's local parts compared, for things small in big pictures.

One vector speaks for a whole picture, and what fills a twentieth of it has little say in that.
Local parts speak for themselves: by MaxSim each part of the query meets its best answer anywhere in
a picture. That is exact and takes time in proportion to the gallery (see docs/decisions.md for what
MUVERA's encodings, which an index could hold, find and miss).
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import Detector, LocalParts
from glocal.gallery.catalog import Catalog
from glocal.gallery.parts import unpack
from glocal.ranking.muvera import max_similarity

SCALES = (0.5, 0.3)
"""Sides of the query's input: parts answer each other at about the same size only, and what is
small in the gallery's picture is large in the query."""


def shrunk_parts(detector: Detector, image: NDArray[np.uint8], strength: float) -> list[LocalParts]:
    """A query's parts as they may look where the thing is small; see `SCALES`."""
    looks = (detector.detect(image, scale=scale).stronger_than(strength) for scale in SCALES)
    return [parts for parts in looks if len(parts)]


def deepest(
    catalog: Catalog,
    looks: list[LocalParts],
    count: int,
    strength: float,
    allowed: Callable[[list[UUID]], set[UUID]],
) -> list[UUID]:
    """The pictures whose parts answer the query's best.

    Args:
        catalog: with the parts of every picture.
        looks: the query's parts at several sizes; the best counts.
        count: how many pictures.
        strength: weaker parts of pictures are left out.
        allowed: of some pictures, those that may be found.

    Returns:
        at most ``count``, best first.
    """
    best: list[tuple[float, UUID]] = []
    for page in catalog.all_parts():
        may = allowed(list(page))
        ids = [i for i in page if i in may]
        documents = [unpack(page[i]).stronger_than(strength).descriptors for i in ids]
        scores = np.max([max_similarity(look.descriptors, documents) for look in looks], axis=0)
        best = heapq.nlargest(count, [*best, *zip(scores.tolist(), ids, strict=True)])
    return [i for _, i in best]
