"""An SQLite file that many processes share: whole transactions, and errors that explain."""

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
_PATIENCE = 30.0  # seconds to wait for another process
_MANY = 500  # values in one statement; SQLite's oldest limit is 999
T = TypeVar("T")


class Database:
    """The file and its tables; any thread may call, any process may read along.

    Args:
        path: of the file, made when it is not there.
        schema: statements that make the tables where they are not there.

    Raises:
        GalleryDamagedError: the file is no database.
        DiskFullError: there was no space left to write; nothing of the change was kept.
        GalleryLockedError: another process kept it locked for too long.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._lock = threading.RLock()
        self._path = path
        with _explained(path):
            # The pattern of transactions is our own, hence autocommit (isolation_level=None).
            self._db = sqlite3.connect(
                path, timeout=_PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare(self._db, schema)
            except BaseException:
                self._db.close()
                raise

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        with self._lock:
            self._db.close()

    @contextmanager
    def change(self) -> Iterator[None]:
        """One transaction: everything inside is kept, or nothing is."""
        with self._lock, _explained(self._path):
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with self._lock, _explained(self._path):
            return self._db.execute(sql, values).fetchall()

    def _one(self, sql: str, values: Sequence[Any] = ()) -> Any:
        rows = self._rows(sql, values)
        return rows[0][0] if rows else None

    def _for_many(
        self, sql: str, values: Iterable[Any], convert: Callable[[tuple[Any, ...]], T]
    ) -> list[T]:
        """Run a query whose ``?*`` stands for a list of values, in pieces SQLite takes."""
        values = list(values)
        found: list[T] = []
        for start in range(0, len(values), _MANY):
            piece = values[start : start + _MANY]
            marks = ",".join("?" * len(piece))
            found += map(convert, self._rows(sql.replace("?*", marks), piece))
        return found


def _prepare(db: sqlite3.Connection, schema: str) -> None:
    """Turn write-ahead logging on and make the tables.

    SQLite's own patience with other processes does not cover two that do so at the same time.
    """
    ends = time.monotonic() + _PATIENCE
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=NORMAL")
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
            raise DiskFullError(f"no space left to write {path}") from error
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
