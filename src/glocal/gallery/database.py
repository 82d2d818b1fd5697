"""An SQLite file that many processes share: whole transactions, and errors that explain.

One connection writes, and any number read beside it: each query takes an idle reading connection,
so that no thread waits for another. A committed transaction survives a power cut
(``synchronous=FULL``).
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from glocal.errors import (
    DiskFullError,
    GalleryDamagedError,
    GalleryError,
    GalleryLockedError,
)

_NO_SPACE = {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE"}
_UNWRITABLE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")
MANY = 500
"""Values in one statement; SQLite's oldest limit is 999."""

T = TypeVar("T")


class Database:
    """The file and its tables; any thread may call, any process may read and write beside it.

    Args:
        path: of the file, made when it is not there.
        schema: statements that make the tables where they are not there.
        timeout: seconds to wait for another process that writes.

    Attributes:
        writer: the connection that writes; inside `change` only.
        path: of the file.
        read_only: whether the file can only be read, as in a mounted archive.

    Raises:
        GalleryDamagedError: the file is no database.
        DiskFullError: there was no space left to write; nothing of the change was kept.
        GalleryLockedError: another process kept it locked for too long.
    """

    def __init__(self, path: Path, schema: str, *, timeout: float = 30.0) -> None:
        self.path = path
        self._timeout = timeout
        self._lock = threading.RLock()  # held by the thread that writes
        self._writing_thread: int | None = None
        self._idle: list[sqlite3.Connection] = []
        self._closed = False
        self.read_only = False
        with _explained(path):
            try:
                self.writer = self._prepared(schema)
            except sqlite3.OperationalError as error:
                if not (path.exists() and error.sqlite_errorname.startswith(_UNWRITABLE)):
                    raise
                self.read_only = True
                self.writer = self._reader()

    def _prepared(self, schema: str) -> sqlite3.Connection:
        # The pattern of transactions is our own, hence autocommit (isolation_level=None).
        db = sqlite3.connect(
            self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )
        try:
            _prepare(db, schema, max(self._timeout, 1.0))
        except BaseException:
            db.close()
            raise
        return db

    def _reader(self) -> sqlite3.Connection:
        """A connection that only reads.

        SQLite reads a write-ahead log only where it may make a file beside it. In an archive
        without such a log, which nobody can write, the file alone is the truth (``immutable``).
        """
        address = f"{self.path.absolute().as_uri()}?mode=ro"
        log = self.path.with_name(self.path.name + "-wal")
        if self.read_only and not (log.exists() and log.stat().st_size):
            address += "&immutable=1"
        return sqlite3.connect(
            address, uri=True, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            self.writer.close()

    @contextmanager
    def change(self) -> Iterator[sqlite3.Connection]:
        """One transaction: everything inside is kept, or nothing is; one within another joins it.

        Of all threads and processes only one is inside at a time.
        """
        with self._lock, _explained(self.path):
            if self._writing_thread is not None:
                yield self.writer
                return
            if self.read_only:
                raise GalleryError(f"{self.path} can only be read; make its folder writable")
            self.writer.execute("BEGIN IMMEDIATE")
            self._writing_thread = threading.get_ident()
            try:
                yield self.writer
                self.writer.execute("COMMIT")
            except BaseException:
                if self.writer.in_transaction:
                    self.writer.execute("ROLLBACK")
                raise
            finally:
                self._writing_thread = None

    @property
    def changing(self) -> bool:
        """Whether this thread is inside `change`, and sees what may yet be undone."""
        return self._writing_thread == threading.get_ident()

    @contextmanager
    def snapshot(self) -> Iterator[sqlite3.Connection]:
        """A connection whose queries see one moment: the last commit, or the change under way."""
        with self._connection() as db:
            if db is self.writer:
                yield db
                return
            db.execute("BEGIN")
            try:
                yield db
            finally:
                db.execute("COMMIT")

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """An idle connection that reads, or inside a change the one that writes."""
        if self.changing:
            yield self.writer
            return
        with _explained(self.path):
            if self._closed:
                raise GalleryError(f"the gallery of {self.path} is closed")
            try:
                db = self._idle.pop()
            except IndexError:
                db = self._reader()
            try:
                yield db
            except BaseException:
                db.close()
                raise
            self._give_back(db)

    def _give_back(self, db: sqlite3.Connection) -> None:
        self._idle.append(db)
        if self._closed:  # meanwhile
            self.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of one query, which sees one moment by itself."""
        with self._connection() as db:
            return db.execute(sql, values).fetchall()

    def value(self, sql: str, values: Sequence[Any] = ()) -> Any:
        """The first value of the first row, or `None`."""
        rows = self.rows(sql, values)
        return rows[0][0] if rows else None

    def rows_for(
        self, sql: str, values: Iterable[Any], convert: Callable[[tuple[Any, ...]], T]
    ) -> list[T]:
        """Run a query whose ``?*`` stands for a list of values, in pieces SQLite takes."""
        values = list(values)
        found: list[T] = []
        for start in range(0, len(values), MANY):
            piece = values[start : start + MANY]
            marks = ",".join("?" * len(piece))
            found += map(convert, self.rows(sql.replace("?*", marks), piece))
        return found


def _prepare(db: sqlite3.Connection, schema: str, patience: float) -> None:
    """Turn write-ahead logging on and make the tables.

    SQLite's own patience with other processes does not cover two that do so at the same time.
    """
    ends = time.monotonic() + patience
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA fullfsync=TRUE")  # macOS only: see `stores.files.sync`
            db.executescript(schema)
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > ends:
                raise
            time.sleep(0.01)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        name = getattr(error, "sqlite_errorname", "")
        if name in _NO_SPACE:
            raise DiskFullError(
                f"no space left to write {path}; free some on its disk and try again"
            ) from error
        if name.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
            raise GalleryDamagedError(
                f"the catalogue {path} is damaged ({error}); run: glocal check --repair"
            ) from error
        if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
            raise GalleryLockedError(
                f"another process keeps the catalogue {path} locked; try again"
            ) from error
        if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
            raise GalleryError(f"the gallery of {path} is closed") from error
        raise GalleryError(f"the catalogue {path} cannot be used: {error}") from error
