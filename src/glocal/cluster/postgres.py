"""A catalogue in a PostgreSQL server: see `Postgres`."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import select
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.types.string import StrDumperUnknown

from glocal.cluster.config import ClusterConfig
from glocal.cluster.postgres_sql import NEW, numbered, tables
from glocal.errors import (
    DiskFullError,
    GalleryDamagedError,
    GalleryError,
    GalleryLockedError,
    GalleryMovedError,
    StoreUnavailableError,
)
from glocal.gallery.database import ConnectionLostError, Trigger

PASSWORD = "GLOCAL_POSTGRES_PASSWORD"  # noqa: S105 - the name of a variable
"""The environment variable that gives the password; libpq's own (``PGPASSWORD``) do too."""

_OLDEST = 140_000  # with CREATE OR REPLACE TRIGGER
_PAUSE, _LONGEST_PAUSE = 0.05, 1.0  # seconds before a repetition; the pauses double
_ATTEMPT = 10  # seconds for one connection
_MOVED = "moved_"
"""Begins the name of the constraint that refuses changes of a catalogue that was moved away."""

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}")

_REFUSED = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|does not exist|"
    r"permission denied|not permitted|does not support SSL|certificate",
    re.IGNORECASE,
)
"""What a server says of a connection that it will not take later either; libpq has no code."""

_SESSION = """
SET search_path = {name};
SET lock_timeout = {lock};
SET synchronous_commit = on;
SET client_min_messages = warning;
SET default_transaction_isolation = 'read committed';
SET tcp_keepalives_idle = 30;
SET tcp_keepalives_interval = 10;
SET tcp_keepalives_count = 3;
"""
"""Within a minute the server finds out that the machine is gone of a client that has the lock."""

_log = logging.getLogger(__name__)


