"""Moving a gallery's catalogue from its folder into a PostgreSQL server, and back.

Table by table and page by page, by the keys, the copy is made to agree with the original: at first
while the gallery stays in use, so that what was copied when a run is stopped counts for the next
one, and once more inside a change of the original, which keeps all writers out. There each table is
gone through until no row differs, so that every row is compared, and a sample of images is searched
for by both. Then ``gallery.json`` names the new place. Replacing that one file is the only step at
which anything changes for anybody: whoever wants to write into the old one afterwards looks at it
once he has the lock, and is refused (`glocal.gallery.catalogue_place`).

Other machines may have copies of the folder whose ``gallery.json`` goes on naming the server. So on
the way back the server itself is told to refuse changes, right before that file is replaced. A run
that is killed between the two leaves a gallery that can be searched and not changed, until the same
command is run again.

The SQLite file stays when it has been left, without tables: a process that still has it open would
take the log of another file in its place for that of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from glocal.cluster.catalogued import DELETED_SCHEMA
from glocal.cluster.config import ClusterConfig
from glocal.cluster.milvus import keep_config
from glocal.cluster.postgres import Postgres
from glocal.errors import GalleryDamagedError
from glocal.gallery.catalog import Catalog
from glocal.gallery.catalog_state import SCHEMA
from glocal.gallery.catalogue_place import staying
from glocal.gallery.context import Context
from glocal.gallery.database import Database, upsert
from glocal.gallery.layout import Layout, write_description
from glocal.gallery.progress import Progress

_BESIDE = "catalogue beside"
"""State of a catalogue in the folder: the schema into which it is being copied."""

_ARRIVING = "catalogue arriving"
"""State of a file that is not the gallery's yet: the schema from which it is being filled, and a
number that tells it from others that may be filled from there, on other machines."""

_LEFT = "catalogue left"
"""State: a schema that the gallery has left, and that is to be removed."""

_OURS = {_BESIDE, _ARRIVING, _LEFT}
_ANEW = {"words", "words_settled"}
"""State that names a catalogue for those who follow its marks: a new one gets another name."""

_MARKS = "word_marks"
_PAGE = 500  # rows, each of which may have 15 kB
_ROUNDS = 3
_NUMBERS = {"folders": "id", "terms": "id"}

Row = tuple[Any, ...]
Listen = Callable[[Progress], None]
Compare = Callable[[Catalog], None]
"""Raises an error where a catalogue does not answer as the one that was copied."""


@dataclass(frozen=True, slots=True)
class _Table:
    """A table of a catalogue.

    Attributes:
        name: of the table.
        columns: its columns, those of the key first.
        key: how many of them are the key.
    """

    name: str
    columns: tuple[str, ...]
    key: int


class _MovedAway(Exception):  # noqa: N818 - nothing is wrong
    """Ends a change of a catalogue that refuses changes."""


def begin(catalog: Catalog, config: Path) -> str:
    """Make the schema that a catalogue is going to move to, unless an earlier run has.

    Args:
        catalog: in the gallery's folder.
        config: the file that says where the server is.

    Returns:
        Its name.

    Raises:
        StoreUnavailableError: the server does not answer.
        GalleryError: it refuses the connection, or to make a schema.
    """
    name = catalog.get_state(_BESIDE)
    if not name:
        name = Postgres.new_name(config)
        catalog.set_state(_BESIDE, name)
    return Postgres.create(config, name)


def to_server(context: Context, config: Path, compare: Compare, listen: Listen) -> int:
    """Move the catalogue of a gallery, whose vectors are in a cluster, into a server.

    Args:
        context: of the gallery.
        config: the file that says where the server is.
        compare: is given the copy before anything changes.
        listen: told the progress in rows.

    Returns:
        How many rows there are.

    Raises:
        StoreUnavailableError: the server does not answer; what was copied counts next time.
        GalleryDamagedError: the copy is not the same as the original; nothing has changed.
        ModelMismatchError: the gallery was changed over by another process meanwhile.
    """
    layout, source = context.layout, context.catalog
    name = begin(source, config)
    with closing(Database(Postgres(config, name), SCHEMA)) as target:
        _copy(source, target, layout.require_space, listen)
        with source.change():
            layout.require_current()
            with target.change() as db:
                count = _settle(source, target)
                for table, column in _NUMBERS.items():  # go on behind those that were copied
                    db.execute(
                        f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), "  # noqa: S608
                        f"(SELECT COALESCE(MAX({column}), 0) + 1 FROM {table}), false)"
                    )
            with closing(Catalog(Postgres(config, name))) as copied:
                compare(copied)
            keep_config(layout.folder, config)
            now = replace(layout, store=replace(layout.store, catalogue=name))
            write_description(now.folder, now.model, now.store)
            _drop_tables(source)
    empty(now)
    return count


def empty(layout: Layout) -> None:
    """Remove the tables of a catalogue that the gallery has left, and give their space back.

    Args:
        layout: of the gallery, whose catalogue is in a server now.
    """
    if not layout.catalog.exists():
        return
    check = staying(layout.folder, layout.store.catalogue)
    with closing(Database(layout.catalog, "", check=check)) as left:
        _drop_tables(left)
        with suppress(sqlite3.Error):  # as long as another process reads
            left.writer.execute("VACUUM")
            left.writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def to_file(context: Context, compare: Compare, listen: Listen) -> int:
    """Move the catalogue of a gallery from a server into its folder; see `to_server`.

    Raises:
        DiskFullError: there is no space for it; nothing has changed.
    """
    layout, source = context.layout, context.catalog
    name = layout.store.catalogue
    with closing(_arriving(layout)) as target:
        ((said,),) = target.rows("SELECT value FROM state WHERE key = ?", (_ARRIVING,))
        _copy(source, target, layout.require_space, listen)
        with suppress(_MovedAway), source.change():
            layout.require_current()
            layout.require_space()
            with target.change() as db:
                count = _settle(source, target)
                db.execute(upsert("state", "key", "value"), (_LEFT, name))
            with closing(Catalog(layout.catalog)) as copied:
                compare(copied)
            Postgres(layout.cluster, name).refuse_changes(said.split()[1])
            source.value("SELECT 1")  # this change is still under way: nobody has written meanwhile
            write_description(layout.folder, layout.model, replace(layout.store, catalogue=""))
            raise _MovedAway  # in which nothing was changed, and nothing can be
    return count


def _arriving(layout: Layout) -> Database:
    """The file that is being filled; what an earlier life of the gallery left in it is removed."""
    name = layout.store.catalogue
    target = Database(layout.catalog, SCHEMA, check=staying(layout.folder, name))
    try:
        said = target.value("SELECT value FROM state WHERE key = ?", (_ARRIVING,)) or ""
        if said.split()[:1] != [name]:
            _drop_tables(target)
            with target.change() as db:
                target.make(SCHEMA)
                db.execute(upsert("state", "key", "value"), (_ARRIVING, f"{name} {uuid4().hex}"))
    except BaseException:
        target.close()
        raise
    return target


def drop_left(layout: Layout, catalog: Catalog, *, begun: bool = False) -> bool:
    """Remove the schema that a gallery has left; whether there was one.

    Args:
        layout: of the gallery.
        catalog: in its folder.
        begun: whether the one goes too into which a move was begun.
    """
    names = {key: catalog.get_state(key) for key in (_LEFT, *[_BESIDE] * begun)}
    if not any(names.values()):
        return False
    if layout.cluster.exists() and ClusterConfig.read(layout.cluster).catalogue.uri:
        for name in filter(None, names.values()):
            Postgres(layout.cluster, name).drop()
    with catalog.change() as db:
        for key in (_ARRIVING, *names):
            db.execute("DELETE FROM state WHERE key = ?", (key,))
    return True


def _drop_tables(database: Database) -> None:
    with database.change() as db:
        for table in _tables():
            db.execute(f"DROP TABLE IF EXISTS {table.name}")
        db.execute(f"DROP TABLE IF EXISTS {_MARKS}")


# Rows


@cache
def _tables() -> tuple[_Table, ...]:
    """The tables that move, as SQLite understands their schema."""
    found = []
    with closing(sqlite3.connect(":memory:")) as db:
        db.executescript(SCHEMA + DELETED_SCHEMA)
        names = db.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        for (name,) in names.fetchall():
            info = db.execute(f"PRAGMA table_info({name})").fetchall()
            keys = [column for _, column, *_, place in sorted(info, key=lambda c: c[5]) if place]
            others = [column for _, column, *_, place in info if not place]
            found.append(_Table(name, (*keys, *others), len(keys)))
    return tuple(t for t in found if t.name != _MARKS and not t.name.startswith("sqlite_"))


def _copy(source: Database, target: Database, require: Callable[[], None], listen: Listen) -> None:
    """Copy what is not there yet, while others may change the original."""
    with target.change():
        target.make(DELETED_SCHEMA)
    total = sum(_count(source, table) for table in _tables())
    done = 0

    def tell(rows: int) -> None:
        nonlocal done
        require()
        done += rows
        listen(Progress("move", done, max(total, done)))

    for table in _tables():
        _agree(source, target, table, tell)


def _settle(source: Database, target: Database) -> int:
    """Make the copy the same as the original, inside a change of both; how many rows it has.

    Raises:
        GalleryDamagedError: it does not become the same.
    """
    count = 0
    for table in _tables():
        for left in reversed(range(_ROUNDS)):
            pages: list[int] = []
            differed = _agree(source, target, table, pages.append)
            if not differed:
                break
            if not left:
                raise GalleryDamagedError(
                    f"{differed} rows of the catalogue's table {table.name} do not arrive as they "
                    "are; nothing was changed: check the gallery (glocal check) and run the same "
                    "command again"
                )
        count += sum(pages)
    target.writer.execute(f"DELETE FROM {_MARKS}")  # noqa: S608
    return count


def _count(database: Database, table: _Table) -> int:
    if not database.has_table(table.name):  # not every catalogue has each
        return 0
    return int(database.value(f"SELECT COUNT(*) FROM {table.name}"))  # noqa: S608


def _agree(source: Database, target: Database, table: _Table, tell: Callable[[int], None]) -> int:
    """Make a table of the copy agree with the original; how many of its rows did not.

    Args:
        source: the original.
        target: the copy.
        table: which.
        tell: is told how many rows of the original were gone through, page by page.
    """
    if not source.has_table(table.name):
        return 0
    delete = f"DELETE FROM {table.name} WHERE ({_keys(table)}) = ({_marks(table.key)})"  # noqa: S608
    differed, after = 0, None
    while True:
        right, more = _page(source, table, after, _OURS | _ANEW)
        there, further = _page(target, table, after, _OURS)
        # Up to where both pages reach.
        after = min((key for key in (more, further) if key is not None), default=None)
        if after is not None:
            right = {key: row for key, row in right.items() if key <= after}
            there = {key: row for key, row in there.items() if key <= after}
        wrong = [key for key, row in there.items() if right.get(key) != row]
        missing = [row for key, row in right.items() if there.get(key) != row]
        if wrong or missing:
            with target.change() as db:
                db.executemany(delete, wrong)
                _insert(target, table, missing)
            differed += max(len(wrong), len(missing))
        tell(len(right))
        if after is None:
            return differed


def _page(
    database: Database, table: _Table, after: Row | None, hidden: set[str]
) -> tuple[dict[Row, Row], Row | None]:
    """Rows behind a key, by their keys, and the last key; `None` where no more rows follow."""
    where = "" if after is None else f"WHERE ({_keys(table)}) > ({_marks(table.key)})"
    found = database.rows(
        f"SELECT {', '.join(table.columns)} FROM {table.name} {where} "  # noqa: S608
        f"ORDER BY {_keys(table)} LIMIT {_PAGE}",
        after or (),
    )
    rows = [tuple(map(_kept, row)) for row in found]
    last = rows[-1][: table.key] if len(rows) == _PAGE else None
    if table.name == "state":
        rows = [row for row in rows if row[0] not in hidden]
    return {row[: table.key]: row for row in rows}, last


def _kept(value: Any) -> Any:
    """A value as PostgreSQL keeps it, which takes no NUL in a text."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value


def _insert(target: Database, table: _Table, rows: Sequence[Row]) -> None:
    if isinstance(target.engine, Postgres):
        target.engine.load(target.writer, table.name, table.columns, rows)
        return
    target.writer.executemany(
        f"INSERT INTO {table.name} ({', '.join(table.columns)}) "  # noqa: S608
        f"VALUES ({_marks(len(table.columns))})",
        rows,
    )


def _keys(table: _Table) -> str:
    return ", ".join(table.columns[: table.key])


def _marks(count: int) -> str:
    return ", ".join("?" * count)
