"""A search for two things that stand to each other in a way: what it may say, and its job."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError
from glocal.gallery import Gallery, SearchResult
from glocal.gallery.relation_search import fractions
from glocal.query.relations import Relation
from glocal.web.decoding import Decoded
from glocal.web.schemas import SearchRequest


@dataclass(frozen=True, slots=True, eq=False)
class RelationJob:
    """Such a search, with all that another process needs to answer it.

    Attributes:
        things: two of ``(h, w, 3)`` uint8 RGB: what the two regions of the query image show.
        relation: how the first has to stand to the second.
        name: what the query is called.
        options: further arguments of `Gallery.search_related`.
    """

    things: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    relation: Relation
    name: str
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(
        cls, request: SearchRequest, things: tuple[Decoded, Decoded], name: str, **options: Any
    ) -> RelationJob:
        """The job of a request that `check_relation` lets pass.

        Raises:
            QueryError: both regions are the same.
        """
        size = things[0].width, things[0].height
        assert request.region is not None  # noqa: S101 - see `check_relation`
        assert request.second_region is not None  # noqa: S101 - likewise
        boxes = [fractions(each, size) for each in (request.region, request.second_region)]
        relation = Relation.of(request.relation, boxes[0], boxes[1], size)
        return cls((things[0].array, things[1].array), relation, name, options)

    def __call__(self, gallery: Gallery) -> SearchResult:
        """Answer it; the time to encode is among the result's timings."""
        began = time.perf_counter()
        first, second = (replace(gallery.query(each), name=self.name) for each in self.things)
        encode = {"encode": (time.perf_counter() - began) * 1000}
        found = gallery.search_related(first, second, self.relation, **self.options)
        return replace(found, timings_ms=encode | found.timings_ms)


def check_relation(request: SearchRequest, *, examples: bool) -> None:
    """Refuse what a search for two things cannot be combined with.

    Args:
        request: the search.
        examples: whether it has examples, `like` or `unlike`, whatever they are.

    Raises:
        QueryError: something is missing, or there is something that it does not take.
    """
    if request.second_region is None:
        if request.relation is not None:
            raise QueryError("relation says how two things stand; give region and second_region")
        return
    if request.region is None:
        raise QueryError("second_region is that of a second thing; give region, the first one's")
    without = {
        "text": request.text is not None,
        "change": request.change is not None,
        "like and unlike": examples,
        "rerank": request.rerank is not None,
        "small_objects": request.small_objects,
        "verify=false": not request.verify,
        "regions=false": not request.regions,
    }
    named = [name for name, given in without.items() if given]
    if named:
        raise QueryError(
            f"a search for two regions cannot be combined with {' and '.join(named)}; leave it out"
        )
