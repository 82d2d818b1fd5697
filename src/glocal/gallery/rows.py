"""The table of a store's rows: which image each row of the vector file is, and its attributes.

It lies in the catalogue's database, so that a batch of vectors and the files that hold them become
visible in one transaction. Half a thousand rows are one block, whose columns are kept as bytes:
what a condition needs of a million images is read in a tenth of a second, where a million rows of
SQL would take seconds. A block notes the version that changed it last, so that a reader reads again
only what has changed.
"""

from __future__ import annotations

import json
import threading
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.conditions import Columns
from glocal.gallery.database import MANY, Connection, Database, upsert
from glocal.gallery.records import Attributes

SCHEMA = """
CREATE TABLE IF NOT EXISTS spaces (
    space TEXT PRIMARY KEY, generation INTEGER NOT NULL, rows INTEGER NOT NULL,
    dead INTEGER NOT NULL, version INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (
    space TEXT NOT NULL, content BLOB NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (space, content)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS blocks (
    space TEXT NOT NULL, number INTEGER NOT NULL, version INTEGER NOT NULL,
    checksum INTEGER NOT NULL, ids BLOB NOT NULL, facts BLOB NOT NULL,
    PRIMARY KEY (space, number)
);
CREATE TABLE IF NOT EXISTS terms (id INTEGER PRIMARY KEY, term TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS graphs (
    space TEXT PRIMARY KEY, generation INTEGER NOT NULL, rows INTEGER NOT NULL,
    name TEXT NOT NULL, bytes INTEGER NOT NULL, modified INTEGER NOT NULL, checksum INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hidden (
    space TEXT PRIMARY KEY, name TEXT NOT NULL, rows BLOB NOT NULL
) WITHOUT ROWID;
"""

_PUT_SPACE = upsert("spaces", "space", "generation, rows, dead, version")
_PUT_BLOCK = upsert("blocks", "space, number", "version, checksum, ids, facts")

T = TypeVar("T", bound=np.generic)

BLOCK = 512
"""Rows in a block: 32 kB, of which the last one is written again with every batch."""

_ID_BYTES = 16
_DEAD = 0
_FACTS = np.dtype(
    [
        (name, kind, (BLOCK,))
        for name, kind in [
            ("width", "<i4"),
            ("height", "<i4"),
            ("bytes", "<i8"),
            ("taken", "<f8"),
            ("latitude", "<f8"),
            ("longitude", "<f8"),
            ("camera", "<i4"),
            ("folders", "<i4"),
        ]
    ]
)


@dataclass(frozen=True, slots=True)
class Extent:
    """How far the file of vectors goes.

    Attributes:
        generation: of the file: compaction writes the next one.
        rows: known to the catalogue; what lies behind them in the file is nobody's.
        dead: those of them that were removed.
        version: counts the changes.
    """

    generation: int = 1
    rows: int = 0
    dead: int = 0
    version: int = 0


@dataclass(frozen=True, slots=True)
class View:
    """What was committed at one moment.

    Attributes:
        extent: of the file.
        ids: ``(rows, 16)`` uint8; of dead rows, whatever they were.
        live: ``(rows,)`` booleans.
    """

    extent: Extent
    ids: NDArray[np.uint8]
    live: NDArray[np.bool_]

    def id(self, row: int) -> UUID:
        """The image in a row."""
        return UUID(bytes=self.ids[row].tobytes())


@dataclass(slots=True)
class _Block:
    """A block that is being changed."""

    ids: NDArray[np.uint8]
    facts: NDArray[np.void]
    checksum: int


