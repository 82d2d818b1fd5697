"""A store of vectors in a Milvus collection: see `MilvusStore`."""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.cluster import filters, indexes
from glocal.cluster.server import Server
from glocal.gallery.conditions import Columns, Condition, meets
from glocal.gallery.records import Attributes, Match, Record, StoreStatus

MOST = 16_384
"""Rows in one answer of Milvus, which it limits (``quotaAndLimits.limits.topK``)."""

_SLICES = 2**16
"""Values of the column ``slice``, by which a collection is read in pieces of about equal size."""

_PIECE = 4_000  # rows in one of them, about
_NAMED = 1_000  # ids in one expression
_WRITTEN = 500  # rows in one request, which has at most 64 MB

_EXACT = 32
"""Pieces in which a collection is searched exactly. An index compares all rows that an expression
lets pass where these are few (in Milvus 2.3 less than 7 %: ``kHnswSearchKnnBFFilterThreshold`` of
its library Knowhere), and an index that is exact anyhow does so always."""

_MOST_FOLDERS = 4_096
"""Folders of an image, as many as an array of Milvus holds; others of it are left out."""

_COMPARED = 100_000
"""Rows that meet a condition and are compared all, as an embedded store does: a walk of the graph
misses some of them (`benchmarks/cluster_same.py`: 3 of 120 lists of 20 hits among 2,000 photos)."""

_FACTS = ("folders", "width", "height", "bytes", "taken", "camera", "latitude", "longitude")


class LastWrite(Protocol):
    """Remembers when a collection was last written to, for all who read it.

    Milvus answers from what has reached it by a moment that is asked for. The moment of the last
    write is enough to see all of them, and costs nothing once it has passed; without it, each
    answer waits for the next tick of the server's clock (.2 to .4 s).
    """

    def get(self) -> int:
        """The server's timestamp of the last write, 0 if there was none.

        Raises:
            GalleryError: nobody is to use the collection any more.
        """
        ...

    def set(self, timestamp: int) -> None:
        """Note a write."""
        ...


