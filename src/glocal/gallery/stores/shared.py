"""One store for many processes: the first to open it holds it, the others ask the holder.

Qdrant Edge takes no lock and wants its folder open once, so glocal owns the lock. The holder
answers on a local socket (a named pipe on Windows), whose address and key lie in the lock's note,
readable by its user only. When a holder ends, however it ends, the next call of any other process
takes the lock and opens the folder itself; since every call may be repeated without harm, none is
lost.
"""

from __future__ import annotations

import contextlib
import hmac
import logging
import os
import secrets
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Client, Connection, Listener
from typing import Any, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.errors import GalleryDamagedError, GalleryError, GalleryLockedError
from glocal.gallery.conditions import Condition
from glocal.gallery.locks import NamedLock
from glocal.gallery.records import Match, Record, StoreStatus
from glocal.gallery.stores import wire
from glocal.gallery.stores.base import Store

ANSWER_WITHIN = 60.0
"""Seconds a holder may take for one answer before it counts as stuck."""

_PAGE = 2_000
_HELLO_BYTES = 1_000
T = TypeVar("T")
_log = logging.getLogger(__name__)


class _HolderGoneError(Exception):
    """The process that held the store has ended, or is ending."""


class SharedStore:
    """A `Store` that works from every process of this user at once.

    Args:
        lock: the lock on the folder below.
        open_store: opens the real store; called while the lock is held, by the process that holds.
        serve: whether to answer other processes while holding. A command that lives for half a
            second need not: the others wait for its end.
        timeout: seconds to wait for a holder that neither answers nor ends.
    """

    def __init__(
        self,
        lock: NamedLock,
        open_store: Callable[[], Store],
        *,
        serve: bool = True,
        timeout: float = 30.0,
    ) -> None:
        self._lock = lock
        self._open_store = open_store
        self._serve = serve
        self._timeout = timeout
        self._changing = threading.RLock()  # held while finding or losing the way to the store
        self._local: Store | None = None
        self._listener: Listener | None = None
        self._closing = threading.Event()  # from then on nothing is answered any more
        self._remote: _Remote | None = None
        self._reach()

    def _reach(self) -> Store:
        """Find the way to the store: our own, a holder's, or the lock as soon as it is free."""
        with self._changing:
            if self._closing.is_set():
                raise _closed()
            ends = time.monotonic() + self._timeout
            while True:
                if self._local is not None:
                    return self._local
                if self._remote is not None:
                    return self._remote
                self._try_to_hold()
                if self._local is None:
                    self._try_to_connect()
                if self._local is None and self._remote is None:
                    if time.monotonic() > ends:
                        raise self._lock.refusal()
                    time.sleep(0.02)

    def _try_to_hold(self) -> None:
        key = secrets.token_bytes(32)
        listener = _listen() if self._serve else None
        note = {"address": listener.address, "key": key.hex()} if listener else {}
        if not self._lock.try_acquire(**note):
            if listener:
                listener.close()
            return
        try:
            self._local = self._open_store()
        except BaseException:
            if listener:
                listener.close()
            self._lock.release()
            raise
        _log.debug("holding the vectors")
        if listener:
            self._listener = listener
            server = threading.Thread(
                target=_serve,
                args=(listener, key, self._local, self._closing),
                daemon=True,
                name="glocal-store",
            )
            server.start()

    def _try_to_connect(self) -> None:
        note = self._lock.holder()
        # Whatever a note says that is not true, the lock decides.
        with contextlib.suppress(_HolderGoneError, KeyError, ValueError, TypeError, OverflowError):
            self._remote = _Remote(note["address"], str(note["key"]), self._lock)
            _log.debug("asking %s for the vectors", self._lock.describe_holder())

    def _call(self, call: Callable[[Store], T]) -> T:
        """Make a call; when the holder has ended meanwhile, find the next way and make it again."""
        while True:
            store = self._reach()
            try:
                return call(store)
            except _HolderGoneError:
                with self._changing:
                    if self._remote is store:
                        self._remote.close()
                        self._remote = None
            except GalleryError as error:
                if self._closing.is_set():  # closed under the call, which is not damage
                    raise _closed() from error
                raise

    def upsert(self, records: Sequence[Record]) -> None:
        """See `Store.upsert`."""
        self._call(lambda store: store.upsert(records))

    def set_folders(self, folders: Mapping[UUID, tuple[int, ...]]) -> None:
        """See `Store.set_folders`."""
        self._call(lambda store: store.set_folders(folders))

    def delete(self, ids: Sequence[UUID]) -> None:
        """See `Store.delete`."""
        self._call(lambda store: store.delete(ids))

    def search(
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,
    ) -> list[Match]:
        """See `Store.search`."""
        return self._call(lambda store: store.search(vector, limit, where=where, exact=exact))

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, NDArray[np.float32]]:
        """See `Store.vectors`."""
        return self._call(lambda store: store.vectors(ids))

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        """See `Store.scan`.

        Raises:
            GalleryLockedError: another process held the vectors and ended in the middle.
        """
        try:
            yield from self._reach().scan()
        except (GalleryDamagedError, _HolderGoneError) as error:
            if self._closing.is_set():
                raise _closed() from error
            if isinstance(error, GalleryDamagedError):
                raise
            raise GalleryLockedError(
                "the process that held the gallery ended while it was read; try again"
            ) from error

    def status(self) -> StoreStatus:
        """See `Store.status`."""
        return self._call(lambda store: store.status())

    def build_graph(self) -> bool:
        """See `Store.build_graph`."""
        return self._call(lambda store: store.build_graph())

    def flush(self) -> None:
        """See `Store.flush`."""
        self._call(lambda store: store.flush())

    def close(self) -> None:
        """See `Store.close`; a holder closes the store itself, then lets others hold it."""
        with self._changing:
            self._closing.set()
            if self._remote is not None:
                self._remote.close()
                self._remote = None
            if self._local is not None:
                if self._listener is not None:
                    with contextlib.suppress(OSError):
                        Client(self._listener.address).close()  # wakes the thread that accepts
                    self._listener.close()
                try:
                    self._local.close()
                finally:
                    self._local = None
                    self._lock.release()


