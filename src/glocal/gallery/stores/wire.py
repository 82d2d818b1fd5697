"""How one process asks another's store: each call is one JSON message, and so is its answer.

Never pickle: the folder of a gallery may be shared, and a message must not be able to run code.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.errors import GalleryError
from glocal.gallery import conditions
from glocal.gallery.conditions import Condition
from glocal.gallery.records import Attributes, Match, Record, StoreStatus
from glocal.gallery.stores.base import Store

VERSION = 1
MAX_MESSAGE = 64 * 2**20
SCAN_PAGE = 20_000

_TREES = {"AllOf", "AnyOf"}
_LEAVES = {"InFolder", "CameraIn", "Between", "Near"}


def encode(message: dict[str, Any]) -> bytes:
    """Write a message as UTF-8 JSON.

    Raises:
        GalleryError: it is longer than `MAX_MESSAGE`, which nobody would read.
    """
    encoded = json.dumps(message, separators=(",", ":")).encode()
    if len(encoded) > MAX_MESSAGE:
        raise GalleryError(
            f"{len(encoded)} bytes are too many to pass between two processes (the limit is "
            f"{MAX_MESSAGE}); ask for less at once"
        )
    return encoded


def decode(message: bytes) -> dict[str, Any]:
    """Read what `encode` wrote; a ValueError for anything else."""
    try:
        value = json.loads(message)
    except RecursionError as error:
        raise ValueError("a message is not nested that deep") from error
    if not isinstance(value, dict):
        raise ValueError("a message is an object")
    return value


def pack_vector(vector: NDArray[np.float32]) -> str:
    """A vector as base64 of little-endian float32."""
    return base64.b64encode(np.asarray(vector, "<f4").tobytes()).decode("ascii")


def unpack_vector(text: str) -> NDArray[np.float32]:
    """The reverse of `pack_vector`."""
    return np.frombuffer(base64.b64decode(text), "<f4").astype(np.float32)


def pack_record(record: Record) -> dict[str, Any]:
    """A record as plain values."""
    return {
        "id": record.id.hex,
        "vector": pack_vector(record.vector),
        "attributes": asdict(record.attributes),
    }


def unpack_record(value: dict[str, Any]) -> Record:
    """The reverse of `pack_record`."""
    fields = dict(value["attributes"])
    fields["folders"] = tuple(map(int, fields["folders"]))
    fields["place"] = None if fields["place"] is None else tuple(fields["place"])
    return Record(UUID(value["id"]), unpack_vector(value["vector"]), Attributes(**fields))


def pack_condition(condition: Condition | None) -> Any:
    """A condition as nested lists, each led by the name of its class."""
    match condition:
        case None:
            return None
        case conditions.AllOf(parts) | conditions.AnyOf(parts):
            return [type(condition).__name__, [pack_condition(part) for part in parts]]
        case conditions.NotThis(part):
            return ["NotThis", pack_condition(part)]
        case _:
            return [type(condition).__name__, asdict(condition)]


def unpack_condition(value: Any) -> Condition | None:
    """The reverse of `pack_condition`."""
    if value is None:
        return None
    name, content = value
    if name == "NotThis":
        return conditions.NotThis(_part(content))
    if name in _TREES:
        kind = getattr(conditions, name)
        return kind(tuple(_part(part) for part in content))  # type: ignore[no-any-return]
    if name in _LEAVES:
        fields = {k: tuple(v) if isinstance(v, list) else v for k, v in content.items()}
        return getattr(conditions, name)(**fields)  # type: ignore[no-any-return]
    raise ValueError(f"no such condition: {name!r}")


def _part(value: Any) -> Condition:
    part = unpack_condition(value)
    if part is None:
        raise ValueError("a part of a condition is missing")
    return part


class Answers:
    """The store's side: carries out one decoded call at a time and gives its answer.

    One per connection: a scan is answered page by page and remembers where it is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._scan: Any = None

    def answer(self, call: dict[str, Any]) -> dict[str, Any]:
        """Carry out a call; KeyError, TypeError or ValueError when it is not one of ours."""
        methods: dict[str, Callable[[dict[str, Any]], Any]] = {
            "upsert": lambda c: self._store.upsert([unpack_record(r) for r in c["records"]]),
            "set_folders": lambda c: self._store.set_folders(
                {UUID(i): tuple(map(int, f)) for i, f in c["folders"].items()}
            ),
            "delete": lambda c: self._store.delete([UUID(i) for i in c["ids"]]),
            "search": self._search,
            "vectors": lambda c: {
                i.hex: pack_vector(v)
                for i, v in self._store.vectors([UUID(i) for i in c["ids"]]).items()
            },
            "scan": self._scan_page,
            "status": lambda _: asdict(self._store.status()),
            "build_graph": lambda _: self._store.build_graph(),
            "flush": lambda _: self._store.flush(),
        }
        return {"answer": methods[call["call"]](call)}

    def _search(self, call: dict[str, Any]) -> list[list[Any]]:
        matches = self._store.search(
            unpack_vector(call["vector"]),
            int(call["limit"]),
            where=unpack_condition(call["where"]),
            exact=bool(call["exact"]),
        )
        return [[match.id.hex, match.score] for match in matches]

    def _scan_page(self, call: dict[str, Any]) -> list[list[Any]]:
        if call["first"]:
            self._scan = self._store.scan()
        rows = zip(range(SCAN_PAGE), self._scan or (), strict=False)
        return [[i.hex, list(folders)] for _, (i, folders) in rows]


def unpack_matches(rows: list[list[Any]]) -> list[Match]:
    """The answer to a search."""
    return [Match(UUID(i), float(score)) for i, score in rows]


def unpack_status(value: dict[str, Any]) -> StoreStatus:
    """The answer to a status call."""
    return StoreStatus(**value)
