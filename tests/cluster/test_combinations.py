"""What every store must do, for each place of vectors and each place of the catalogue.

A gallery's vectors lie in its folder or in a Milvus server, its catalogue in an SQLite file or in a
PostgreSQL server. What each of them does by itself is tested where it is; catalogues in
``tests/gallery``, for both places.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress

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

from catalog_places import Places
from glocal.cluster.catalogued import CataloguedStore, NotedWrites
from glocal.cluster.config import ClusterConfig
from glocal.cluster.server import Server
from glocal.cluster.store import MilvusStore
from glocal.gallery.catalog import Catalog
from glocal.gallery.conditions import Condition
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.coding import HALVES
from glocal.gallery.stores.flat import FlatStore

Opened = FlatStore | CataloguedStore

pytestmark = LEAKS


@pytest.fixture(scope="module", params=["flat", pytest.param("milvus", marks=needs_milvus)])
def store(
    request: pytest.FixtureRequest, places: Places, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Opened]:
    """With a catalogue of each kind."""
    with closing(Catalog(places.new()(30))) as catalog:
        rows = RowTable(catalog, "space")
        if request.param == "flat":
            with closing(FlatStore(tmp_path_factory.mktemp("store"), DIM, rows, HALVES)) as flat:
                yield flat
            return
        milvus: RealServer = request.getfixturevalue("milvus")
        name = f"combined_{type(places).__name__}"
        server = Server(ClusterConfig(milvus.uri, timeout=120))
        there = MilvusStore(server, name, DIM, NotedWrites(catalog, name))
        with closing(CataloguedStore(there, rows, HALVES)) as catalogued:
            yield catalogued
            there.drop()


@settings(
    deadline=None, max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations, st.lists(conditions, max_size=2), st.integers(0, 50))
def test_it_agrees_with_the_obvious_one(
    store: Opened, operations: list[tuple[str, object]], wheres: list[Condition], seed: int
) -> None:
    agrees_with_the_obvious_one(store, operations, wheres, seed)


def test_what_is_in_no_committed_change_is_not_there(store: Opened) -> None:
    store.delete([i for i, _ in store.scan()])
    store.maintain()
    store.upsert(many(5))
    with suppress(KeyboardInterrupt), store.rows.database.change():
        store.upsert(many(5, 5))
        store.delete([number(0)])
        raise KeyboardInterrupt
    assert {m.id for m in store.search(unit(7), 20, exact=True)} == {number(n) for n in range(5)}
    assert store.status().vectors == 5
    store.upsert(many(5, 5))
    assert store.search(unit(7), 1)[0].id == number(7)
    assert store.status().vectors == 10