class _Text(StrDumperUnknown):
    """PostgreSQL keeps no NUL in a text, which a caption may have."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd"))


class _Connection:
    """A connection as `glocal.gallery.database.Connection`."""

    def __init__(self, raw: psycopg.Connection[tuple[Any, ...]]) -> None:
        self.raw = raw

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Any:
        return self.raw.execute(numbered(sql).encode(), values or None)

    def executemany(self, sql: str, values: Iterable[Sequence[Any]]) -> Any:
        cursor = self.raw.cursor()
        cursor.executemany(numbered(sql).encode(), values)
        return cursor

    def script(self, statements: str) -> Any:
        """Run statements without values, sent together."""
        return self.raw.execute(statements.encode(), prepare=False)

    def close(self) -> None:
        self.raw.close()


class Postgres:
    """The tables of a catalogue in a schema of a PostgreSQL server; see `Engine`.

    Changes are made one after the other, by a lock that is the gallery's own and ends with the
    transaction: what a change reads stays so until it is over, as in an SQLite file. Everything
    else (reading, decoding and encoding images) is done by any number of processes and machines at
    the same time.

    Args:
        config: the file that says where the server is; see `ClusterConfig`.
        name: of the schema.
        timeout: seconds to wait for others who write.
    """

    read_only = False
    most_idle = 4

    def __init__(self, config: Path, name: str, timeout: float = 30.0) -> None:
        if not _NAME.fullmatch(name):
            raise GalleryDamagedError(f"{name!r} is no name of a PostgreSQL schema")
        self.path = config
        self.address = f"postgres://{name}:{config}"
        self.name = name
        self._timeout = timeout
        self._config = ClusterConfig.read(config)
        self._uri = self._config.catalogue.uri
        if not self._uri:  # for libpq that would be whatever server is on this machine
            raise GalleryError(
                f"the catalogue {name} is in PostgreSQL, and {config} names no [catalogue]; add it"
            )
        # Others of this name would only wait for each other.
        self._lock = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], signed=True)

    @staticmethod
    def at(place: str) -> Postgres:
        """The engine of an `address`, without ``postgres://``."""
        name, _, config = place.partition(":")
        return Postgres(Path(config), name)

    @staticmethod
    def new_name(config: Path) -> str:
        """A name that no schema has."""
        return f"{ClusterConfig.read(config).prefix.lower()[:30]}_{uuid.uuid4().hex}"

    @staticmethod
    def create(config: Path, name: str | None = None) -> str:
        """Make a place for a new catalogue, unless it is there.

        Args:
            config: the file that says where the server is.
            name: of the schema; `None`: a new one.

        Returns:
            The name of the schema.

        Raises:
            StoreUnavailableError: the server does not answer.
            GalleryError: it refuses the connection, or to make a schema.
        """
        name = name or Postgres.new_name(config)
        engine = Postgres(config, name)
        with engine.explained(), closing(engine.writer()) as db:
            if not engine._is_there(db):
                db.script(f"BEGIN; {NEW.format(name=name)} COMMIT")
        return name

    def drop(self) -> None:
        """Remove the schema, with all that is in it."""
        with self.explained(), closing(self.writer()) as db:
            db.script(f"DROP SCHEMA IF EXISTS {self.name} CASCADE")

    def refuse_changes(self, reason: str) -> None:
        """Let no change be committed any more, by whatever machine.

        Called inside a change, which keeps others out until then and is not committed either.

        Args:
            reason: hexadecimal digits; whoever has the same can say it again.

        Raises:
            GalleryMovedError: changes are refused for another reason.
        """
        name = _MOVED + reason
        with self.explained(), closing(self.writer()) as db:
            found = db.execute(
                "SELECT conname FROM pg_constraint "
                "WHERE conrelid = to_regclass(?) AND contype = 'c'",
                (f"{self.name}.changes",),
            ).fetchall()
            if not found:
                db.script(f"ALTER TABLE changes ADD CONSTRAINT {name} CHECK (number < 0) NOT VALID")
            elif found != [(name,)]:
                raise self._moved()

    # Connections

    def open(self, schema: str, triggers: Sequence[Trigger]) -> _Connection:
        """See `Engine.open`.

        Raises:
            GalleryDamagedError: somebody has removed the schema.
        """
        statements = tables(schema, triggers)
        key = hashlib.sha256(statements.encode()).hexdigest()
        db = self.writer()
        try:
            if not self._is_there(db):
                raise self._gone()
            if not self._is_made(db, key):
                self.begin(db, write=True)
                if not self._is_made(db, key):  # another process may have been quicker
                    db.script(statements)
                    db.execute("INSERT INTO made VALUES (?)", (key,))
                self.commit(db, write=True)
        except BaseException:
            db.close()
            raise
        return db

    def _is_there(self, db: _Connection) -> bool:
        found = db.execute("SELECT to_regclass(?)", (f"{self.name}.made",)).fetchone()
        return bool(found != (None,))

    def _gone(self) -> GalleryDamagedError:
        return GalleryDamagedError(
            f"the catalogue at {self._where()} has no schema {self.name} any more; if it was moved "
            "into the gallery's folder on another machine (glocal move --back), use that folder; "
            "else restore the schema from a backup of the server, or delete the gallery's folder "
            "and index the images again"
        )

    def _moved(self) -> GalleryMovedError:
        return GalleryMovedError(
            f"the catalogue at {self._where()} cannot be changed any more: it was moved into the "
            "gallery's folder by glocal move --back, in this folder or a copy of it; use the one "
            "into which it was moved, or, if that was stopped, run it again there"
        )

    @staticmethod
    def _is_made(db: _Connection, key: str) -> bool:
        return bool(db.execute("SELECT 1 FROM made WHERE sha256 = ?", (key,)).fetchall())

    def writer(self) -> _Connection:
        """See `Engine.writer`.

        Raises:
            StoreUnavailableError: the server was away for longer than the time limit.
            GalleryError: it refuses the connection.
        """
        ends = time.monotonic() + self._config.timeout
        pause = _PAUSE
        while True:
            left = max(ends - time.monotonic(), 0.1)
            try:
                return self._connected(min(left, _ATTEMPT))
            except psycopg.OperationalError as error:
                self._require_sense(error)
                if time.monotonic() + pause >= ends:
                    raise StoreUnavailableError(
                        f"the catalogue at {self._where()} has not answered for "
                        f"{self._config.timeout:g} s ({_text(error)}); start the server, or "
                        "correct its address, and run the same command again (what was done so "
                        "far is kept)"
                    ) from error
                _log.info("waiting for the catalogue at %s: %s", self._where(), _text(error))
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)

    reader = writer

    def _connected(self, timeout: float) -> _Connection:
        more: dict[str, Any] = {"connect_timeout": max(round(timeout), 2)}
        if password := os.environ.get(PASSWORD):
            more["password"] = password
        raw = psycopg.connect(
            self._uri,
            autocommit=True,  # the pattern of transactions is our own
            cursor_factory=psycopg.RawCursor,
            application_name="glocal",
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
            tcp_user_timeout=60_000,
            **more,
        )
        try:
            self._require_suitable(raw)
            raw.adapters.register_dumper(str, _Text)
            db = _Connection(raw)
            db.script(_SESSION.format(name=self.name, lock=max(round(self._timeout * 1000), 1)))
        except BaseException:
            raw.close()
            raise
        return db

    def _require_suitable(self, raw: psycopg.Connection[Any]) -> None:
        if raw.info.server_version < _OLDEST:
            raise GalleryError(
                f"the server at {self._where()} is PostgreSQL {raw.info.server_version // 10_000}; "
                f"a catalogue needs {_OLDEST // 10_000} or newer"
            )
        encoding = raw.info.parameter_status("server_encoding")
        if encoding != "UTF8":
            raise GalleryError(
                f"the database at {self._where()} has the encoding {encoding}; make one that has "
                "UTF8: CREATE DATABASE glocal ENCODING 'UTF8' TEMPLATE template0"
            )

    def _require_sense(self, error: psycopg.OperationalError) -> None:
        """Raise an error where it is of no use to connect again."""
        needs_password = error.pgconn is not None and error.pgconn.needs_password
        if needs_password or _REFUSED.search(str(error)):
            raise GalleryError(
                f"the catalogue at {self._where()} refuses the connection ({_text(error)}); "
                f"correct catalogue.uri in the cluster's file, or give the password in {PASSWORD}"
            ) from error

    def usable(self, db: _Connection) -> bool:
        """See `Engine.usable`."""
        raw = db.raw
        if raw.closed or raw.info.transaction_status != TransactionStatus.IDLE:
            return False
        # A server that has ended has said so, or has closed the connection: there is something to
        # be read, where nothing was asked.
        return not _is_readable(raw.fileno())

    # Transactions

    def begin(self, db: _Connection, *, write: bool) -> None:
        """See `Engine.begin`."""
        if write:
            db.script(f"BEGIN; SELECT pg_advisory_xact_lock({self._lock})")
        else:
            db.script("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY")

    def commit(self, db: _Connection, *, write: bool) -> None:
        """See `Engine.commit`."""
        # A transaction in which a statement has failed would end without an error, and kept not.
        db.script("UPDATE changes SET number = number + 1; COMMIT" if write else "COMMIT")

    def roll_back(self, db: _Connection) -> None:
        """See `Engine.roll_back`."""
        status = db.raw.info.transaction_status
        if status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            with suppress(psycopg.Error):
                db.script("ROLLBACK")
        elif status != TransactionStatus.IDLE:
            db.close()  # a query that was interrupted; with the connection the transaction ends

    # What PostgreSQL says otherwise

    def make(self, db: _Connection, schema: str) -> None:
        """See `Engine.make`."""
        db.script(tables(schema))

    def load(
        self, db: Any, table: str, columns: Sequence[str], rows: Iterable[Sequence[Any]]
    ) -> None:
        """Write many rows that are not there, by a connection of its own; inside a transaction."""
        into = f"COPY {table} ({', '.join(columns)}) FROM STDIN".encode()
        with db.raw.cursor() as cursor, cursor.copy(into) as copy:
            for row in rows:
                copy.write_row(row)

    def columns(self, db: _Connection, table: str) -> set[str]:
        """See `Engine.columns`."""
        found = db.execute(
            "SELECT column_name FROM information_schema.columns "
            "WHERE table_schema = ? AND table_name = ?",
            (self.name, table),
        )
        return {name for (name,) in found}

    def contains(self, column: str) -> str:
        """See `Engine.contains`."""
        return f"convert_from({column}, 'LATIN1') COLLATE \"C\" ILIKE ? ESCAPE '\\'"

    def stream(self, db: _Connection, sql: str, values: Sequence[Any]) -> Any:
        """See `Engine.stream`."""
        cursor = psycopg.RawServerCursor(db.raw, f"stream_{uuid.uuid4().hex}")
        return cursor.execute(numbered(sql).encode(), values or None)

    def stamp(self, query: Callable[[str], list[tuple[Any, ...]]]) -> tuple[int, ...]:
        """See `Engine.stamp`."""
        return query("SELECT number FROM changes")[0]

    def problems(self, _: _Connection) -> list[str]:
        """None: the server keeps its own checksums."""
        return []

    @contextmanager
    def explained(self) -> Iterator[None]:
        """See `Engine.explained`."""
        try:
            yield
        except psycopg.Error as error:
            code, said = error.sqlstate or "", f"{self._where()} ({_text(error)})"
            if code == "53100":
                raise DiskFullError(
                    f"no space left at the catalogue at {said}; free some and try again"
                ) from error
            if code == "55P03":
                raise GalleryLockedError(
                    f"others have kept the catalogue at {self._where()} locked for "
                    f"{self._timeout:g} s; try again"
                ) from error
            if code == "23514" and (error.diag.constraint_name or "").startswith(_MOVED):
                raise self._moved() from error
            if code in ("42P01", "3F000"):
                raise self._gone() from error
            if code in ("42501", "25006"):
                raise GalleryError(
                    f"the catalogue at {said} does not let this user write; grant it what it "
                    "needs: CREATE on the database, and to own the schema"
                ) from error
            if isinstance(error, psycopg.OperationalError) and not code.startswith(("53", "54")):
                raise ConnectionLostError(
                    f"the connection to the catalogue at {said} was lost; run the same command "
                    "again (what was done so far is kept)"
                ) from error
            raise GalleryError(f"the catalogue at {said} cannot be used") from error

    def _where(self) -> str:
        """The server and the database, without what is secret."""
        try:
            said = conninfo_to_dict(self._uri)
        except psycopg.ProgrammingError:
            return "an address that cannot be read"
        host, port = said.get("host") or "localhost", said.get("port") or 5432
        return f"{host}:{port}/{said.get('dbname') or said.get('user') or ''}"


def _is_readable(descriptor: int) -> bool:
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([descriptor], [], [], 0)[0])
    asked = select.poll()
    asked.register(descriptor, select.POLLIN)
    return bool(asked.poll(0))


def _text(error: Exception) -> str:
    return " ".join(str(error).split())[:300]
