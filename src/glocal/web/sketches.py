"""A search by a drawing: what it may say, and its job."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError
from glocal.gallery import Gallery, SearchResult
from glocal.web.schemas import SearchRequest


@dataclass(frozen=True, slots=True, eq=False)
class SketchJob:
    """Such a search, with all that another process needs to answer it.

    Attributes:
        drawing: ``(h, w, 3)`` uint8 RGB.
        any_view: whether what was drawn is found from any view.
        name: what the query is called.
        options: further arguments of `Gallery.search_sketch`.
    """

    drawing: NDArray[np.uint8]
    any_view: bool
    name: str
    options: dict[str, Any] = field(default_factory=dict)

    def __call__(self, gallery: Gallery) -> SearchResult:
        """Answer it."""
        found = gallery.search_sketch(self.drawing, any_view=self.any_view, **self.options)
        return replace(found, query=self.name)


def check_sketch(request: SearchRequest, *, query: bool, examples: bool) -> None:
    """Refuse what a drawing cannot be combined with.

    Args:
        request: the search.
        query: whether there is a query image.
        examples: whether it has examples, `like` or `unlike`, whatever they are.

    Raises:
        QueryError: something is missing, or there is something that it does not take.
    """
    if not request.sketch:
        if request.any_view:
            raise QueryError("any_view says how a drawing is searched with; give sketch=true too")
        return
    if not query:
        raise QueryError("a search by a sketch needs it; send it as image, or give query, its id")
    without = {
        "text": request.text is not None,
        "change": request.change is not None,
        "region": request.region is not None,
        "like and unlike": examples,
        "rerank": request.rerank is not None,
        "small_objects": request.small_objects,
    }
    named = [name for name, given in without.items() if given]
    if named:
        raise QueryError(f"a sketch cannot be combined with {' and '.join(named)}; leave it out")
