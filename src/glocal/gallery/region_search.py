"""The stage of a search that compares regions: small things, and pieces of larger images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.conditions import Condition
from glocal.gallery.records import Match, RegionSimilarities
from glocal.gallery.stores.mixed import MixedRegions
from glocal.gallery.stores.regions import RegionStore
from glocal.ranking.regions import blend, blend_without_regions

CANDIDATES = 60
"""Images that the query at each of its sizes adds to those whose whole vectors are nearest."""

WHOLE = 100
"""Images that whole vectors find at least, before regions are compared."""

REORDERED = 400
"""How many of the best by their vectors are ordered by their regions too."""

KEPT, BY_REGION = 30, 20
"""Where matches are verified, the first by whole vectors keep their places, and then come those
with the best regions: geometry tells small things from chance where scores cannot, and the order
of what it does not prove is better without regions. Together they are those that are verified."""

_ITSELF = 0.999
"""Cosine similarity, with room for float16, from which an image is the query's own: it stays first
whatever its regions are like."""

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class ByRegions:
    """Candidates in the order in which they are shown or verified.

    Attributes:
        matches: best first.
        scores: of vectors and regions together, for those that have regions.
        compared: the similarities of the query to the regions of those images.
        proven: where verification has found the query.
    """

    matches: list[Match]
    scores: dict[UUID, float] = field(default_factory=dict)
    compared: RegionSimilarities | None = None
    proven: dict[UUID, Box] = field(default_factory=dict)

    def best(self, image: UUID) -> tuple[float, Box] | None:
        """Similarity and box of the region that is most like the query; `None` without regions."""
        if self.compared is None or image not in self.compared.rows:
            return None
        row = self.compared.rows[image]
        values = self.compared.values[row].max(axis=0)
        x, y, width, height = self.compared.boxes[row, int(values.argmax())].tolist()
        return float(values.max()), (round(x, 3), round(y, 3), round(width, 3), round(height, 3))

    def where(self, match: Match) -> Box | None:
        """Where in an image the query is; `None` where the whole is as much like it."""
        if match.id in self.proven:
            return self.proven[match.id]
        region = self.best(match.id)
        return region[1] if region and region[0] > match.score else None


def candidates(
    store: RegionStore | MixedRegions,
    query: NDArray[np.float32],
    where: Condition | None,
    *,
    exact: bool,
) -> list[UUID]:
    """Images with a region that is like the query at one of its sizes."""
    return store.search(query, CANDIDATES, where=where, exact=exact)


def ordered(
    store: RegionStore | MixedRegions,
    query: NDArray[np.float32],
    matches: Sequence[Match],
    added: Sequence[Match],
    whole: Mapping[UUID, float],
    margin: float,
    *,
    verified: bool,
) -> ByRegions:
    """Order matches by their vectors and regions together, or for verification; see `KEPT`.

    Args:
        store: of the regions.
        query: ``(m, d)`` the query at several sizes.
        matches: those that whole vectors found, best first; beyond `REORDERED` they stay below.
        added: those that `candidates` found.
        whole: scores that stand for the similarity of whole vectors, where it is not the match's.
        margin: see `blend`.
        verified: whether the first are verified afterwards.
    """
    head, rest = [*matches[:REORDERED], *added], matches[REORDERED:]
    compared = store.compare(query, [match.id for match in head])
    wholes = np.array([match.score for match in head], np.float32)
    base = np.array([whole.get(match.id, match.score) for match in head], np.float32)
    scores = blend_without_regions(wholes, base)
    best = np.full(len(head), -np.inf, np.float32)
    known = np.array([at for at, match in enumerate(head) if match.id in compared.rows], np.int64)
    if len(known):
        values = compared.values[[compared.rows[head[at].id] for at in known.tolist()]]
        scores[known] = blend(wholes[known], values, base[known], margin)
        best[known] = values.max(axis=(1, 2))
    order = np.lexsort((-scores, wholes < _ITSELF))
    if verified:
        first = np.arange(min(KEPT, len(matches)))
        others = order[~np.isin(order, first)]
        lifted = others[np.argsort(-best[others], kind="stable")[:BY_REGION]]
        lifted = lifted[np.isfinite(best[lifted])]
        order = np.concatenate([first, lifted, others[~np.isin(others, lifted)]])
    found = {head[at].id: float(scores[at]) for at in known.tolist()}
    return ByRegions([*(head[at] for at in order.tolist()), *rest], found, compared)
