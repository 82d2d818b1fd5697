"""What people decided about duplicates: these are none, this one stays.

Kept by the images' contents, so that a decision holds after files were moved or renamed, and in a
file of its own, made when the first decision is.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from uuid import UUID
from zlib import crc32

from glocal.gallery.database import Database

_SCHEMA = """
CREATE TABLE IF NOT EXISTS apart (
    first BLOB NOT NULL, second BLOB NOT NULL, PRIMARY KEY (first, second)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS stays (content BLOB PRIMARY KEY) WITHOUT ROWID;
"""


class Decisions(Database):
    """The decisions of one gallery; use it as a context manager or `close` it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, _SCHEMA)

    def __enter__(self) -> Decisions:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def set_apart(self, contents: Iterable[UUID]) -> int:
        """Decide that of these images none is a duplicate of another.

        Returns:
            How many pairs had not been decided before.
        """
        return self._each("INSERT OR IGNORE INTO apart VALUES (?, ?)", _pairs(contents))

    def unset_apart(self, contents: Iterable[UUID]) -> int:
        """Take that back.

        Returns:
            How many pairs had been decided.
        """
        return self._each("DELETE FROM apart WHERE first = ? AND second = ?", _pairs(contents))

    def apart(self) -> set[tuple[UUID, UUID]]:
        """Every pair that was decided to be none, the smaller id first."""
        rows = self.rows("SELECT first, second FROM apart")
        return {(UUID(bytes=first), UUID(bytes=second)) for first, second in rows}

    def set_stays(self, *contents: UUID) -> int:
        """Decide that of its group each of these images stays.

        Returns:
            How many had not been decided before.
        """
        keys: list[tuple[bytes, ...]] = [(content.bytes,) for content in contents]
        return self._each("INSERT OR IGNORE INTO stays VALUES (?)", keys)

    def unset_stays(self, contents: Iterable[UUID]) -> int:
        """Take that back.

        Returns:
            How many of them had been decided.
        """
        keys: list[tuple[bytes, ...]] = [(content.bytes,) for content in contents]
        return self._each("DELETE FROM stays WHERE content = ?", keys)

    def stays(self) -> frozenset[UUID]:
        """Every image that was decided to stay."""
        return frozenset(UUID(bytes=i) for (i,) in self.rows("SELECT content FROM stays"))

    def mark(self) -> int:
        """A number that is another one whenever other decisions stand."""
        return crc32(repr((sorted(self.apart()), sorted(self.stays()))).encode())

    def _each(self, sql: str, rows: list[tuple[bytes, ...]]) -> int:
        with self.change():
            return sum(self.writer.execute(sql, row).rowcount for row in rows)


def _pairs(contents: Iterable[UUID]) -> list[tuple[bytes, ...]]:
    return [(first.bytes, second.bytes) for first, second in combinations(sorted(set(contents)), 2)]
