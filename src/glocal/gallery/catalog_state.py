"""What a catalogue knows beside images and files: its tables, settings, and what was asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path

from glocal.gallery.database import Database, Engine, upsert
from glocal.gallery.leaving_out import LeftOut, from_text, to_text
from glocal.gallery.rows import SCHEMA as ROWS_SCHEMA
from glocal.gallery.texts import SCHEMA as TEXTS_SCHEMA
from glocal.gallery.texts import TRIGGERS
from glocal.images.url_paths import as_path

SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS state (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS roots (path BLOB PRIMARY KEY, globs TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS removed (path BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS folders (
    id INTEGER PRIMARY KEY, path BLOB NOT NULL UNIQUE, parent INTEGER, device INTEGER
);
CREATE TABLE IF NOT EXISTS contents (
    id BLOB PRIMARY KEY, width INTEGER NOT NULL, height INTEGER NOT NULL, bytes INTEGER NOT NULL,
    taken INTEGER, camera TEXT, latitude REAL, longitude REAL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    folder INTEGER NOT NULL REFERENCES folders, name BLOB NOT NULL,
    size INTEGER NOT NULL, modified INTEGER NOT NULL,
    content BLOB REFERENCES contents, reason TEXT, reader TEXT, changed INTEGER,
    PRIMARY KEY (folder, name)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS files_of_content ON files (content) WHERE content IS NOT NULL;
CREATE TABLE IF NOT EXISTS cameras (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS local_features (content BLOB PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS truncated (content BLOB PRIMARY KEY, share REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS lost (content BLOB PRIMARY KEY) WITHOUT ROWID;
"""
    + ROWS_SCHEMA
    + TEXTS_SCHEMA
)
"""The tables of a catalogue, in SQLite's words, of which each other engine has its own."""

_LATER = {"files": {"changed": "INTEGER"}, "roots": {"globs": "TEXT"}}
"""Columns that galleries of this format were first made without."""

_SET = upsert("state", "key", "value")


class CatalogState(Database):
    """Settings, roots and what was removed by hand; the base of a `Catalog`.

    Args:
        place: the path of an SQLite file, or another engine.
        timeout: seconds to wait for another process that writes.
        check: is called inside each change before anything is written, and may raise an error.
    """

    def __init__(
        self,
        place: Path | Engine,
        *,
        timeout: float = 30.0,
        check: Callable[[], None] | None = None,
    ) -> None:
        super().__init__(place, SCHEMA, timeout=timeout, triggers=TRIGGERS, check=check)
        lacking = self._lacking = self._add_columns()
        changed = "NULL" if ("files", "changed") in lacking else "changed"
        self._states = f"SELECT name, size, modified, content, reason, reader, {changed} FROM files"  # noqa: S608

    def _add_columns(self) -> set[tuple[str, str]]:
        """Add the columns that are not there; those that cannot be added, in an archive."""
        lacking = set()
        for table, columns in _LATER.items():
            lacking |= {(table, column) for column in columns.keys() - self.columns(table)}
        if not lacking or self.read_only:
            return lacking
        with self.change():
            for table, column in sorted(lacking):
                if column not in self.columns(table):  # another process may have been quicker
                    self.make(f"ALTER TABLE {table} ADD COLUMN {column} {_LATER[table][column]}")
        return set()

    def get_state(self, key: str) -> str | None:
        """A value kept under a name, or `None`."""
        value = self.value("SELECT value FROM state WHERE key = ?", (key,))
        return None if value is None else str(value)

    def set_state(self, key: str, value: str) -> None:
        """Keep a value under a name."""
        with self.change():
            self.writer.execute(_SET, (key, value))

    def set_state_once(self, key: str, value: str) -> str:
        """Keep a value under a name that has none yet; the value that it has now."""
        with self.change():
            self.writer.execute(
                "INSERT INTO state VALUES (?, ?) ON CONFLICT DO NOTHING", (key, value)
            )
            return self.get_state(key) or value

    def roots(self) -> list[Path]:
        """The folders and files that were ever asked to be indexed."""
        rows = self.rows("SELECT path FROM roots ORDER BY path")
        return [as_path(os.fsdecode(path)) for (path,) in rows]

    def add_root(self, path: Path, globs: tuple[str, ...] | None = None) -> None:
        """Remember what was asked to be indexed.

        Args:
            path: of a folder or a file.
            globs: what is excluded below it from now on; `None`: what was before.
        """
        key = os.fsencode(path)
        with self.change():
            self.writer.execute(
                "INSERT INTO roots (path) VALUES (?) ON CONFLICT DO NOTHING", (key,)
            )
            if globs is not None:
                self.writer.execute(
                    "UPDATE roots SET globs = ? WHERE path = ?", (to_text(globs), key)
                )

    def left_out(self) -> LeftOut:
        """What index runs pass over."""
        globs = {}
        if ("roots", "globs") not in self._lacking:
            for path, text in self.rows("SELECT path, globs FROM roots WHERE globs IS NOT NULL"):
                globs[as_path(os.fsdecode(path))] = from_text(text)
        removed = self.rows("SELECT path FROM removed") if self.has_table("removed") else []
        return LeftOut(globs, frozenset(as_path(os.fsdecode(path)) for (path,) in removed))

    def leave_out(self, path: Path) -> None:
        """Remember what was removed by hand, so that no index run finds it again."""
        low, high = below(path)
        with self.change():
            self.writer.execute("DELETE FROM removed WHERE path >= ? AND path < ?", (low, high))
            self.writer.execute(
                "INSERT INTO removed VALUES (?) ON CONFLICT DO NOTHING", (os.fsencode(path),)
            )

    def let_in(self, paths: Iterable[Path]) -> None:
        """Let index runs find again what was removed by hand."""
        with self.change():
            self.writer.executemany(
                "DELETE FROM removed WHERE path = ?", [(os.fsencode(path),) for path in paths]
            )

    def drop_root(self, path: Path) -> None:
        """Remove a root, and every root below it."""
        low, high = below(path)
        with self.change():
            self.writer.execute(
                "DELETE FROM roots WHERE path = ? OR (path >= ? AND path < ?)",
                (os.fsencode(path), low, high),
            )


def below(path: Path) -> tuple[bytes, bytes]:
    """The range of the paths below a folder, in byte order."""
    prefix = os.fsencode(os.path.join(path, ""))
    return prefix, prefix[:-1] + bytes([prefix[-1] + 1])
