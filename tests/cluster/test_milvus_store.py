"""The store on Milvus, with a real server: what every store must do, and what this one adds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from milvus_server import LEAKS, RealServer, needs_milvus
from store_contract import (
    DIM,
    agrees_with_the_obvious_one,
    conditions,
    many,
    number,
    operations,
    unit,
)

from glocal.cluster import store as module
from glocal.cluster.config import ClusterConfig
from glocal.cluster.server import Server
from glocal.cluster.store import MilvusStore
from glocal.gallery.conditions import Condition, InFolder, Near
from glocal.gallery.records import Attributes, Record

pytestmark = [needs_milvus, *LEAKS]


class Remembered:
    """The last write of this process."""

    timestamp = 0

    def get(self) -> int:
        return self.timestamp

    def set(self, timestamp: int) -> None:
        self.timestamp = max(timestamp, self.timestamp)


@pytest.fixture(scope="module")
def store(milvus: RealServer) -> Iterator[MilvusStore]:
    server = Server(ClusterConfig(milvus.uri, timeout=120))
    ready = MilvusStore(server, "contract", DIM, Remembered())
    yield ready
    ready.drop()
    ready.close()


@settings(
    deadline=None, max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations, st.lists(conditions, max_size=2), st.integers(0, 50))
def test_it_agrees_with_the_obvious_one(
    store: MilvusStore,
    operations: list[tuple[str, object]],
    wheres: list[Condition],
    seed: int,
) -> None:
    agrees_with_the_obvious_one(store, operations, wheres, seed)


def test_others_see_what_was_written_at_once(store: MilvusStore, milvus: RealServer) -> None:
    """Without what remembers the last write too, as from another machine."""
    store.delete([i for i, _ in store.scan()])
    other = MilvusStore(Server(ClusterConfig(milvus.uri)), store.collection, DIM)
    store.upsert(many(100))
    assert other.search(unit(7), 1)[0].id == number(7)
    other.delete([number(7)])
    assert other.status().vectors == 99
    other.close()


def test_what_passes_a_box_and_not_the_circle_is_left_out_however_much_it_is(
    store: MilvusStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that is nearest to the query lies in the corners of the box around the circle."""
    monkeypatch.setattr(module, "MOST", 64)
    store.delete([i for i, _ in store.scan()])
    corner, middle = (0.89, 0.89), (0.0, 0.0)
    query = unit(0)
    records = [
        Record(number(n), query, Attributes((1,), 1, 1, 1, place=corner)) for n in range(300)
    ]
    away = -query
    records += [
        Record(number(n), away, Attributes((1,), 1, 1, 1, place=middle)) for n in range(300, 305)
    ]
    store.upsert(records)
    found = store.search(query, 10, where=Near(0.0, 0.0, 100.0))
    assert {m.id for m in found} == {number(n) for n in range(300, 305)}
    assert len(store.search(query, 10, where=InFolder((1,)))) == 10


def test_a_collection_whose_maker_died_is_finished(
    milvus: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(server: Server, collection: str, vectors: int) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(module.indexes, "prepare", die)
        half = MilvusStore(Server(ClusterConfig(milvus.uri, timeout=120)), "half", DIM)
        with pytest.raises(KeyboardInterrupt):
            half.upsert(many(3))
    whole = MilvusStore(half.server, "half", DIM)
    assert whole.search(unit(1), 1) == []
    whole.upsert(many(3))
    assert whole.search(unit(1), 1)[0].id == number(1)
    whole.drop()
    whole.close()


def test_rows_are_read_in_pieces(store: MilvusStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.delete([i for i, _ in store.scan()])
    store.upsert(many(2_500))
    monkeypatch.setattr(module, "_PIECE", 100)
    assert {i for i, _ in store.scan()} == {number(n) for n in range(2_500)}
    some = [number(n) for n in range(0, 5_000, 2)]
    found = store.vectors(some)
    assert set(found) == {number(n) for n in range(0, 2_500, 2)}
    assert np.array_equal(found[number(8)], unit(8))


def test_what_was_acknowledged_survives_the_death_of_the_server(
    store: MilvusStore, milvus: RealServer
) -> None:
    store.delete([i for i, _ in store.scan()])
    store.upsert(many(300))
    store.delete([number(3)])
    store.set_folders({number(4): (9,)})
    milvus.kill()
    milvus.start()
    assert {i for i, _ in store.scan()} == {number(n) for n in range(300)} - {number(3)}
    assert {m.id for m in store.search(unit(1), 9, where=InFolder((9,)))} == {number(4)}
    assert store.status().vectors == 299
