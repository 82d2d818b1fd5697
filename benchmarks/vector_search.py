"""Search a gallery by vectors, as `Gallery.search` does once an image has become one.

Nothing to run by itself.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.catalog import Catalog
from glocal.gallery.clock import Clock
from glocal.gallery.conditions import Condition
from glocal.gallery.database import Database
from glocal.gallery.layout import open_layout
from glocal.gallery.query import Query
from glocal.gallery.results import SearchResult
from glocal.gallery.rows import SCHEMA, RowTable
from glocal.gallery.searching import Searcher, SearchOptions
from glocal.gallery.stores.base import Store
from glocal.gallery.stores.flat import FlatStore

Vectors = NDArray[np.float32]


class VectorSearch:
    """A gallery's catalogue and store, opened here, and its way of answering.

    Args:
        folder: of the gallery.
    """

    def __init__(self, folder: Path) -> None:
        layout = open_layout(folder, model=None, sha256=None, create=False, timeout=10)
        self.catalog = Catalog(layout.catalog)
        rows = RowTable(self.catalog, layout.model.space)
        self.store = FlatStore(layout.vectors, layout.model.dim, rows, layout.store.coding)
        self._space = layout.model.space
        self._searcher = Searcher(self.catalog, self.store, layout.model, self._space, None)

    def __enter__(self) -> VectorSearch:
        return self

    def __exit__(self, *_: object) -> None:
        self.store.close()
        self.catalog.close()

    def search(
        self, vector: Vectors, *, where: Condition | None = None, limit: int = 10
    ) -> SearchResult:
        """Search with a vector; the result's timing ``search`` has the store and all look-ups."""
        query = Query.of_vector(vector, space=self._space, dim=len(vector))
        return self._searcher.search(query, SearchOptions(limit, where), Clock())

    def milliseconds(self, vector: Vectors, **how: Any) -> float:
        """The time of one search."""
        return self.search(vector, **how).timings_ms["search"]

    def recall_at_10(
        self, queries: Vectors, *, where: Condition | None = None
    ) -> tuple[float, float]:
        """Recall against the exact scan; see `recall_at_10`."""
        return recall_at_10(self.store, queries, where)


def open_store(folder: Path, dim: int) -> FlatStore:
    """A store with a catalogue of its own, to be filled."""
    folder.mkdir(parents=True, exist_ok=True)
    database = Database(folder / "catalog.sqlite", SCHEMA)
    return FlatStore(folder / "vectors", dim, RowTable(database, "space"))


def recall_at_10(
    store: Store, queries: Vectors, where: Condition | None = None
) -> tuple[float, float]:
    """Share of the ten nearest that a store's search finds: on average, and of the worst query.

    Queries that nothing answers, under a condition, are left out.
    """
    shares = []
    for query in queries:
        exact = store.search(query, 10, where=where, exact=True)
        found = _ids(store, query, where)
        if exact:
            shares.append(sum(match.id in found for match in exact) / len(exact))
    return (float(np.mean(shares)), float(np.min(shares))) if shares else (1.0, 1.0)


def _ids(store: Store, query: Vectors, where: Condition | None) -> set[UUID]:
    return {match.id for match in store.search(query, 10, where=where)}
