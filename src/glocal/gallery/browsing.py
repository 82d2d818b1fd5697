"""Looking through a gallery without a query: pages of images, and what there is to filter by."""

from __future__ import annotations

import base64
import binascii
import json
import os
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError
from glocal.gallery.catalog import Catalog, Content
from glocal.gallery.conditions import Columns, Condition, InFolder, for_some_copy, meets
from glocal.gallery.joined_rows import JoinedRows
from glocal.gallery.records import SEVERAL
from glocal.gallery.rows import RowTable, View
from glocal.gallery.where import parse
from glocal.images.url_paths import as_path

Order = Literal["taken", "path", "name", "bytes", "added"]
File = tuple[bytes, bytes]
"""Path of the folder, and name: files are in the order of these bytes."""

MOST_ON_A_PAGE = 500

_BY_FILE = frozenset({"path", "name"})
_FEW = 2_000  # images whose files are looked up one by one, rather than by going through all files


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


@dataclass(frozen=True, slots=True)
class _Listing:
    """What is listed, and how; see `Browser.page`."""

    order: Order
    reverse: bool
    where: Condition | None
    named: str | None

    @property
    def title(self) -> str:
        """Names the order, for cursors."""
        return f"-{self.order}" if self.reverse else self.order

    def key(self, file: File) -> File:
        """By which files are ordered: the folder first, or the name."""
        return file if self.order == "path" else file[::-1]