def _closed() -> GalleryError:
    return GalleryError("the gallery is closed")


def _listen() -> Listener | None:
    """A socket for other processes; without one they wait for our end."""
    try:
        return Listener(backlog=64)
    except OSError as error:  # a folder for temporary files that is read-only, or of a long name
        _log.warning("other processes cannot search meanwhile: no socket can be made: %s", error)
        return None


class _Remote:
    """The holder's store, asked over connections of our own: one for each call under way."""

    def __init__(self, address: Any, key: str, lock: NamedLock) -> None:
        self._address = tuple(address) if isinstance(address, list) else address
        self._key = key
        self._lock = lock
        self._idle: list[Connection[Any, Any]] = []
        self._idle.append(self._connect())

    def _connect(self) -> Connection[Any, Any]:
        try:
            connection = Client(self._address)
        except (EOFError, OSError) as error:
            raise _HolderGoneError from error
        try:
            _limit_sending(connection)
            greeting = self._exchange(connection, {"call": "hello", "key": self._key})
            if greeting.get("version") != wire.VERSION:
                raise GalleryLockedError(
                    f"the gallery is held by {self._lock.describe_holder()}, "
                    "which is another version of glocal; end it and try again"
                )
        except BaseException:
            connection.close()
            raise
        return connection

    def _exchange(self, connection: Connection[Any, Any], call: dict[str, Any]) -> dict[str, Any]:
        try:
            connection.send_bytes(wire.encode(call))
            answered = connection.poll(ANSWER_WITHIN)
            answer = connection.recv_bytes(wire.MAX_MESSAGE) if answered else b""
        except (EOFError, OSError) as error:
            raise _HolderGoneError from error
        if not answered:
            raise self._lock.refusal()
        return wire.decode(answer)

    def _ask(self, call: str, **arguments: Any) -> Any:
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            answer = self._exchange(connection, {"call": call, **arguments})
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return _answer(answer)

    def upsert(self, records: Sequence[Record]) -> None:
        for page in _pages(records):
            self._ask("upsert", records=[wire.pack_record(record) for record in page])

    def set_folders(self, folders: Mapping[UUID, tuple[int, ...]]) -> None:
        for page in _pages(list(folders.items())):
            self._ask("set_folders", folders={i.hex: list(f) for i, f in page})

    def delete(self, ids: Sequence[UUID]) -> None:
        for page in _pages(ids):
            self._ask("delete", ids=[i.hex for i in page])

    def search(
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,
    ) -> list[Match]:
        return wire.unpack_matches(
            self._ask(
                "search",
                vector=wire.pack_vector(vector),
                limit=limit,
                where=wire.pack_condition(where),
                exact=exact,
            )
        )

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, NDArray[np.float32]]:
        found: dict[UUID, NDArray[np.float32]] = {}
        for page in _pages(ids):
            answer = self._ask("vectors", ids=[i.hex for i in page])
            found |= {UUID(i): wire.unpack_vector(v) for i, v in answer.items()}
        return found

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        connection = self._connect()  # its own: the holder remembers the page for each connection
        try:
            first = True
            while True:
                answer = self._exchange(connection, {"call": "scan", "first": first})
                rows = _answer(answer)
                for i, folders in rows:
                    yield UUID(i), tuple(folders)
                if len(rows) < wire.SCAN_PAGE:
                    return
                first = False
        finally:
            connection.close()

    def status(self) -> StoreStatus:
        return wire.unpack_status(self._ask("status"))

    def build_graph(self) -> bool:
        return bool(self._ask("build_graph"))

    def flush(self) -> None:
        self._ask("flush")

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


