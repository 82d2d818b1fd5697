"""Vectors on their way from a cluster into a gallery's folder."""

from __future__ import annotations

from collections.abc import KeysView, Mapping
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.cluster.catalogued import CataloguedStore
from glocal.errors import GalleryDamagedError
from glocal.gallery.rows import Extent, RowTable
from glocal.gallery.stores.coding import Coding
from glocal.gallery.stores.files import explained, write_at
from glocal.gallery.stores.flat import FlatStore

_STEP = 2_000  # vectors written at once


class Spool:
    """A file of ids and vectors in the order in which they came, so that no run begins anew.

    Args:
        path: of the file.
        dim: length of the vectors.
    """

    def __init__(self, path: Path, dim: int) -> None:
        self._path = path
        self._row = np.dtype([("id", "u1", (16,)), ("vector", "<f2", (dim,))])
        self._places: dict[UUID, int] = {}
        if path.exists():
            rows = self._rows()
            self._places = {UUID(bytes=i.tobytes()): at for at, i in enumerate(rows["id"])}

    def _rows(self) -> NDArray[np.void]:
        count = self._path.stat().st_size // self._row.itemsize  # the last one may be cut off
        return (
            np.memmap(self._path, self._row, "r", shape=(count,))
            if count
            else np.zeros(0, self._row)
        )

    def ids(self) -> KeysView[UUID]:
        """What has come."""
        return self._places.keys()

    def append(self, vectors: Mapping[UUID, NDArray[np.float32]]) -> None:
        """Write vectors, and wait until the disk has them."""
        if not vectors:
            return
        rows = np.zeros(len(vectors), self._row)
        rows["id"] = [np.frombuffer(i.bytes, np.uint8) for i in vectors]
        rows["vector"] = np.stack([*vectors.values()])
        start = len(self._rows()) if self._path.exists() else 0
        write_at(self._path, start * self._row.itemsize, rows.tobytes())
        self._places |= {i: start + at for at, i in enumerate(vectors)}

    def read(self, ids: list[UUID]) -> NDArray[np.float16]:
        """The vectors of ids that have come, ``(n, d)``."""
        found: NDArray[np.float16] = self._rows()["vector"][[self._places[i] for i in ids]]
        return found

    def remove(self) -> None:
        """Delete the file."""
        self._path.unlink(missing_ok=True)


class ArrivingStore(FlatStore):
    """The file of vectors that a gallery will have in its folder, written by `rewrite`.

    Args:
        folder: of the vectors.
        dim: of the vectors.
        rows: the table of the images, which numbers the vectors as they lie in the file.
        coding: how a vector lies in its row.
        spool: what has come from the cluster.
        source: the cluster, for what came to the gallery since.
    """

    def __init__(
        self,
        folder: Path,
        dim: int,
        rows: RowTable,
        coding: Coding,
        spool: Spool,
        source: CataloguedStore,
    ) -> None:
        super().__init__(folder, dim, rows, coding)
        self._spool = spool
        self._source = source
        self._dim = dim

    def _copy(self, rows: NDArray[np.int64], extent: Extent, file: BinaryIO) -> None:
        view = self.rows.view()
        for start in range(0, len(rows), _STEP):
            ids = [view.id(row) for row in rows[start : start + _STEP].tolist()]
            new = [i for i in ids if i not in self._spool.ids()]
            self._spool.append(self._source.vectors(new))
            gone = [i for i in new if i not in self._spool.ids()]
            if lost := self.rows.find(gone)[1]:
                raise GalleryDamagedError(
                    f"the cluster has lost the vectors of {len(lost)} images; read them again: "
                    "glocal check --repair"
                )
            # Those of images that were removed in this moment are nobody's.
            self._spool.append({i: np.zeros(self._dim, np.float32) for i in gone})
            with explained(self.file(extent.generation + 1)):
                vectors = self._spool.read(ids).astype(np.float32)
                file.write(self.coding.coded(vectors).tobytes())
