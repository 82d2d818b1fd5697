"""The stage of a search that compares regions: small things, and pieces of larger images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np

from glocal.encoders import Regions
from glocal.gallery.conditions import Condition
from glocal.gallery.records import Match, RegionSimilarities
from glocal.gallery.stores.regions import RegionStore
from glocal.ranking.regions import RegionMatch, blend, blend_without_regions, pair

CANDIDATES = 30
"""Images that each vector of a query adds to those whose whole vectors are nearest."""

WHOLE = 100
"""Images that whole vectors find at least, before regions are compared."""

REORDERED = 400
"""How many of the best by their vectors are ordered by their regions too."""


@dataclass(frozen=True, slots=True)
class ByRegions:
    """Candidates in the order of their vectors and regions.

    Attributes:
        matches: best first.
        scores: what orders those that have regions.
        query: the query's vectors.
        compared: its similarities to the regions of those images.
    """

    matches: list[Match]
    scores: dict[UUID, float] = field(default_factory=dict)
    query: Regions | None = None
    compared: RegionSimilarities | None = None

    def where(self, image: UUID) -> RegionMatch | None:
        """Where the query was found in an image; `None` where its regions were not compared."""
        if self.query is None or self.compared is None or image not in self.compared.rows:
            return None
        row = self.compared.rows[image]
        return pair(self.compared.values[row], self.query.boxes, self.compared.boxes[row])[0]


def candidates(
    store: RegionStore, query: Regions, where: Condition | None, *, exact: bool
) -> list[UUID]:
    """Images with a region that is like the query or like a region of it."""
    return store.search(query.vectors, CANDIDATES, where=where, exact=exact)


def ordered(
    store: RegionStore,
    query: Regions,
    matches: Sequence[Match],
    added: Sequence[Match],
    whole: Mapping[UUID, float],
) -> ByRegions:
    """Order matches by their vectors and regions together.

    Args:
        store: of the regions.
        query: the query's vectors.
        matches: those that whole vectors found, best first; beyond `REORDERED` they stay below.
        added: those that `candidates` found.
        whole: scores that stand for the similarity of whole vectors, where it is not the match's.
    """
    head, rest = [*matches[:REORDERED], *added], matches[REORDERED:]
    compared = store.compare(query.vectors, [match.id for match in head])
    wholes = np.array([whole.get(match.id, match.score) for match in head], np.float32)
    scores = blend_without_regions(wholes)
    known = np.array([at for at, match in enumerate(head) if match.id in compared.rows], np.int64)
    rows = [compared.rows[head[at].id] for at in known.tolist()]
    scores[known] = blend(wholes[known], compared.values[rows])
    best = [head[at] for at in np.argsort(-scores, kind="stable").tolist()]
    found = {head[at].id: float(scores[at]) for at in known.tolist()}
    return ByRegions([*best, *rest], found, query, compared)
