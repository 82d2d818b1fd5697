"""A database that many processes share: whole transactions, and errors that explain.

One connection writes, and any number read beside it: each query takes an idle reading connection,
so that no thread waits for another. What is particular to a kind of database is in its `Engine`:
`SqliteFile` for a file in the gallery's folder, ``glocal.cluster.postgres`` for a server. All SQL
above it is such that both understand.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from glocal.errors import GalleryError, StoreUnavailableError
from glocal.registry import load

MANY = 500
"""Values in one statement; SQLite's oldest limit is 999."""

ALL = 2**62
"""The limit of a query that has none."""

_ATTEMPTS = 10

T = TypeVar("T")


class ConnectionLostError(StoreUnavailableError):
    """A server has ended a connection that was in use; what is to be done can be tried again."""


@dataclass(frozen=True, slots=True)
class Trigger:
    """A statement that the database itself runs with each row that changes.

    Attributes:
        name: of the trigger.
        event: such as ``AFTER INSERT ON files``.
        statement: which may name ``NEW`` or ``OLD``.
        condition: under which it is run; empty: always.
    """

    name: str
    event: str
    statement: str
    condition: str = ""


class Connection(Protocol):
    """What is asked of a connection: what `sqlite3.Connection` does."""

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Any:
        """Run a statement with ``?`` for its values, or ``?1`` for one that is meant twice."""
        ...

    def executemany(self, sql: str, values: Iterable[Sequence[Any]], /) -> Any:
        """Run a statement for each of many values."""
        ...

    def close(self) -> None:
        """Close it; closing twice is fine."""
        ...


class Engine(Protocol):
    """A kind of database, at one place.

    Attributes:
        path: of its file, or what stands for one in the gallery's folder.
        address: says another process of this machine where it is, without anything secret.
        name: of its place in a server, as `StorePlace.catalogue` has it; empty: it is a file.
        read_only: whether it can only be read, as in a mounted archive; known once it is open.
        most_idle: reading connections that are kept for later.
    """

    path: Path
    address: str
    name: str
    read_only: bool
    most_idle: int

    def open(self, schema: str, triggers: Sequence[Trigger]) -> Any:
        """A connection that writes, after making what is not there."""
        ...

    def writer(self) -> Any:
        """Another connection that writes, where the first one is not `usable` any more."""
        ...

    def reader(self) -> Any:
        """A connection that only reads."""
        ...

    def usable(self, db: Any) -> bool:
        """Whether a connection that was idle is still one, as far as can be told at no cost."""
        ...

    def begin(self, db: Any, *, write: bool) -> None:
        """Begin a transaction.

        Args:
            db: the connection.
            write: for a change, of which there is only one at a time; else all that is read is of
                one moment.
        """
        ...

    def commit(self, db: Any, *, write: bool) -> None:
        """End a transaction; what it wrote survives a power cut."""
        ...

    def roll_back(self, db: Any) -> None:
        """End a transaction, if one is under way, as if it had not been."""
        ...

    def explained(self) -> AbstractContextManager[None]:
        """Turn the errors of the database into glocal's own."""
        ...

    def make(self, db: Any, schema: str) -> None:
        """Run statements that make tables or add columns, written for SQLite; inside a change."""
        ...

    def columns(self, db: Any, table: str) -> set[str]:
        """The columns of a table; none where there is no such table."""
        ...

    def contains(self, column: str) -> str:
        r"""SQL for whether bytes contain an ASCII text, whatever its case.

        ``?`` stands for the text between two ``%``, in which ``\`` stands before each of ``%_\``.
        """
        ...

    def stream(self, db: Any, sql: str, values: Sequence[Any]) -> Any:
        """A cursor over rows that are too many for memory; inside a transaction."""
        ...

    def stamp(self, query: Callable[[str], list[tuple[Any, ...]]]) -> tuple[int, ...]:
        """See `Database.stamp`; `query` gives the rows of a query."""
        ...

    def problems(self, db: Any) -> list[str]:
        """What its own check finds wrong; empty when it is sound."""
        ...


