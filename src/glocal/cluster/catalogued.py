"""A Milvus collection and the catalogue of its gallery, as one store: see `CataloguedStore`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.cluster.store import MOST, MilvusStore
from glocal.errors import GalleryDamagedError, GalleryError
from glocal.gallery.catalog import Catalog
from glocal.gallery.conditions import Condition
from glocal.gallery.database import ALL
from glocal.gallery.records import Match, Record, StoreStatus
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.coding import BYTES, Coding

DELETED_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS cluster_deleted (content BLOB PRIMARY KEY) WITHOUT ROWID;"
)
"""The table of images whose vectors the cluster has yet to delete."""

_LEFT = "left"
_AT_ONCE = 1_000  # deleted in one request


class NotedWrites:
    """Notes in the catalogue when its collection was last written to; see `LastWrite`.

    Args:
        catalog: the gallery's.
        collection: its name.
    """

    def __init__(self, catalog: Catalog, collection: str) -> None:
        self._catalog = catalog
        self._key = f"last_write {collection}"

    def get(self) -> int:
        """See `LastWrite.get`.

        Raises:
            GalleryError: the gallery has left the collection, which a copy of its folder on another
                machine does not say yet.
        """
        noted = self._catalog.get_state(self._key) or "0"
        if noted == _LEFT:
            raise GalleryError(
                "the vectors of this gallery were moved out of the cluster, which the gallery.json "
                "of this folder does not say; use the folder to which they were moved"
            )
        return int(noted)

    def left(self) -> bool:
        """Whether nobody is to use the collection any more."""
        return self._catalog.get_state(self._key) == _LEFT

    def leave(self) -> None:
        """Note that nobody is to use the collection any more; inside a change."""
        self._catalog.set_state(self._key, _LEFT)

    def set(self, timestamp: int) -> None:
        """See `LastWrite.set`."""
        with self._catalog.change():
            self._catalog.set_state(self._key, str(max(timestamp, self.get())))


class CataloguedStore:
    """Vectors in a cluster, of which the catalogue says which are there; see `Store`.

    A cluster takes no part in a transaction. So vectors are written to it before the transaction
    that makes them part of the gallery is over, and deleted only after the one that removes them:
    whenever a process or the cluster dies, each image of the gallery has its vector. Vectors that
    the catalogue does not know are passed over, and written or deleted once more later.

    The table of rows, by which a gallery is browsed, is kept as for vectors in a file: the number
    of a row says nothing here but in which order images came.

    Args:
        vectors: the collection.
        rows: the table of the images that have a vector.
        coding: how a vector would lie in the gallery's folder. It is rounded likewise, so that
            searches find the same wherever it is.
    """

    def __init__(self, vectors: MilvusStore, rows: RowTable, coding: Coding = BYTES) -> None:
        self.vectors_there = vectors
        self.rows = rows
        self.coding = coding
        database = rows.database
        known = database.has_table("cluster_deleted")
        if not (known or database.read_only):  # whoever only reads waits for no writer
            with database.change():
                database.make(DELETED_SCHEMA)

    def upsert(self, records: Sequence[Record]) -> None:
        """See `Store.upsert`."""
        if not records:
            return
        ids = [record.id for record in records]
        given = np.stack([record.vector for record in records]).astype(np.float32)
        rounded = self.coding.vectors(self.coding.coded(given))
        records = [
            replace(record, vector=vector) for record, vector in zip(records, rounded, strict=True)
        ]
        with self.rows.database.change() as db:
            self.vectors_there.upsert(records)
            db.executemany(
                "DELETE FROM cluster_deleted WHERE content = ?", [(i.bytes,) for i in ids]
            )
            self.rows.remove(ids)
            self.rows.append(ids, [r.attributes for r in records], rounded.astype("<f2"))

    def set_folders(self, folders: Mapping[UUID, tuple[int, ...]]) -> None:
        """See `Store.set_folders`."""
        if folders:
            with self.rows.database.change():
                self.vectors_there.set_folders(folders)
                self.rows.set_folders(folders)

    def delete(self, ids: Sequence[UUID]) -> None:
        """See `Store.delete`; the cluster follows with `maintain`."""
        with self.rows.database.change() as db:
            self.rows.remove(ids)
            db.executemany(
                "INSERT INTO cluster_deleted VALUES (?) ON CONFLICT DO NOTHING",
                [(i.bytes,) for i in ids],
            )

    def search(
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,
    ) -> list[Match]:
        """See `Store.search`.

        Raises:
            GalleryDamagedError: somebody has removed the collection.
        """
        extent = self.rows.extent()
        if extent.rows > extent.dead and not self.vectors_there.exists():
            raise GalleryDamagedError(
                f"the cluster at {self.vectors_there.server.config.uri} has no collection "
                f"{self.vectors_there.collection} any more; to read all images again, run: "
                "glocal check --repair"
            )
        ask = limit
        while True:
            found = self.vectors_there.search(vector, ask, where=where, exact=exact)
            _, there = self.rows.find(match.id for match in found)
            known = [match for match in found if match.id in there]
            if len(known) >= limit or len(found) < ask or ask >= MOST:
                return known[:limit]
            ask *= 2

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, NDArray[np.float32]]:
        """See `Store.vectors`."""
        _, there = self.rows.find(ids)
        return self.vectors_there.vectors(list(there))

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        """See `Store.scan`; what the catalogue does not know is among it, so that it is found."""
        deleted = {UUID(bytes=i) for i in self._deleted(ALL)}
        yield from ((i, folders) for i, folders in self.vectors_there.scan() if i not in deleted)

    def status(self) -> StoreStatus:
        """See `Store.status`."""
        extent = self.rows.extent()
        count = extent.rows - extent.dead
        return StoreStatus(count, min(count, self.vectors_there.status().in_graph))

    def close(self) -> None:
        """See `Store.close`."""
        self.vectors_there.close()

    def maintain(self) -> bool:
        """Delete from the cluster what was removed, and see whether it needs another index.

        To build one is the cluster's own business.
        """
        while self._deleted(1):
            with self.rows.database.change() as db:
                some = self._deleted(_AT_ONCE)
                self.vectors_there.delete([UUID(bytes=i) for i in some])
                db.executemany(
                    "DELETE FROM cluster_deleted WHERE content = ?", [(i,) for i in some]
                )
        self._follow_size()
        return False

    def _follow_size(self) -> None:
        there, extent = self.vectors_there, self.rows.extent()
        count = extent.rows - extent.dead
        if self.rows.database.read_only or not there.outgrown(count):
            return
        with self.rows.database.change():  # which no other process does at the same time
            if there.outgrown(count):
                there.reindex(count)
        there.load()

    def damaged(self) -> list[UUID]:
        """None: the cluster keeps its own checksums."""
        return []

    def rewrite(self) -> None:
        """See `maintain`."""
        self.maintain()

    def _deleted(self, limit: int) -> list[bytes]:
        """Some of the images whose vectors the cluster has yet to delete."""
        if self.rows.database.read_only:
            return []
        rows = self.rows.database.rows("SELECT content FROM cluster_deleted LIMIT ?", (limit,))
        return [content for (content,) in rows]
