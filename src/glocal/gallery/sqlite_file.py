"""SQLite: the database of a gallery in one file of its folder; see `glocal.gallery.database`.

A committed transaction survives a power cut (``synchronous=FULL``).
"""

from __future__ import annotations

import sqlite3
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from glocal.errors import (
    DiskFullError,
    GalleryDamagedError,
    GalleryError,
    GalleryLockedError,
)
from glocal.gallery.database import Trigger

_NO_SPACE = {"SQLITE_FULL", "SQLITE_IOERR_WRITE", "SQLITE_IOERR_SHMSIZE", "SQLITE_IOERR_TRUNCATE"}
_UNWRITABLE = ("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")


class SqliteFile:
    """An SQLite file; see `Engine`.

    Args:
        path: of the file.
        timeout: seconds to wait for another process that writes.
    """

    name = ""
    most_idle = sys.maxsize

    def __init__(self, path: Path, timeout: float = 30.0) -> None:
        self.path = path
        self.address = str(path)
        self.read_only = False
        self._timeout = timeout

    def open(self, schema: str, triggers: Sequence[Trigger]) -> sqlite3.Connection:
        """See `Engine.open`."""
        script = schema + "".join(map(_made, triggers))
        try:
            return self._prepared(script)
        except sqlite3.OperationalError as error:
            if not (self.path.exists() and error.sqlite_errorname.startswith(_UNWRITABLE)):
                raise
            self.read_only = True
            return self.reader()

    def _prepared(self, script: str) -> sqlite3.Connection:
        db = self.writer()
        try:
            _prepare(db, script, max(self._timeout, 1.0))
        except BaseException:
            db.close()
            raise
        return db

    def writer(self) -> sqlite3.Connection:
        """See `Engine.writer`."""
        # The pattern of transactions is our own, hence autocommit (isolation_level=None).
        return sqlite3.connect(
            self.path, timeout=self._timeout, isolation_level=None, check_same_thread=False
        )

    def reader(self) -> sqlite3.Connection:
        """See `Engine.reader`.

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

    def usable(self, _: sqlite3.Connection) -> bool:
        """See `Engine.usable`."""
        return True

    def begin(self, db: sqlite3.Connection, *, write: bool) -> None:
        """See `Engine.begin`."""
        db.execute("BEGIN IMMEDIATE" if write else "BEGIN")

    def commit(self, db: sqlite3.Connection, *, write: bool) -> None:
        """See `Engine.commit`."""
        db.execute("COMMIT")

    def roll_back(self, db: sqlite3.Connection) -> None:
        """See `Engine.roll_back`."""
        if db.in_transaction:
            db.execute("ROLLBACK")

    def make(self, db: sqlite3.Connection, schema: str) -> None:
        """See `Engine.make`."""
        for statement in filter(str.strip, schema.split(";")):  # a script would commit the change
            db.execute(statement)

    def columns(self, db: sqlite3.Connection, table: str) -> set[str]:
        """See `Engine.columns`."""
        return {row[1] for row in db.execute(f"PRAGMA table_info({table})")}

    def contains(self, column: str) -> str:
        """See `Engine.contains`."""
        return f"CAST({column} AS TEXT) LIKE ? ESCAPE '\\'"

    def stream(self, db: sqlite3.Connection, sql: str, values: Sequence[Any]) -> sqlite3.Cursor:
        """See `Engine.stream`."""
        return db.execute(sql, values)

    def stamp(self, _: Callable[[str], list[tuple[Any, ...]]]) -> tuple[int, ...]:
        """See `Engine.stamp`."""
        seen: list[int] = []
        for suffix in ("", "-wal"):
            with suppress(OSError):
                facts = self.path.with_name(self.path.name + suffix).stat()
                seen += [facts.st_mtime_ns, facts.st_size]
        return tuple(seen)

    def problems(self, db: sqlite3.Connection) -> list[str]:
        """See `Engine.problems`."""
        found = [str(row[0]) for row in db.execute("PRAGMA quick_check(20)")]
        return [] if found == ["ok"] else found

    @contextmanager
    def explained(self) -> Iterator[None]:
        """See `Engine.explained`."""
        path = self.path
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
            if "no such table" in str(error):
                raise GalleryError(
                    f"the catalogue {path} lacks a table ({error}); if the gallery was moved just "
                    "now (glocal move), run the same command again"
                ) from error
            raise GalleryError(f"the catalogue {path} cannot be used: {error}") from error


def _made(trigger: Trigger) -> str:
    when = f"WHEN {trigger.condition} " if trigger.condition else ""
    return (
        f"CREATE TRIGGER IF NOT EXISTS {trigger.name} {trigger.event} {when}"
        f"BEGIN {trigger.statement}; END;\n"
    )


def _prepare(db: sqlite3.Connection, script: str, patience: float) -> None:
    """Turn write-ahead logging on and make the tables.

    SQLite's own patience with other processes does not cover two that do so at the same time.
    """
    ends = time.monotonic() + patience
    while True:
        try:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA fullfsync=TRUE")  # macOS only: see `stores.files.sync`
            db.executescript(script)
            return
        except sqlite3.OperationalError as error:
            if not error.sqlite_errorname.startswith("SQLITE_BUSY") or time.monotonic() > ends:
                raise
            time.sleep(0.01)
