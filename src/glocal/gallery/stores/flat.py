"""The embedded store: vectors one after another in a file that every process maps.

See `glocal.gallery.stores.row_file` for how they are kept. A search compares all vectors, or walks
the graph where that costs less.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.conditions import Condition
from glocal.gallery.records import Match, Record
from glocal.gallery.rows import Extent, RowTable
from glocal.gallery.stores import scan
from glocal.gallery.stores.coding import BYTES, Coding
from glocal.gallery.stores.graph import GraphKind
from glocal.gallery.stores.upkeep import KeptUp

_WALK = 60
"""Rows compared in the time in which a walk of the graph finds one more candidate."""

_LOADING = 1_000_000
"""Rows compared in the time in which the graph's library is loaded: so many are compared first."""


class FlatStore(KeptUp):
    """Vectors in a folder of this machine; see `Store` and `Maintained`.

    Args:
        folder: where the files lie; made with the first vector.
        dim: length of the vectors.
        rows: the table of them, in the catalogue.
        coding: how a vector lies in its row.
    """

    def __init__(self, folder: Path, dim: int, rows: RowTable, coding: Coding = BYTES) -> None:
        kind = coding.graph_kind(dim)
        super().__init__(folder, coding.row(dim), coding.ending, rows, dim=dim, graph=kind)
        self.coding = coding
        self._compared = 0  # rows, while there was a graph perhaps that was not loaded

    def upsert(self, records: Sequence[Record]) -> None:
        """See `Store.upsert`."""
        if records:
            vectors = np.stack([record.vector for record in records]).astype(np.float32)
            ids = [record.id for record in records]
            attributes = [record.attributes for record in records]
            self.put(ids, attributes, self.coding.coded(vectors))

    def search(
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,
    ) -> list[Match]:
        """See `Store.search`; the graph is walked where that costs less than comparing."""
        return self.search_rows(vector, limit, where=where, exact=exact)[0]

    def search_rows(
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,
    ) -> tuple[list[Match], NDArray[np.float32]]:
        """As `search`, with the vectors of what is found, ``(m, d)``."""
        view, vectors, allowed = self.meeting(where)
        rows = None if exact else self._walk(vector, limit, view.extent, vectors, allowed)
        if rows is None:
            rows, _ = scan.best(vector, vectors, np.flatnonzero(allowed), limit, self.coding)
        rows, scores = scan.ranked(vector, vectors, rows, limit, self.coding)
        matches = [
            Match(view.id(row), score)
            for row, score in zip(rows.tolist(), scores.tolist(), strict=True)
        ]
        return matches, self.coding.vectors(np.take(vectors, rows, axis=0))

    def _walk(
        self,
        vector: NDArray[np.float32],
        limit: int,
        extent: Extent,
        vectors: NDArray[Any],
        allowed: NDArray[np.bool_],
    ) -> NDArray[np.int64] | None:
        """Candidates by the graph, and by comparing what it does not reach or lies behind it.

        `None` where comparing all allowed rows costs less, or too few of those found are allowed.
        """
        count = int(np.count_nonzero(allowed))
        ask = 16 + int(2 * limit * len(allowed) / max(count, 1))
        if _WALK * ask >= count:
            return None
        if not self._upkeep.is_open and self._compared + count < _LOADING:
            self._compared += count
            return None
        graph = self._upkeep.graph(extent)
        if graph is None:
            return None
        point = vector
        if graph.kind != "floats":
            (point,) = self.coding.points(self.coding.coded(vector[None]), graph.kind)
        found = graph.search(point, ask, allowed=count / len(allowed))
        found = found[found < len(allowed)]
        found = found[allowed[found]]
        if len(found) < limit:
            return None
        behind = graph.rows + np.flatnonzero(allowed[graph.rows :])
        behind = np.concatenate([graph.hidden[allowed[graph.hidden]], behind])
        beside = scan.best(vector, vectors, behind, limit, self.coding)[0]
        return np.union1d(found, beside)

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, NDArray[np.float32]]:
        """See `Store.vectors`."""
        there, vectors = self.read(ids)
        return dict(zip(there, self.coding.vectors(vectors), strict=True))

    def points(
        self, rows: NDArray[np.int64], kind: GraphKind
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """What a graph covers of some rows: keys and points; a vector's key is its row."""
        return rows, self.coding.points(np.take(self.mapped()[1], rows, axis=0), kind)
