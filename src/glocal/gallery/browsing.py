# ruff: noqa: S608 - what is put into statements are conditions of `condition_sql` and our own words
"""Looking through a gallery without a query: pages of images, and what there is to filter by.

Reads the catalogue over connections of its own, one to a thread, so that a long look never holds up
a search or an index run.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import os
import sqlite3
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

from glocal.errors import GalleryDamagedError, QueryError
from glocal.gallery.catalog import Content
from glocal.gallery.condition_sql import NEAR_FUNCTION, condition_sql, is_near
from glocal.gallery.conditions import Condition
from glocal.gallery.where import parse

Order = Literal["taken", "path"]

MOST_ON_A_PAGE = 500


@dataclass(frozen=True, slots=True)
class Shown:
    """An image of the gallery and the files that hold it, sorted, at least one."""

    content: Content
    paths: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    """How many images, files that hold them, and files that could not be read."""

    images: int
    files: int
    skipped: int


@dataclass(frozen=True, slots=True)
class Page:
    """Some images in order, and the cursor of what follows, `None` at the end."""

    images: tuple[Shown, ...]
    following: str | None


class Browser:
    """A view of a gallery's catalogue for people who look around.

    Args:
        catalog: the catalogue's file, which a `Gallery` has made.
    """

    def __init__(self, catalog: Path) -> None:
        self._path = catalog
        self._address = f"{catalog.resolve().as_uri()}?mode=ro"
        self._mine = threading.local()
        self._lock = threading.Lock()
        self._all: list[sqlite3.Connection] = []

    def close(self) -> None:
        """Close every connection; no thread may be looking any more."""
        with self._lock:
            while self._all:
                self._all.pop().close()

    def rows(self, sql: str, values: Iterable[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query on the catalogue.

        Raises:
            GalleryDamagedError: the catalogue cannot be read.
        """
        try:
            db: sqlite3.Connection | None = getattr(self._mine, "db", None)
            if db is None:
                db = sqlite3.connect(self._address, uri=True, timeout=10, check_same_thread=False)
                db.create_function(NEAR_FUNCTION, 5, is_near, deterministic=True)
                self._mine.db = db
                with self._lock:
                    self._all.append(db)
            return db.execute(sql, list(values)).fetchall()
        except sqlite3.Error as error:
            raise GalleryDamagedError(f"the catalogue cannot be read: {error}") from error

    def state(self) -> tuple[int, ...]:
        """Numbers that change whenever the catalogue does."""
        seen: list[int] = []
        for path in (self._path, self._path.with_name(self._path.name + "-wal")):
            with contextlib.suppress(OSError):
                facts = path.stat()
                seen += [facts.st_mtime_ns, facts.st_size]
        return tuple(seen)

    def counts(self) -> Counts:
        """Count what the gallery holds."""
        rows = self.rows(
            "SELECT (SELECT COUNT(*) FROM contents), COUNT(content), COUNT(*) - COUNT(content) "
            "FROM files"
        )
        return Counts(*rows[0])

    # What conditions name (`glocal.gallery.where.Names`)

    def find_folder(self, path: Path) -> int | None:
        """The number of a folder, or `None`."""
        found = self.rows("SELECT id FROM folders WHERE path = ?", [os.fsencode(path)])
        return int(found[0][0]) if found else None

    def cameras_like(self, text: str) -> tuple[str, ...]:
        """Every camera whose name contains the text, whatever its case."""
        names = self.rows("SELECT name FROM cameras ORDER BY name")
        return tuple(name for (name,) in names if text.casefold() in name.casefold())

    def condition(self, text: str | None) -> Condition | None:
        """Read a condition on this gallery; `None` or blank is none.

        Raises:
            QueryError: the text is no condition.
        """
        return parse(text, self) if text and text.strip() else None

    # Images

    def images(self, ids: Iterable[UUID], where: Condition | None = None) -> dict[UUID, Shown]:
        """Those of these images that are there, with their files that meet a condition."""
        wanted = [i.bytes.hex() for i in ids]
        if not wanted:
            return {}
        condition, values = condition_sql(where, self._below)
        rows = self.rows(
            "SELECT c.*, p.path, f.name FROM contents c JOIN files f ON f.content = c.id "
            "JOIN folders p ON p.id = f.folder "
            f"WHERE c.id IN ({_blobs(wanted)}) AND {condition}",
            values,
        )
        contents: dict[UUID, Content] = {}
        paths: dict[UUID, list[Path]] = {}
        for *facts, folder, name in rows:
            content = Content(UUID(bytes=facts[0]), *facts[1:])
            contents[content.id] = content
            paths.setdefault(content.id, []).append(
                Path(os.fsdecode(os.path.join(bytes(folder), bytes(name))))
            )
        return {i: Shown(content, tuple(sorted(paths[i]))) for i, content in contents.items()}

    def content_of(self, path: Path) -> UUID | None:
        """Which image a file holds, or `None` when the gallery does not know it."""
        found = self.rows(
            "SELECT f.content FROM files f JOIN folders p ON p.id = f.folder "
            "WHERE p.path = ? AND f.name = ? AND f.content IS NOT NULL",
            [os.fsencode(path.parent), os.fsencode(path.name)],
        )
        return UUID(bytes=found[0][0]) if found else None

    def contents_of(self, paths: Iterable[Path]) -> dict[Path, UUID]:
        """Which images these files hold; those the gallery does not know are left out."""
        found = {path: self.content_of(path) for path in paths}
        return {path: content for path, content in found.items() if content is not None}

    def copies(self, limit: int, after: UUID | None = None) -> list[UUID]:
        """Images that several files hold, in the order of their ids.

        Args:
            limit: how many at most.
            after: only those that follow this one.
        """
        rows = self.rows(
            "SELECT content FROM files WHERE content > ? GROUP BY content HAVING COUNT(*) > 1 "
            "ORDER BY content LIMIT ?",
            [b"" if after is None else after.bytes, limit],
        )
        return [UUID(bytes=content) for (content,) in rows]

    def count_copies(self) -> tuple[int, int]:
        """How many images several files hold, and the bytes of those files but one of each."""
        rows = self.rows(
            "SELECT COUNT(*), COALESCE(SUM((n - 1) * bytes), 0) FROM (SELECT COUNT(*) AS n, "
            "c.bytes FROM files f JOIN contents c ON c.id = f.content GROUP BY c.id HAVING n > 1)"
        )
        return rows[0][0], rows[0][1]

    def count(self, where: Condition | None = None) -> int:
        """How many images have a file that meets a condition."""
        condition, values = condition_sql(where, self._below)
        rows = self.rows(
            "SELECT COUNT(*) FROM contents c WHERE EXISTS "
            f"(SELECT 1 FROM files f WHERE f.content = c.id AND {condition})",
            values,
        )
        return int(rows[0][0])

    def page(
        self,
        *,
        limit: int,
        order: Order = "taken",
        where: Condition | None = None,
        cursor: str | None = None,
        offset: int = 0,
    ) -> Page:
        """Images in order, each once however many files hold it.

        Args:
            limit: how many, from 1 to `MOST_ON_A_PAGE`.
            order: ``taken``: the latest first, those without a date last; ``path``: by the first
                of its files that meets the condition.
            where: only images with a file that meets it.
            cursor: go on from the end of an earlier page of the same order and condition.
            offset: images to pass over from there.

        Raises:
            QueryError: the limit, the offset or the cursor makes no sense.
        """
        if not 1 <= limit <= MOST_ON_A_PAGE:
            raise QueryError(f"limit is {limit}; it goes from 1 to {MOST_ON_A_PAGE}")
        if not 0 <= offset < 2**62:
            raise QueryError(f"offset is {offset}; it is 0 or more")
        after = None if cursor is None else _read_cursor(cursor, order)
        keyed = self._by_date if order == "taken" else self._by_path
        keys = keyed(limit + 1, where, after, offset)
        found = self.images([UUID(bytes=i) for i, _ in keys[:limit]], where)
        shown = [found[i] for i in (UUID(bytes=i) for i, _ in keys[:limit]) if i in found]
        more = _cursor(order, keys[limit - 1][1]) if len(keys) > limit else None
        return Page(tuple(shown), more)

    def _by_date(
        self, count: int, where: Condition | None, after: list[Any] | None, offset: int
    ) -> list[tuple[bytes, list[Any]]]:
        condition, values = condition_sql(where, self._below)
        later = ""
        if after is not None:
            taken, last = after[0], bytes.fromhex(after[1])
            if taken is None:
                later, values = " AND c.taken IS NULL AND c.id > ?", [*values, last]
            else:
                later = " AND (c.taken < ? OR (c.taken = ? AND c.id > ?) OR c.taken IS NULL)"
                values = [*values, taken, taken, last]
        rows = self.rows(
            "SELECT c.id, c.taken FROM contents c WHERE EXISTS "
            f"(SELECT 1 FROM files f WHERE f.content = c.id AND {condition}){later} "
            "ORDER BY c.taken DESC, c.id LIMIT ? OFFSET ?",
            [*values, count, offset],
        )
        return [(i, [taken, i.hex()]) for i, taken in rows]

    def _by_path(
        self, count: int, where: Condition | None, after: list[Any] | None, offset: int
    ) -> list[tuple[bytes, list[Any]]]:
        this, values = condition_sql(where, self._below)
        other, other_values = condition_sql(where, self._below, "o")
        later, position = "", []
        if after is not None:
            later = " AND (p.path, f.name) > (?, ?)"
            position = [bytes.fromhex(after[0]), bytes.fromhex(after[1])]
        rows = self.rows(
            "SELECT c.id, p.path, f.name FROM folders p CROSS JOIN files f ON f.folder = p.id "
            f"CROSS JOIN contents c ON c.id = f.content WHERE {this}{later} AND NOT EXISTS "
            "(SELECT 1 FROM files o JOIN folders q ON q.id = o.folder WHERE o.content = f.content "
            f"AND (q.path, o.name) < (p.path, f.name) AND {other}) "
            "ORDER BY p.path, f.name LIMIT ? OFFSET ?",
            [*values, *position, *other_values, count, offset],
        )
        return [(i, [path.hex(), name.hex()]) for i, path, name in rows]

    def _below(self, folders: tuple[int, ...]) -> list[int]:
        if not folders:
            return []
        children: dict[int, list[int]] = {}
        for number, parent in self.rows("SELECT id, parent FROM folders WHERE parent IS NOT NULL"):
            children.setdefault(parent, []).append(number)
        found, waiting = set(folders), list(folders)
        while waiting:
            new = [child for child in children.get(waiting.pop(), []) if child not in found]
            found.update(new)
            waiting += new
        return sorted(found)


def _blobs(hexadecimal: Iterable[str]) -> str:
    """A list of blob literals: made of hexadecimal digits alone, and of any length."""
    return ",".join(f"x'{digits}'" for digits in hexadecimal)


def _cursor(order: Order, key: list[Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps([order, *key]).encode()).decode().rstrip("=")


def _read_cursor(cursor: str, order: Order) -> list[Any]:
    refusal = QueryError("the cursor is none of this list's: begin again without one")
    if len(cursor) > 20_000 or not cursor.isascii():
        raise refusal
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        made_for, first, last = json.loads(base64.urlsafe_b64decode(padded))
        bytes.fromhex(last)
        if order == "path":
            bytes.fromhex(first)
        elif first is not None and not (isinstance(first, int) and abs(first) < 2**62):
            raise refusal
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise refusal from error
    if made_for != order:
        raise refusal
    return [first, last]
