"""The vectors of the images' regions: bytes in a file of their own, an image's regions a row.

They are kept by the rules of the vectors (see `glocal.gallery.stores.row_file`), in a space of
their own of the same catalogue, so that an image can have a vector and no regions yet.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import simsimd
from numpy.typing import NDArray

from glocal.encoders import Regions
from glocal.gallery.conditions import Condition
from glocal.gallery.records import RegionRecord, RegionSimilarities
from glocal.gallery.rows import Extent, RowTable
from glocal.gallery.stores.coding import Codes, in_bytes, signs, unit_vectors
from glocal.gallery.stores.graph import GraphKind
from glocal.gallery.stores.upkeep import KeptUp

_BOX = 4  # bytes behind each vector
_CHUNK = 4096  # regions compared at once

_WALK = 60
"""Regions compared in the time in which a walk of the graph finds one more candidate."""


class RegionStore(KeptUp):
    """Region vectors in a folder of this machine; any thread may call.

    Args:
        folder: where the files lie; made with the first regions.
        dim: length of the vectors.
        count: regions of each image.
        rows: the table of the images, in the catalogue.
        graph: what a graph holds of the vectors: their bytes or their signs.
    """

    def __init__(
        self, folder: Path, dim: int, count: int, rows: RowTable, graph: GraphKind = "bytes"
    ) -> None:
        row = np.dtype(("i1", (count, dim + _BOX)))
        super().__init__(folder, row, "i8", rows, dim=dim, regions=count, graph=graph)
        self.count = count
        self._dim = dim

    def upsert(self, records: Sequence[RegionRecord]) -> None:
        """Add the regions of images, in place of those that they have; inside a change.

        Each vector is kept as bytes in parts of its greatest number, and compared by its direction.
        """
        if not records:
            return
        vectors = np.stack([record.vectors for record in records])
        boxes = np.rint(np.clip([record.boxes for record in records], 0, 1) * 255)
        written = np.concatenate([in_bytes(vectors), boxes.astype(np.uint8).view(np.int8)], axis=2)
        self.put([record.id for record in records], [r.attributes for r in records], written)

    def search(
        self,
        queries: NDArray[np.float32],
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,
    ) -> list[UUID]:
        """The images with the regions nearest to each of some vectors.

        Args:
            queries: ``(m, d)`` float32, whose directions are compared.
            limit: how many images for each of them.
            where: only images that meet this condition.
            exact: compare with every region instead of walking a graph.

        Returns:
            Each image once, in no order.
        """
        view, mapped, allowed = self.meeting(where)
        codes = in_bytes(queries)
        rows = None if exact else self._walk(codes, limit, view.extent, mapped, allowed)
        if rows is None:
            rows = self._nearest(codes, mapped, np.flatnonzero(allowed), limit)
        return [view.id(row) for row in rows.tolist()]

    def _walk(
        self,
        codes: Codes,
        limit: int,
        extent: Extent,
        mapped: Codes,
        allowed: NDArray[np.bool_],
    ) -> NDArray[np.int64] | None:
        """Rows by the graph, and by comparing what lies behind it; see `FlatStore`."""
        count = int(np.count_nonzero(allowed))
        # Of the regions found several may be of one image.
        ask = 32 + int(2 * limit * len(allowed) / max(count, 1))
        if _WALK * ask >= self.count * count:
            return None
        graph = self._upkeep.graph(extent)
        if graph is None:
            return None
        found = [graph.search(point, ask) // self.count for point in _points(codes, graph.kind)]
        rows = np.unique(np.concatenate(found))
        rows = rows[rows < len(allowed)]
        rows = rows[allowed[rows]]
        behind = graph.rows + np.flatnonzero(allowed[graph.rows :])
        if graph.kind == "signs":  # which say little: all that they find is compared again
            return self._nearest(codes, mapped, np.concatenate([rows, behind]), limit)
        return np.union1d(rows, self._nearest(codes, mapped, behind, limit))

    def _nearest(
        self, codes: Codes, mapped: Codes, rows: NDArray[np.int64], limit: int
    ) -> NDArray[np.int64]:
        """The best of some rows for each query vector, by comparing all of their regions."""
        best = np.empty((len(codes), len(rows)), np.float32)
        step = max(_CHUNK // self.count, 1)
        for start in range(0, len(rows), step):
            chosen = rows[start : start + step]
            if chosen[-1] - chosen[0] + 1 == len(chosen):
                chunk = mapped[chosen[0] : chosen[-1] + 1]
            else:
                chunk = np.take(mapped, chosen, axis=0)
            best[:, start : start + step] = self._distances(codes, chunk).min(axis=2)
        best[~np.isfinite(best)] = np.inf
        if len(rows) <= limit:
            return rows
        return np.unique(rows[np.argpartition(best, limit, axis=1)[:, :limit]])

    def compare(self, queries: NDArray[np.float32], ids: Sequence[UUID]) -> RegionSimilarities:
        """Compare the regions of images with some vectors, these in bytes too.

        Args:
            queries: ``(m, d)`` float32 of unit length.
            ids: the images; those without regions are passed over.
        """
        there, rows = self.read(ids)
        similar = 1 - self._distances(in_bytes(queries), rows).transpose(1, 0, 2)
        return RegionSimilarities(
            {i: row for row, i in enumerate(there)}, similar, self._boxes(rows)
        )

    def regions(self, ids: Sequence[UUID]) -> dict[UUID, Regions]:
        """The regions of those images that have some."""
        there, rows = self.read(ids)
        found = zip(there, *self._decoded(rows), strict=True)
        return {i: Regions(vectors, boxes) for i, vectors, boxes in found}

    def _decoded(self, rows: Codes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vectors of unit length, ``(n, r, d)``, and boxes, ``(n, r, 4)``."""
        return unit_vectors(rows[:, :, : self._dim]), self._boxes(rows)

    def _boxes(self, rows: Codes) -> NDArray[np.float32]:
        return rows[:, :, self._dim :].view(np.uint8).astype(np.float32) / np.float32(255)

    def _distances(self, codes: Codes, rows: Codes) -> NDArray[np.float32]:
        """Cosine distances, ``(m, n, r)``, of ``m`` vectors to the regions of ``n`` images."""
        if not len(rows):
            return np.zeros((len(codes), 0, self.count), np.float32)
        regions = rows.reshape(-1, self._dim + _BOX)[:, : self._dim]
        distances = np.asarray(simsimd.cdist(codes, regions, metric="cos"))
        return distances.reshape(len(codes), -1, self.count).astype(np.float32)

    def points(
        self, rows: NDArray[np.int64], kind: GraphKind
    ) -> tuple[NDArray[np.int64], NDArray[Any]]:
        """What a graph covers of some rows: keys and vectors.

        The key of a region is its row times the regions of an image, and its place among them.
        """
        keys = rows[:, None] * self.count + np.arange(self.count)
        codes = np.take(self.mapped()[1], rows, axis=0)[:, :, : self._dim]
        return keys.ravel(), _points(codes.reshape(-1, self._dim), kind)


def _points(codes: Codes, kind: GraphKind) -> NDArray[Any]:
    """What a graph holds of codes, ``(n, d)``."""
    return signs(codes) if kind == "signs" else np.ascontiguousarray(codes)