class Browser:
    """A view of a gallery for people who look around.

    Args:
        catalog: gives the gallery's, which may move while people look around.
        rows: gives the attributes of all images, by which conditions are answered.
    """

    def __init__(
        self, catalog: Callable[[], Catalog], rows: Callable[[], RowTable | JoinedRows]
    ) -> None:
        self._current = catalog
        self._rows = rows

    @property
    def _catalog(self) -> Catalog:
        return self._current()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """See `Database.rows`."""
        return self._catalog.rows(sql, values)

    def find_folder(self, path: Path) -> int | None:
        """See `Catalog.find_folder`."""
        return self._catalog.find_folder(path)

    def cameras_like(self, text: str) -> tuple[str, ...]:
        """See `Catalog.cameras_like`."""
        return self._catalog.cameras_like(text)

    def state(self) -> tuple[int, ...]:
        """Numbers that change whenever the catalogue does."""
        return self._catalog.stamp()

    def counts(self) -> Counts:
        """Count what the gallery holds."""
        counts = self._catalog.counts()
        return Counts(counts["images"], counts["files"], counts["failed"])

    def condition(self, text: str | None) -> Condition | None:
        """Read a condition on this gallery; `None` or blank is none.

        Raises:
            QueryError: the text is no condition.
        """
        return parse(text, self._catalog) if text and text.strip() else None

    # Images

    def images(
        self, ids: Iterable[UUID], where: Condition | None = None, named: str | None = None
    ) -> dict[UUID, Shown]:
        """Those of these images that are there, with their files that meet a condition.

        Args:
            ids: of the images.
            where: the condition.
            named: what the name of a file has to contain, whatever the case.
        """
        files = self._files(list(ids), where, named)
        contents = self._catalog.contents(files)
        return {
            i: Shown(contents[i], tuple(sorted(map(_path, found))))
            for i, found in files.items()
            if i in contents
        }

    def copies(self, limit: int, after: UUID | None = None) -> list[UUID]:
        """Images that several files hold, in the order of their ids.

        Args:
            limit: how many at most.
            after: only those that follow this one.
        """
        rows = self.rows(
            "SELECT content FROM files WHERE content > ? GROUP BY content HAVING COUNT(*) > 1 "
            "ORDER BY content LIMIT ?",
            (b"" if after is None else after.bytes, limit),
        )
        return [UUID(bytes=content) for (content,) in rows]

    def count_copies(self) -> int:
        """How many images several files hold."""
        rows = self.rows(
            "SELECT COUNT(*) FROM (SELECT 1 FROM files WHERE content IS NOT NULL "
            "GROUP BY content HAVING COUNT(*) > 1)"
        )
        return int(rows[0][0])

    def count(self, where: Condition | None = None, named: str | None = None) -> int:
        """How many images have a file that meets a condition, and whose name contains a text."""
        if named is not None:
            return len(self._named(named, where))
        return int(np.count_nonzero(self._meeting(where)[2]))

    def page(
        self,
        *,
        limit: int,
        order: Order = "taken",
        reverse: bool = False,
        where: Condition | None = None,
        named: str | None = None,
        cursor: str | None = None,
        offset: int = 0,
    ) -> Page:
        """Images in order, each once however many files hold it.

        Args:
            limit: how many, from 1 to `MOST_ON_A_PAGE`.
            order: ``taken``: the latest first, those without a date last; ``added``: the last added
                first; ``bytes``: the largest file first; ``path`` or ``name``: by the first of its
                files that meets the condition.
            reverse: the other way round; those without a date stay last.
            where: only images with a file that meets it.
            named: only images with such a file whose name contains this, whatever the case.
            cursor: go on from the end of an earlier page of the same order and condition.
            offset: images to pass over from there.

        Raises:
            QueryError: the limit, the offset or the cursor makes no sense.
        """
        if not 1 <= limit <= MOST_ON_A_PAGE:
            raise QueryError(f"limit is {limit}; it goes from 1 to {MOST_ON_A_PAGE}")
        if not 0 <= offset < 2**62:
            raise QueryError(f"offset is {offset}; it is 0 or more")
        listing = _Listing(order, reverse, where, named)
        after = None if cursor is None else _read_cursor(cursor, listing)
        keyed = self._by_file if order in _BY_FILE else self._by_number
        keys = [*islice(keyed(listing, after, offset + limit + 1), offset, None)]
        found = self.images([i for i, _ in keys[:limit]], where, named)
        shown = [found[i] for i, _ in keys[:limit] if i in found]
        more = _cursor(listing, keys[limit - 1][1]) if len(keys) > limit else None
        return Page(tuple(shown), more)

    def _by_number(
        self, listing: _Listing, after: list[Any] | None, most: int
    ) -> Iterator[tuple[UUID, list[Any]]]:
        """The first images, each with its place in the order: the number, and the id."""
        view, columns, met = self._listed(listing)
        rows = np.flatnonzero(met)
        numbers: NDArray[np.float64] = columns.taken
        if listing.order == "bytes":
            numbers = columns.bytes.astype(np.float64)
        elif listing.order == "added":
            numbers = np.arange(len(met), dtype=np.float64)  # rows are appended
        keys = np.nan_to_num(numbers if listing.reverse else -numbers, nan=np.inf)
        if after is not None:
            number, last = after[0], UUID(hex=after[1])
            here = np.inf if number is None else float(number)
            same = [row for row in rows[keys[rows] == here].tolist() if view.id(row) > last]
            rows = np.concatenate([np.array(same, np.int64), rows[keys[rows] > here]])
        if len(rows) > most:
            rows = rows[keys[rows] <= np.partition(keys[rows], most - 1)[most - 1]]
        ordered = sorted((float(keys[row]), view.id(row)) for row in rows.tolist())
        for key, i in ordered[:most]:
            yield i, [None if key == np.inf else int(key), i.hex]

    def _by_file(
        self, listing: _Listing, after: list[Any] | None, most: int
    ) -> Iterator[tuple[UUID, list[Any]]]:
        """The first images, each with its place in the order: its first file that meets."""
        last = None if after is None else (bytes.fromhex(after[0]), bytes.fromhex(after[1]))
        view, _, met = self._listed(listing)
        rows = np.flatnonzero(met)
        if len(rows) <= _FEW:
            ids = [view.id(row) for row in rows.tolist()]
            files = self._files(ids, listing.where, listing.named)
            firsts = sorted(
                ((min(map(listing.key, found)), i) for i, found in files.items()),
                reverse=listing.reverse,
            )
        else:
            firsts = islice(self._walk(view, met, listing, last), most)  # type: ignore[assignment]
        following = (
            (key, i)
            for key, i in firsts
            if last is None or (key < last if listing.reverse else key > last)
        )
        for (one, two), i in islice(following, most):
            yield i, [one.hex(), two.hex()]

    def _walk(
        self, view: View, met: NDArray[np.bool_], listing: _Listing, last: File | None
    ) -> Iterator[tuple[File, UUID]]:
        """Go through the files in order, and yield those that are the first of an image."""
        columns = "p.path, f.name" if listing.order == "path" else "f.name, p.path"
        beyond, way = ("<", " DESC") if listing.reverse else (">", "")
        ordered = ", ".join(column + way for column in columns.split(", "))
        begin = "" if last is None else f"AND ({columns}) {beyond} (?, ?) "
        row, there, values, spaces = self._rows().numbered()
        with self._catalog.snapshot() as db:
            sql = (
                f"SELECT {row}, {columns} FROM folders p CROSS JOIN files f CROSS JOIN rows r "  # noqa: S608
                f"WHERE f.folder = p.id AND {there} AND r.content = f.content "
                f"{begin}ORDER BY {ordered}"
            )
            whole = (*values, *spaces, *(last or ()))
            with closing(self._catalog.stream(db, sql, whole)) as cursor:
                while page := cursor.fetchmany(_FEW):
                    here = [(view.id(r), (a, b)) for r, a, b in page if r < len(met) and met[r]]
                    files = self._files([i for i, _ in here], listing.where, listing.named)
                    firsts = {i: min(map(listing.key, found)) for i, found in files.items()}
                    yield from ((key, i) for i, key in here if key == firsts.get(i))

    def _named(self, text: str, where: Condition | None) -> set[UUID]:
        """Images with a file that meets a condition and whose name contains a text."""
        sql = "SELECT content, name FROM files WHERE content IS NOT NULL"
        if ascii_only := text.isascii():  # the database leaves out most of the others at once
            pattern = "".join(f"\\{c}" if c in "%_\\" else c for c in text)
            sql += f" AND {self._catalog.engine.contains('name')}"
            rows = self.rows(sql, (f"%{pattern}%",))
        else:
            rows = self.rows(sql)
        wanted = _plain(text)
        named = {
            i
            for i, name in rows
            if (ascii_only and name.isascii()) or wanted in _plain(os.fsdecode(name))
        }
        ids = {UUID(bytes=i) for i in named}
        return ids if where is None else set(self._files(list(ids), where, text))

    def _listed(self, listing: _Listing) -> tuple[View, Columns, NDArray[np.bool_]]:
        """The images, and which of them are listed."""
        view, columns, met = self._meeting(listing.where)
        if listing.named is not None:
            named = {i.bytes for i in self._named(listing.named, listing.where)}
            ids, size = view.ids.tobytes(), view.ids.shape[1]
            there = (ids[at : at + size] in named for at in range(0, len(ids), size))
            met = met & np.fromiter(there, np.bool_, len(met))
        return view, columns, met

    # Conditions, which are about files where they lie

    def _meeting(self, where: Condition | None) -> tuple[View, Columns, NDArray[np.bool_]]:
        """The images, and which of them have a file that meets a condition."""
        view, columns = self._rows().described()
        if where is None:
            return view, columns, view.live
        met = view.live & meets(for_some_copy(where), columns)
        doubtful = np.flatnonzero(met & meets(InFolder((SEVERAL,)), columns)).tolist()
        files = self._files([view.id(row) for row in doubtful], where)
        met[[row for row in doubtful if view.id(row) not in files]] = False
        return view, columns, met

    def _files(
        self, ids: list[UUID], where: Condition | None, named: str | None = None
    ) -> dict[UUID, list[File]]:
        """Of these images those that have files which meet a condition, and these."""
        text = None if named is None else _plain(named)
        rows = self._catalog.rows_for(
            "SELECT content, folder, path, name FROM files JOIN folders ON folders.id = folder "
            "WHERE content IN (?*)",
            (i.bytes for i in ids),
            lambda row: (UUID(bytes=row[0]), int(row[1]), (bytes(row[2]), bytes(row[3]))),
        )
        wanted: Callable[[UUID, int], bool] = lambda i, folder: True  # noqa: E731
        if where is not None:
            contents = self._catalog.contents(ids)
            pairs = sorted({(i, folder) for i, folder, _ in rows if i in contents})
            above = {folder: self._catalog.lineage(folder) for _, folder in pairs}
            images = Columns.of([contents[i].attributes(above[folder]) for i, folder in pairs])
            met = {pair for pair, meet in zip(pairs, meets(where, images), strict=True) if meet}
            wanted = lambda i, folder: (i, folder) in met  # noqa: E731
        files: dict[UUID, list[File]] = {}
        for i, folder, file in rows:
            called = text is None or text in _plain(os.fsdecode(file[1]))
            if called and wanted(i, folder):
                files.setdefault(i, []).append(file)
        return files


def _path(file: File) -> Path:
    return as_path(os.fsdecode(os.path.join(*file)))


def _plain(text: str) -> str:
    """A name as it is compared: whatever the case, and however its accents are encoded."""
    return unicodedata.normalize("NFC", text).casefold()


def _cursor(listing: _Listing, key: list[Any]) -> str:
    text = json.dumps([listing.title, *key])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _read_cursor(cursor: str, listing: _Listing) -> list[Any]:
    refusal = QueryError("the cursor is none of this list's: begin again without one")
    if len(cursor) > 20_000 or not cursor.isascii():
        raise refusal
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        made_for, first, last = json.loads(base64.urlsafe_b64decode(padded))
        bytes.fromhex(last)
        if listing.order in _BY_FILE:
            bytes.fromhex(first)
        elif first is not None and not (isinstance(first, int) and abs(first) < 2**62):
            raise refusal
    except (ValueError, TypeError, binascii.Error, RecursionError) as error:
        raise refusal from error
    if made_for != listing.title:
        raise refusal
    return [first, last]