class MilvusStore:
    """Vectors in a collection of a Milvus server; see `Store`. Any thread and process may call.

    What was upserted or deleted is in the server's log when the call returns, and survives the end
    of the server's process. The collection is made with the first vector; its index is the server's
    own business.

    Args:
        server: where it is.
        collection: name of the collection.
        dim: length of the vectors.
        last_write: what remembers writes; `None`: each answer asks the server for the moment.

    Attributes:
        expected: how many vectors will come, as far as is known; a new collection's index is chosen
            by it.

    Raises:
        StoreUnavailableError: from every method, while the server is away.
    """

    def __init__(
        self, server: Server, collection: str, dim: int, last_write: LastWrite | None = None
    ) -> None:
        self.server = server
        self.collection = collection
        self._dim = dim
        self._last_write = last_write
        self._there = False
        self.expected = 0

    # Changing

    def upsert(self, records: Sequence[Record]) -> None:
        """See `Store.upsert`."""
        if records:
            self._require_ours()
            self._make()
            self._write([_row(record) for record in records])

    def set_folders(self, folders: Mapping[UUID, tuple[int, ...]]) -> None:
        """See `Store.set_folders`; rows are written whole, since Milvus 2.3 knows no other way."""
        rows = []
        for row in self._rows(list(folders), [*_FACTS, "slice", "vector"]):
            numbers = list(folders[UUID(hex=row["id"])][:_MOST_FOLDERS])
            rows.append({**row, "folders": numbers, "vector": np.asarray(row["vector"], "f4")})
        self._write(rows)

    def delete(self, ids: Sequence[UUID]) -> None:
        """See `Store.delete`."""
        if not ids:
            return
        self._require_ours()
        if not self.exists():
            return
        for start in range(0, len(ids), _NAMED):
            some = ids[start : start + _NAMED]
            self.server.call("delete", self.collection, filter=_among(some))
        self._note()

    def outgrown(self, vectors: int) -> bool:
        """Whether the collection, of so many vectors, is to get another index.

        See `indexes.outgrown`; the server is asked only where that is possible.
        """
        settled = indexes.settled(self.server.config, vectors)
        there = not settled and self.exists()
        return there and indexes.outgrown(self.server, self.collection, vectors)

    def reindex(self, vectors: int) -> None:
        """Begin to give the collection the index that it is to have; `load` follows."""
        indexes.replace(self.server, self.collection, vectors)

    def load(self) -> None:
        """Let the collection be searched."""
        indexes.load(self.server, self.collection)

    def drop(self) -> None:
        """Remove the collection, with all that is in it."""
        self.server.call("drop_collection", self.collection)
        self._there = False

    def _write(self, rows: list[dict[str, Any]]) -> None:
        if not rows:
            return
        for start in range(0, len(rows), _WRITTEN):
            self.server.call("upsert", self.collection, rows[start : start + _WRITTEN])
        self._note()

    def _require_ours(self) -> None:
        """Make sure that the gallery has not left the collection; what it has left stays gone."""
        if self._last_write is not None:
            self._last_write.get()

    def _note(self) -> None:
        if self._last_write is not None:
            # Of deletions the server tells no timestamp, and the client none at all: a later one.
            self._last_write.set(self.server.timestamp())

    def exists(self) -> bool:
        """Whether the collection was made."""
        if not self._there and self.server.call("has_collection", self.collection):
            state = self.server.call("get_load_state", self.collection)["state"]
            if state.name == "NotLoad":  # who made it has died before it had an index
                indexes.prepare(self.server, self.collection, self.expected)
            self._there = True
        return self._there

    def _make(self) -> None:
        if self.exists():
            return
        from pymilvus import DataType

        def make(client: Any, left: float) -> None:
            schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
            schema.add_field("id", DataType.VARCHAR, max_length=32, is_primary=True)
            schema.add_field("vector", DataType.FLOAT_VECTOR, dim=self._dim)
            schema.add_field("slice", DataType.INT64)
            schema.add_field(
                "folders", DataType.ARRAY, element_type=DataType.INT64, max_capacity=_MOST_FOLDERS
            )
            for name in ("width", "height", "bytes", "taken"):
                schema.add_field(name, DataType.INT64)
            schema.add_field("camera", DataType.VARCHAR, max_length=filters.LONGEST_CAMERA)
            for name in ("latitude", "longitude"):
                schema.add_field(name, DataType.DOUBLE)
            # By a repetition whose first request arrived it stays as it is.
            client.create_collection(self.collection, schema=schema, timeout=left)

        self.server.repeat(make)
        indexes.prepare(self.server, self.collection, self.expected)
        self._there = True

    # Reading

    def search(
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,
    ) -> list[Match]:
        """See `Store.search`; at most `MOST` are found."""
        filtered = filters.translated(where)
        if filtered.nothing or not self.exists():
            return []
        pieces = self._pieces(filtered.expression, exact=exact)
        if filtered.exact or where is None:
            return self._best(vector, min(limit, MOST), filtered.expression, pieces)
        ask = min(2 * limit + 16, MOST)
        while True:
            found = self._best(vector, ask, filtered.expression, pieces, where)
            if len(found) >= limit or ask == MOST:
                break
            ask = min(4 * ask, MOST)
        if len(found) < limit and self._count(filtered.expression) > ask:
            return self._among_those_that_meet(vector, limit, where, filtered.expression)
        return found[:limit]

    def _pieces(self, expression: str, *, exact: bool) -> list[str]:
        """The pieces in which a search is sent, as expressions; an empty one walks the graph."""
        if exact and not expression:
            return _slices(_EXACT)
        if expression:
            passing = self._count(expression)
            if exact or passing <= _COMPARED:
                return _slices(math.ceil(_EXACT * passing / max(self._count(), 1)))
        return [""]

    def _best(
        self,
        vector: NDArray[np.float32],
        limit: int,
        expression: str,
        pieces: Sequence[str],
        where: Condition | None = None,
    ) -> list[Match]:
        """The best of each piece together; of these only what meets a condition."""
        query = [np.asarray(vector, np.float32).tolist()]
        parameters = indexes.search_parameters(self.server.config, limit)
        found: dict[UUID, float] = {}
        for piece in pieces:
            (hits,) = self.server.call(
                "search",
                self.collection,
                query,
                filter=_both(expression, piece),
                limit=limit,
                output_fields=list(_FACTS) if where is not None else [],
                search_params=parameters,
                **self._moment(),
            )
            met = [True] * len(hits)
            if where is not None and len(hits):
                met = meets(where, Columns.of([_attributes(h["entity"]) for h in hits])).tolist()
            for hit, wanted in zip(hits, met, strict=True):
                if wanted and math.isfinite(hit["distance"]):
                    found[UUID(hex=hit["id"])] = float(hit["distance"])
        best = sorted(found.items(), key=lambda each: -each[1])[:limit]
        return [Match(i, score) for i, score in best]

    def _among_those_that_meet(
        self, vector: NDArray[np.float32], limit: int, where: Condition, expression: str
    ) -> list[Match]:
        """As `search`, where too many pass the expression that do not meet the condition."""
        met: list[UUID] = []
        for rows in self._pages(["id", *_FACTS], expression):
            kept = meets(where, Columns.of([_attributes(row) for row in rows]))
            met += [UUID(hex=row["id"]) for row, wanted in zip(rows, kept, strict=True) if wanted]
        pieces = [_among(met[start : start + _NAMED]) for start in range(0, len(met), _NAMED)]
        return self._best(vector, min(limit, MOST), "", pieces)

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, NDArray[np.float32]]:
        """See `Store.vectors`."""
        rows = self._rows(ids, ["vector"])
        return {UUID(hex=row["id"]): np.asarray(row["vector"], np.float32) for row in rows}

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        """See `Store.scan`."""
        if self.exists():
            for rows in self._pages(["folders"]):
                yield from ((UUID(hex=row["id"]), tuple(row["folders"])) for row in rows)

    def status(self) -> StoreStatus:
        """See `Store.status`."""
        if not self.exists():
            return StoreStatus(0, 0)
        vectors = self._count()
        index = self.server.call("describe_index", self.collection, "vector")
        # Rows that were replaced or deleted count until the server has compacted them.
        return StoreStatus(vectors, min(vectors, int(index.get("indexed_rows", 0))))

    def close(self) -> None:
        """Close the connection."""
        self.server.close()

    def _moment(self) -> dict[str, Any]:
        if self._last_write is None:
            return {"consistency_level": "Strong"}
        return {
            "consistency_level": "Customized",
            "guarantee_timestamp": max(self._last_write.get(), 1),
        }

    def _query(self, expression: str, columns: Sequence[str]) -> list[dict[str, Any]]:
        named = {"filter": expression, "output_fields": list(columns)}
        return list(self.server.call("query", self.collection, **named, **self._moment()))

    def _count(self, expression: str = "") -> int:
        return int(self._query(expression, ["count(*)"])[0]["count(*)"])

    def _rows(self, ids: Sequence[UUID], columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        """Those of the ids that are there."""
        if ids and self.exists():
            for start in range(0, len(ids), _NAMED):
                yield from self._query(_among(ids[start : start + _NAMED]), ["id", *columns])

    def _pages(
        self, columns: Sequence[str], expression: str = ""
    ) -> Iterator[list[dict[str, Any]]]:
        """All rows that pass an expression, each once, in pieces by the column ``slice``."""
        for piece in _slices(1 + self._count(expression) // _PIECE):
            yield self._query(_both(expression, piece), ["id", *columns])


def _slices(count: int) -> list[str]:
    """Expressions for so many pieces of a collection, of about equal size."""
    count = min(max(count, 1), _SLICES)
    edges = [_SLICES * n // count for n in range(count + 1)]
    return [f"slice >= {low} and slice < {high}" for low, high in pairwise(edges)]


def _both(one: str, other: str) -> str:
    return f"({one}) and ({other})" if one and other else one or other


def _among(ids: Sequence[UUID]) -> str:
    return "id in [{}]".format(", ".join(f'"{i.hex}"' for i in ids))


def _row(record: Record) -> dict[str, Any]:
    image = record.attributes
    latitude, longitude = image.place or (filters.NOWHERE, filters.NOWHERE)
    return {
        "id": record.id.hex,
        "vector": np.asarray(record.vector, np.float32),
        "slice": zlib.crc32(record.id.bytes) % _SLICES,
        "folders": list(image.folders[:_MOST_FOLDERS]),
        "width": image.width,
        "height": image.height,
        "bytes": image.bytes,
        "taken": filters.UNKNOWN if image.taken is None else image.taken,
        "camera": filters.camera_key(image.camera),
        "latitude": latitude,
        "longitude": filters.wrapped(longitude) if image.place else longitude,
    }


def _attributes(row: Mapping[str, Any]) -> Attributes:
    place = (float(row["latitude"]), float(row["longitude"]))
    return Attributes(
        tuple(row["folders"]),
        row["width"],
        row["height"],
        row["bytes"],
        None if row["taken"] == filters.UNKNOWN else row["taken"],
        row["camera"] or None,
        None if place[0] == filters.NOWHERE else place,
    )