@dataclass(slots=True)
class _Cache:
    """Columns in memory, with room to grow, and the version up to which they are read."""

    columns: dict[str, NDArray[np.generic]]
    version: int = 0
    generation: int = 0

    def reserve(self, rows: int) -> None:
        """Make room; earlier views keep the arrays that they have."""
        blocks = -(-rows // BLOCK)
        size = (blocks + blocks // 4 + 1) * BLOCK
        for name, values in self.columns.items():
            if len(values) < blocks * BLOCK:
                self.columns[name] = _grown(values, size)


class RowTable:
    """The rows of one vector space; any thread may read, changes happen inside `Database.change`.

    Args:
        database: the catalogue's.
        space: names the vectors' space.
    """

    def __init__(self, database: Database, space: str) -> None:
        self.database = database
        self.space = space
        self._reading = threading.Lock()
        none = np.zeros((0, _ID_BYTES), np.uint8)
        self._view = View(Extent(), none, np.zeros(0, np.bool_))
        self._seen = _Cache({"ids": none, "live": self._view.live})
        self._known = _Cache({n: np.zeros(0, _FACTS[n].base) for n in _FACTS.names or ()})
        self._last_term = 0
        self._cameras: dict[int, str] = {}
        self._folder_sets: dict[int, tuple[int, ...]] = {}

    # Reading

    def extent(self) -> Extent:
        """How far the file goes now."""
        with self.database.snapshot() as db:
            return self._extent(db)

    def _extent(self, db: Connection) -> Extent:
        found = db.execute(
            "SELECT generation, rows, dead, version FROM spaces WHERE space = ?", (self.space,)
        ).fetchone()
        return Extent(*found) if found else Extent()

    def _remembering(self) -> RowTable:
        """The table to read with: a separate one inside a change, whose rows may yet be undone."""
        return RowTable(self.database, self.space) if self.database.changing else self

    def view(self) -> View:
        """The ids of what is committed now."""
        table = self._remembering()
        with table._reading, table.database.snapshot() as db:
            return table._read_view(db)

    def described(self) -> tuple[View, Columns]:
        """What is committed now, with the attributes of its rows."""
        table = self._remembering()
        with table._reading, table.database.snapshot() as db:
            view = table._read_view(db)
            return view, table._read_columns(db, view.extent)

    def _read_view(self, db: Connection) -> View:
        extent = self._extent(db)
        if extent != self._view.extent:
            for number, blob in self._changed(db, "ids", self._seen, extent):
                block, found = slice(number * BLOCK, (number + 1) * BLOCK), _ids(blob)
                alive = found.any(axis=1)
                # Other threads have views of these ids, in which a row is live that now is dead.
                self._seen.columns["ids"][block][alive] = found[alive]
                self._seen.columns["live"][block] = alive
            ids, live = (self._seen.columns[name][: extent.rows] for name in ("ids", "live"))
            self._view = View(extent, ids, live.copy())  # type: ignore[arg-type]
        return self._view

    def _read_columns(self, db: Connection, extent: Extent) -> Columns:
        for number, blob in self._changed(db, "facts", self._known, extent):
            at, block = number * BLOCK, np.frombuffer(blob, _FACTS)[0]
            for name, values in self._known.columns.items():
                values[at : at + BLOCK] = block[name]
        self._read_terms(db)
        return Columns(
            **{name: values[: extent.rows] for name, values in self._known.columns.items()},  # type: ignore[arg-type]
            cameras=self._cameras,
            folder_sets=self._folder_sets,
        )

    def _changed(
        self, db: Connection, column: str, cache: _Cache, extent: Extent
    ) -> Iterator[tuple[int, bytes]]:
        """The blocks that changed since they were last read into a cache."""
        if cache.version == extent.version:
            return
        if cache.generation != extent.generation:  # other rows: nothing that was read counts
            cache.version, cache.generation = 0, extent.generation
            cache.columns = {name: values[:0] for name, values in cache.columns.items()}
        cache.reserve(extent.rows)
        yield from db.execute(
            f"SELECT number, {column} FROM blocks WHERE space = ? AND version > ?",  # noqa: S608
            (self.space, cache.version),
        )
        cache.version = extent.version

    def _read_terms(self, db: Connection) -> None:
        """Learn the new ones; columns that were given out keep the tables that they have."""
        new = db.execute("SELECT id, term FROM terms WHERE id > ?", (self._last_term,)).fetchall()
        if new:
            meant = {key: json.loads(term) for key, term in new}
            cameras = {key: m for key, m in meant.items() if isinstance(m, str)}
            self._cameras = self._cameras | cameras
            sets = {key: tuple(m) for key, m in meant.items() if isinstance(m, list)}
            self._folder_sets = self._folder_sets | sets
            self._last_term = max(meant)

    def find(self, ids: Iterable[UUID]) -> tuple[Extent, dict[UUID, int]]:
        """The rows of those ids that are there, and the extent that they are rows of."""
        keys = {i.bytes: i for i in ids}
        names = list(keys)
        found: dict[UUID, int] = {}
        with self.database.snapshot() as db:
            for start in range(0, len(names), MANY):
                piece = names[start : start + MANY]
                marks = ",".join("?" * len(piece))
                sql = f"SELECT content, row FROM rows WHERE space = ? AND content IN ({marks})"  # noqa: S608
                rows = db.execute(sql, (self.space, *piece))
                found |= {keys[content]: row for content, row in rows}
            return self._extent(db), found

    def numbered(self) -> tuple[str, str, tuple[str | int, ...], tuple[str, ...]]:
        """SQL that gives the row in a view for a row ``r`` of the table ``rows``.

        Returns:
            the row, the condition under which ``r`` is one of this table, and the values of both.
        """
        return "r.row", "r.space = ?", (), (self.space,)

    def checked(self) -> tuple[View, list[tuple[int, int]]]:
        """What is committed now, with number and checksum of every block of the file."""
        table = self._remembering()
        with table._reading, table.database.snapshot() as db:
            found = db.execute(
                "SELECT number, checksum FROM blocks WHERE space = ?", (self.space,)
            ).fetchall()
            return table._read_view(db), [(int(number), int(crc)) for number, crc in found]

    # Changing, inside `Database.change`

    def append(
        self,
        ids: Sequence[UUID],
        attributes: Sequence[Attributes],
        vectors: NDArray[np.float16],
    ) -> None:
        """Give rows at the end to images that have none; their vectors lie in the file already."""
        with self.database.change() as db:
            start = self._extent(db).rows
            db.executemany(
                "INSERT INTO rows VALUES (?, ?, ?)",
                [(self.space, i.bytes, start + n) for n, i in enumerate(ids)],
            )
            with self._editing(db, range(start, start + len(ids)), more=len(ids)) as block_of:
                for row, (i, image, vector) in enumerate(
                    zip(ids, attributes, vectors, strict=True), start
                ):
                    block, at = block_of(row), row % BLOCK
                    block.ids[at] = np.frombuffer(i.bytes, np.uint8)
                    block.checksum = zlib.crc32(vector.tobytes(), block.checksum)
                    place = image.place or (np.nan, np.nan)
                    facts = {
                        "width": image.width,
                        "height": image.height,
                        "bytes": image.bytes,
                        "taken": np.nan if image.taken is None else image.taken,
                        "latitude": place[0],
                        "longitude": place[1],
                        "camera": 0 if image.camera is None else _term(db, image.camera),
                        "folders": _term(db, sorted(image.folders)),
                    }
                    for name, value in facts.items():
                        block.facts[name][at] = value

    def append_dead(self, content: NDArray[Any]) -> None:
        """Let rows at the end, whose content lies in the file already, be nobody's for ever."""
        with self.database.change() as db:
            start = self._extent(db).rows
            places = range(start, start + len(content))
            with self._editing(db, places, more=len(content), dead=len(content)) as block_of:
                for row, written in zip(places, content, strict=True):
                    block = block_of(row)
                    block.checksum = zlib.crc32(written.tobytes(), block.checksum)

    def settle(self) -> None:
        """Commit the version alone, so that what a killed process began to commit is undone.

        SQLite's log may hold a transaction that no process has seen, since its own was killed
        before it said so. Where nothing else was committed, whoever opens the database next after
        everybody has left completes it.
        """
        with self.database.change() as db:
            db.execute("UPDATE spaces SET version = version + 1 WHERE space = ?", (self.space,))

    def set_folders(self, folders: Mapping[UUID, tuple[int, ...]]) -> None:
        """Replace the folders of those images that are there."""
        with self.database.change() as db:
            _, rows = self.find(folders)
            with self._editing(db, rows.values()) as block_of:
                for i, row in rows.items():
                    block_of(row).facts["folders"][row % BLOCK] = _term(db, sorted(folders[i]))

    def remove(self, ids: Iterable[UUID]) -> None:
        """Make the rows of images dead."""
        with self.database.change() as db:
            _, rows = self.find(ids)
            with self._editing(db, rows.values(), dead=len(rows)) as block_of:
                for row in rows.values():
                    block_of(row).ids[row % BLOCK] = _DEAD
            db.executemany(
                "DELETE FROM rows WHERE space = ? AND content = ?",
                [(self.space, i.bytes) for i in rows],
            )

    def replace(self, kept: NDArray[np.int64], vectors: NDArray[np.float16]) -> None:
        """Let the next generation of the file take over; it holds the kept rows alone.

        Args:
            kept: the rows that were copied, in order, dead ones among them; the others go.
            vectors: of the new file.
        """
        with self.database.change() as db:
            old, columns = self.described()
            version = old.extent.version + 1
            for table in ("rows", "blocks", "graphs", "hidden"):
                db.execute(f"DELETE FROM {table} WHERE space = ?", (self.space,))  # noqa: S608
            for start in range(0, len(kept), BLOCK):
                rows = kept[start : start + BLOCK]
                block = _empty()
                block.ids[: len(rows)] = old.ids[rows] * old.live[rows, None]
                for name in _FACTS.names or ():
                    block.facts[name][: len(rows)] = getattr(columns, name)[rows]
                block.checksum = zlib.crc32(vectors[start : start + BLOCK].tobytes())
                self._write(db, start // BLOCK, version, block)
            live = [(at, row) for at, row in enumerate(kept.tolist()) if old.live[row]]
            db.executemany(
                "INSERT INTO rows VALUES (?, ?, ?)",
                [(self.space, old.ids[row].tobytes(), at) for at, row in live],
            )
            db.execute(
                _PUT_SPACE,
                (
                    self.space,
                    old.extent.generation + 1,
                    len(kept),
                    len(kept) - len(live),
                    version,
                ),
            )

    @contextmanager
    def _editing(
        self, db: Connection, rows: Iterable[int], *, more: int = 0, dead: int = 0
    ) -> Iterator[Callable[[int], _Block]]:
        """Read the blocks of some rows, and write them again under the next version."""
        was = self._extent(db)
        blocks = {number: _empty() for number in {row // BLOCK for row in rows}}
        for number in blocks:
            for ids, facts, checksum in db.execute(
                "SELECT ids, facts, checksum FROM blocks WHERE space = ? AND number = ?",
                (self.space, number),
            ):
                block = _Block(_ids(ids).copy(), np.frombuffer(facts, _FACTS)[0].copy(), checksum)
                blocks[number] = block
        if not blocks:
            yield lambda _: _empty()
            return
        yield lambda row: blocks[row // BLOCK]
        for number, block in blocks.items():
            self._write(db, number, was.version + 1, block)
        db.execute(
            _PUT_SPACE,
            (self.space, was.generation, was.rows + more, was.dead + dead, was.version + 1),
        )

    def _write(self, db: Connection, number: int, version: int, block: _Block) -> None:
        db.execute(
            _PUT_BLOCK,
            (
                self.space,
                number,
                version,
                block.checksum,
                block.ids.tobytes(),
                block.facts.tobytes(),
            ),
        )


def _empty() -> _Block:
    return _Block(np.zeros((BLOCK, _ID_BYTES), np.uint8), np.zeros(1, _FACTS)[0], 0)


def _ids(blob: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(blob, np.uint8).reshape(BLOCK, _ID_BYTES)


def _grown(values: NDArray[T], size: int) -> NDArray[T]:
    larger = np.zeros((size, *values.shape[1:]), values.dtype)
    larger[: len(values)] = values
    return larger


def _term(db: Connection, meant: object) -> int:
    """The key of a camera or of a set of folders, given to it when it is new."""
    term = json.dumps(meant, ensure_ascii=False)
    while (found := db.execute("SELECT id FROM terms WHERE term = ?", (term,)).fetchone()) is None:
        db.execute("INSERT INTO terms (term) VALUES (?)", (term,))
    return int(found[0])