class Database:
    """A database and its tables; any thread may call, any process may read and write beside it.

    Args:
        place: the path of an SQLite file, made when it is not there, or another engine.
        schema: statements that make the tables where they are not there.
        timeout: seconds to wait for another process that writes.
        triggers: are made where they are not there.
        check: is called inside each change before anything is written, and may raise an error.

    Attributes:
        engine: the kind of database.
        writer: the connection that writes; inside `change` only.

    Raises:
        GalleryDamagedError: the file is no database.
        DiskFullError: there was no space left to write; nothing of the change was kept.
        GalleryLockedError: another process kept it locked for too long.
        StoreUnavailableError: from every method, while a server is away.
    """

    def __init__(
        self,
        place: Path | Engine,
        schema: str,
        *,
        timeout: float = 30.0,
        triggers: Sequence[Trigger] = (),
        check: Callable[[], None] | None = None,
    ) -> None:
        if isinstance(place, Path):
            from glocal.gallery.sqlite_file import SqliteFile

            place = SqliteFile(place, timeout)
        self.engine: Engine = place
        self._check = check
        self._lock = threading.RLock()  # held by the thread that writes
        self._writing_thread: int | None = None
        self._idle: list[Connection] = []
        self._closed = False
        with self.engine.explained():
            self.writer: Connection = self.engine.open(schema, triggers)

    @property
    def path(self) -> Path:
        """The path of the file, or what stands for one."""
        return self.engine.path

    @property
    def read_only(self) -> bool:
        """Whether the database can only be read, as in a mounted archive."""
        return self.engine.read_only

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        with self._lock:
            self._closed = True
            while self._idle:
                self._idle.pop().close()
            self.writer.close()

    @contextmanager
    def change(self) -> Iterator[Connection]:
        """One transaction: everything inside is kept, or nothing is; one within another joins it.

        Of all threads and processes only one is inside at a time.
        """
        engine = self.engine
        with self._lock, engine.explained():
            if self._writing_thread is not None:
                yield self.writer
                return
            if self._closed:
                raise GalleryError(f"the gallery of {self.path} is closed")
            if engine.read_only:
                raise GalleryError(f"{self.path} can only be read; make its folder writable")
            if not engine.usable(self.writer):
                self.writer.close()
                self.writer = engine.writer()
            engine.begin(self.writer, write=True)
            self._writing_thread = threading.get_ident()
            try:
                if self._check is not None:
                    self._check()
                yield self.writer
                engine.commit(self.writer, write=True)
            except BaseException:
                engine.roll_back(self.writer)
                raise
            finally:
                self._writing_thread = None

    def repeat(self, change: Callable[[], T]) -> T:
        """What makes one change, made again where the connection was lost meanwhile.

        Args:
            change: whatever it does beside is no different when it is done twice: it may have been
                committed the first time.
        """
        for left in reversed(range(_ATTEMPTS)):
            try:
                return change()
            except ConnectionLostError:  # while the server is away, the next connection waits
                if self.changing or not left:
                    raise
        raise AssertionError  # the last attempt has ended in one way or the other

    @property
    def changing(self) -> bool:
        """Whether this thread is inside `change`, and sees what may yet be undone."""
        return self._writing_thread == threading.get_ident()

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection whose queries see one moment: the last commit, or the change under way."""
        with self._connection() as db:
            if db is self.writer:
                yield db
                return
            self.engine.begin(db, write=False)
            try:
                yield db
            finally:
                self.engine.commit(db, write=False)

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        """An idle connection that reads, or inside a change the one that writes."""
        if self.changing:
            yield self.writer
            return
        with self.engine.explained():
            if self._closed:
                raise GalleryError(f"the gallery of {self.path} is closed")
            try:
                db = self._idle.pop()
            except IndexError:
                db = self.engine.reader()
            if not self.engine.usable(db):
                db = self._another(db)
            try:
                yield db
            except BaseException:
                db.close()
                raise
            self._give_back(db)

    def _another(self, db: Connection) -> Connection:
        """A new connection in place of one that is not usable; idle ones are not either then."""
        db.close()
        with suppress(IndexError):  # other threads take them at the same time
            while self._idle:
                self._idle.pop().close()
        another: Connection = self.engine.reader()
        return another

    def _give_back(self, db: Connection) -> None:
        if len(self._idle) < self.engine.most_idle:
            self._idle.append(db)
        else:
            db.close()
        if self._closed:  # meanwhile
            self.close()

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of one query, which sees one moment by itself."""
        try:
            return self._rows(sql, values)
        except ConnectionLostError:
            if self.changing:
                raise
        return self.repeat(lambda: self._rows(sql, values))

    def _rows(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        with self._connection() as db:
            found: list[tuple[Any, ...]] = db.execute(sql, values).fetchall()
            return found

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

    def stream(self, db: Connection, sql: str, values: Sequence[Any]) -> Any:
        """A cursor over rows that are too many for memory.

        Args:
            db: the connection of a `snapshot`.
            sql: the query.
            values: of its ``?``.
        """
        return self.engine.stream(db, sql, values)

    def stamp(self) -> tuple[int, ...]:
        """Numbers that are others whenever something has changed."""
        return self.engine.stamp(self.rows)

    # Tables

    def columns(self, table: str) -> set[str]:
        """The columns of a table; none where there is no such table."""
        with self._connection() as db:
            return self.engine.columns(db, table)

    def has_table(self, table: str) -> bool:
        """Whether there is such a table: an archive may be of before."""
        return bool(self.columns(table))

    def make(self, schema: str) -> None:
        """Run statements that make tables or add columns; inside `change`."""
        self.engine.make(self.writer, schema)

    def problems(self) -> list[str]:
        """What the database's own check finds wrong with it; empty when it is sound."""
        with self._connection() as db:
            return self.engine.problems(db)


def engine_at(address: str) -> Engine:
    """The engine whose address this is: see `Engine.address`."""
    kind, found, place = address.partition("://")
    if found:
        engine: Engine = load("catalogue", kind).at(place)
        return engine
    from glocal.gallery.sqlite_file import SqliteFile

    return SqliteFile(Path(address))


def upsert(table: str, key: str, columns: str) -> str:
    """SQL that writes a row, in place of one that has the same key.

    Args:
        table: its name.
        key: the columns of its key, with commas.
        columns: its other columns, at least one.
    """
    names = f"{key}, {columns}"
    marks = ", ".join("?" * len(names.split(",")))
    every = ", ".join(f"{name.strip()} = excluded.{name.strip()}" for name in columns.split(","))
    return (
        f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({key}) DO UPDATE SET {every}"  # noqa: S608
    )