def _answer(said: dict[str, Any]) -> Any:
    if "error" in said:
        raise (GalleryDamagedError if said.get("damaged") else GalleryError)(said["error"])
    return said["answer"]


def _pages(items: Sequence[T]) -> list[Sequence[T]]:
    """Items in pieces that fit into a message, however long their vectors are."""
    return [items[start : start + _PAGE] for start in range(0, len(items), _PAGE)]


def _limit_sending(connection: Connection[Any, Any]) -> None:
    """Let no message wait for ever to be taken by a process that was stopped."""
    if os.name == "posix":
        seconds = struct.pack("ll", int(ANSWER_WITHIN), 0)
        with socket.socket(fileno=os.dup(connection.fileno())) as same:
            same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, seconds)


def _serve(listener: Listener, key: bytes, store: Store, closing: threading.Event) -> None:
    """Accept connections until the store closes, each answered by a thread of its own."""
    while not closing.is_set():
        try:
            connection = listener.accept()
        except OSError:  # a stranger who hung up; or we are closing
            closing.wait(0.01)
            continue
        one = threading.Thread(
            target=_serve_one, args=(connection, key, store, closing), daemon=True
        )
        one.start()


def _serve_one(
    connection: Connection[Any, Any], key: bytes, store: Store, closing: threading.Event
) -> None:
    answers = wire.Answers(store)
    with connection, contextlib.suppress(EOFError, OSError, ValueError, KeyError):
        _limit_sending(connection)
        hello = wire.decode(connection.recv_bytes(_HELLO_BYTES))
        if not hmac.compare_digest(str(hello["key"]).encode(), key.hex().encode()):
            return
        connection.send_bytes(wire.encode({"version": wire.VERSION}))
        while not closing.is_set():
            message = connection.recv_bytes(wire.MAX_MESSAGE)
            try:
                answer = wire.encode(answers.answer(wire.decode(message)))
            except Exception as error:  # noqa: BLE001 - it goes to the one who asked
                if closing.is_set():
                    return  # the failure is our ending: the other side finds its next way
                said = str(error) or type(error).__name__
                damaged = isinstance(error, GalleryDamagedError)
                answer = wire.encode({"error": said, "damaged": damaged})
            connection.send_bytes(answer)
