"""A cluster and a catalogue as one store: what holds when either of them dies at any moment."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy_store import NumpyStore
from store_contract import (
    agrees_with_the_obvious_one,
    conditions,
    many,
    number,
    operations,
    unit,
)

from catalog_places import Places
from glocal.cluster.catalogued import CataloguedStore, NotedWrites
from glocal.errors import GalleryDamagedError, GalleryError
from glocal.gallery.catalog import Catalog
from glocal.gallery.conditions import Condition
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.coding import HALVES


class Elsewhere(NumpyStore):
    """A store that takes no part in transactions."""

    server = SimpleNamespace(config=SimpleNamespace(uri="http://somewhere"))
    collection = "some"

    most = 1_000_000
    reindexed = loaded = 0

    def exists(self) -> bool:
        return bool(self.records)

    def outgrown(self, vectors: int) -> bool:
        return vectors > self.most and not self.reindexed

    def reindex(self, vectors: int) -> None:
        self.reindexed += 1

    def load(self) -> None:
        self.loaded += 1


@pytest.fixture
def store(places: Places) -> Iterator[CataloguedStore]:
    with closing(Catalog(places.new()(30))) as catalog:
        yield CataloguedStore(Elsewhere(), RowTable(catalog, "space"), HALVES)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def tried(places: Places) -> Iterator[CataloguedStore]:
    with closing(Catalog(places.new()(30))) as catalog:
        yield CataloguedStore(Elsewhere(), RowTable(catalog, "space"), HALVES)  # type: ignore[arg-type]


@settings(max_examples=6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(operations, st.lists(conditions, max_size=2), st.integers(0, 50))
def test_it_agrees_with_the_obvious_one(
    tried: CataloguedStore,
    operations: list[tuple[str, object]],
    wheres: list[Condition],
    seed: int,
) -> None:
    agrees_with_the_obvious_one(tried, operations, wheres, seed)


def test_what_was_not_committed_is_not_found(store: CataloguedStore) -> None:
    store.upsert(many(10))
    with suppress(KeyboardInterrupt), store.rows.database.change():
        store.upsert(many(20, 100))
        raise KeyboardInterrupt
    assert {m.id for m in store.search(unit(105), 10)} == {number(n) for n in range(10)}
    assert store.vectors([number(105), number(1)]).keys() == {number(1)}
    assert store.status().vectors == 10
    assert {i for i, _ in store.scan()} > {number(105)}  # so that a check finds it
    store.upsert(many(20, 100))
    assert store.search(unit(105), 1)[0].id == number(105)


def test_nothing_is_deleted_before_that_is_committed(store: CataloguedStore) -> None:
    store.upsert(many(10))
    with suppress(KeyboardInterrupt), store.rows.database.change():
        store.delete([number(3)])
        raise KeyboardInterrupt
    store.maintain()
    assert store.search(unit(3), 1)[0].id == number(3)


def test_what_was_removed_leaves_the_cluster_later_and_can_come_back(
    store: CataloguedStore,
) -> None:
    there = store.vectors_there
    store.upsert(many(10))
    store.delete([number(3), number(4)])
    assert len(store.search(unit(3), 10)) == 8
    assert there.vectors([number(3)])
    store.upsert(many(1, 3))
    store.maintain()
    assert there.vectors([number(3), number(4)]).keys() == {number(3)}
    assert store.search(unit(3), 1)[0].id == number(3)


def test_a_collection_that_has_grown_gets_another_index_once(store: CataloguedStore) -> None:
    there: Elsewhere = store.vectors_there  # type: ignore[assignment]
    there.most = 10
    for count, done in ((10, 0), (11, 1), (12, 1)):
        store.upsert(many(count))
        store.maintain()
        assert (there.reindexed, there.loaded) == (done, done)


def test_a_collection_that_is_gone_is_told(store: CataloguedStore) -> None:
    assert store.search(unit(3), 1) == []
    store.upsert(many(10))
    store.vectors_there.records.clear()  # type: ignore[attr-defined]
    with pytest.raises(GalleryDamagedError, match=r"no collection some .*check --repair"):
        store.search(unit(3), 1)


def test_the_last_write_is_noted_and_never_goes_back(tmp_path: Path) -> None:
    with closing(Catalog(tmp_path / "catalog.sqlite")) as catalog:
        writes = NotedWrites(catalog, "some")
        assert writes.get() == 0
        writes.set(7)
        writes.set(5)
        assert writes.get() == 7
        assert NotedWrites(catalog, "other").get() == 0
        writes.leave()
        for use in (writes.get, lambda: writes.set(9)):
            with pytest.raises(GalleryError, match="use the folder to which they were moved"):
                use()
        assert NotedWrites(catalog, "other").get() == 0
