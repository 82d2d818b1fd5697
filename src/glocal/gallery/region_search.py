"""The stage of a search that compares regions: small things, and pieces of larger images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from glocal.encoders import Regions
from glocal.gallery.conditions import Condition
from glocal.gallery.records import Match
from glocal.gallery.stores.regions import RegionStore
from glocal.ranking.regions import RegionMatch, best_match, blend

CANDIDATES = 50
"""Images that each vector of a query adds to those whose whole vectors are nearest."""


WHOLE = 200
"""Images that whole vectors find at least, before regions are compared."""

REORDERED = 400
"""How many of the best by their vectors are ordered by their regions too."""


@dataclass(frozen=True, slots=True)
class ByRegions:
    """Candidates in the order of their vectors and regions.

    Attributes:
        matches: best first.
        scores: what orders them; those without regions have none.
        found: for images with regions, where the query was found in them.
    """

    matches: list[Match]
    scores: dict[UUID, float]
    found: dict[UUID, RegionMatch]


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
    whole: dict[UUID, float],
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
    scores, found = dict[UUID, float](), dict[UUID, RegionMatch]()
    for match in head:
        similarity = whole.get(match.id, match.score)
        if match.id not in compared:
            scores[match.id] = blend(similarity, None)
            continue
        regions = compared[match.id]
        scores[match.id] = blend(similarity, regions.values)
        found[match.id] = best_match(regions.values, query.boxes, regions.boxes)
    best = sorted(head, key=lambda match: -scores[match.id])
    return ByRegions([*best, *rest], {i: scores[i] for i in found}, found)
