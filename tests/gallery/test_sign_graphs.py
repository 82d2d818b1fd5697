"""Graphs over the signs of vectors: what they find is compared again, so little is missed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import numpy as np
import pytest

from glocal.gallery.conditions import Between
from glocal.gallery.database import Database
from glocal.gallery.records import Attributes, Record, RegionRecord
from glocal.gallery.rows import SCHEMA, RowTable
from glocal.gallery.stores import flat, graph_builder, upkeep
from glocal.gallery.stores import regions as region_module
from glocal.gallery.stores.flat import FlatStore
from glocal.gallery.stores.graph import GraphFile
from glocal.gallery.stores.regions import RegionStore

DIM, COUNT, REGIONS = 384, 3_000, 3


def number(i: int) -> UUID:
    return UUID(int=i + 1)


def clustered(count: int, seed: int) -> np.ndarray:
    """Vectors of 100 subjects, as photos of things are."""
    rng, subjects = np.random.default_rng(seed), np.random.default_rng(0)
    centres = subjects.normal(size=(100, DIM))
    vectors = centres[rng.integers(0, 100, count)] + rng.normal(size=(count, DIM))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@contextlib.contextmanager
def database(folder: Path) -> Iterator[Database]:
    with contextlib.closing(Database(folder / "catalog.sqlite", SCHEMA)) as opened:
        yield opened


@pytest.fixture(autouse=True)
def small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "GRAPH_FROM", 1_000)
    monkeypatch.setattr(upkeep, "GRAPH_BEHIND", 300)
    monkeypatch.setattr(flat, "_WALK", 0)
    monkeypatch.setattr(flat, "_LOADING", 0)
    monkeypatch.setattr(region_module, "_WALK", 0)


def test_whole_vectors_are_found_by_their_signs(tmp_path: Path) -> None:
    vectors = clustered(COUNT + 200, 1)
    records = [
        Record(number(i), vector, Attributes((1,), 10 + i, 10, 10))
        for i, vector in enumerate(vectors)
    ]
    with database(tmp_path) as db:
        with contextlib.closing(FlatStore(tmp_path / "v", DIM, RowTable(db, "space"))) as store:
            store.upsert(records[:COUNT])
            assert store.graph_kind == "signs"
            graph_builder.extend(store, DIM)
            graph = GraphFile.known(db, "space")
            assert graph is not None
            assert graph.bytes < 210 * COUNT  # 48 of signs, and the links
            store.upsert(records[COUNT:])
            store.delete([number(7)])
        with contextlib.closing(FlatStore(tmp_path / "v", DIM, RowTable(db, "space"))) as store:
            assert store.status().in_graph == COUNT - 1
            for where in (None, Between("width", 10, 10 + COUNT // 2)):
                shares = []
                for query in clustered(60, 2):
                    exact = store.search(query, 10, where=where, exact=True)
                    found = {m.id: m.score for m in store.search(query, 10, where=where)}
                    shares.append(sum(m.id in found for m in exact) / len(exact))
                    right = {m.id: m.score for m in exact}
                    assert all(
                        score == pytest.approx(right[i], abs=1e-6)
                        for i, score in found.items()
                        if i in right
                    )
                assert np.mean(shares) > 0.98
            assert store.search(vectors[COUNT + 5], 1)[0].id == number(COUNT + 5)
            assert number(7) not in {m.id for m in store.search(vectors[7], 50)}
            assert store.damaged() == []


def test_regions_are_found_by_their_signs(tmp_path: Path) -> None:
    vectors = clustered(REGIONS * 1_000, 3).reshape(-1, REGIONS, DIM)
    boxes = np.tile(np.array([0, 0, 0.5, 0.5], np.float32), (REGIONS, 1))
    records = [
        RegionRecord(number(i), each, boxes, Attributes((1,), 10, 10, 10))
        for i, each in enumerate(vectors)
    ]
    with database(tmp_path) as db:
        rows = RowTable(db, "space/test-3")
        store = RegionStore(tmp_path / "v", DIM, REGIONS, rows, "signs")
        with contextlib.closing(store):
            store.upsert(records[:900])
            graph_builder.extend(store, DIM)
            store.upsert(records[900:])
            shares = []
            for query in clustered(40, 4):
                exact = set(store.search(query[None], 20, exact=True))
                shares.append(len(exact & set(store.search(query[None], 20))) / len(exact))
            assert np.mean(shares) > 0.95
            assert number(950) in store.search(vectors[950, 1:2], 3)  # behind the graph
            assert len(store.search(clustered(1, 4), 20)) == 20


class Forgetful:
    """An index whose walks do not reach what was added first, as happens to a few of many."""

    def __init__(self, hidden: list[int], times: int, far: frozenset[int] = frozenset()) -> None:
        self.hidden = dict.fromkeys(hidden, times)
        self.there = set(hidden)
        self.added: list[int] = []
        self.far = far

    def __len__(self) -> int:
        return 1_000_000

    def search(self, points: np.ndarray, count: int, threads: int) -> SimpleNamespace:
        rows = points[:, 0].astype(int)
        missed = self.far if count < 512 else frozenset()
        seen = [-1 if self.hidden.get(row) or row in missed else row for row in rows.tolist()]
        return SimpleNamespace(keys=np.array([[-2, row] for row in seen]))

    def remove(self, keys: np.ndarray) -> None:
        self.there -= {*keys.tolist()}

    def add(self, keys: np.ndarray, points: np.ndarray, threads: int) -> None:
        assert not self.there & {*keys.tolist()}
        for key in keys.tolist():
            self.hidden[key] -= 1
            self.there.add(key)
            self.added.append(key)


def test_what_a_walk_does_not_find_is_added_again() -> None:
    store = SimpleNamespace(points=lambda rows, _: (rows, rows[:, None]))
    index = Forgetful([3, 8_000], times=2)
    left = graph_builder.find_again(store, index, np.arange(9_000), "bytes")  # type: ignore[arg-type]
    assert index.added == [3, 8_000, 3, 8_000]
    assert left.tolist() == []
    wide = Forgetful([3], times=1, far=frozenset({4, 6_000}))
    left = graph_builder.find_again(store, wide, np.arange(9_000), "signs")  # type: ignore[arg-type]
    assert wide.added == [3]  # the others are found by what a search does
    assert left.tolist() == []
    never = Forgetful([5], times=99)
    left = graph_builder.find_again(store, never, np.arange(9), "bytes")  # type: ignore[arg-type]
    assert never.there == {5}
    assert left.tolist() == [5]


def test_every_image_is_found_by_its_own_vector(tmp_path: Path) -> None:
    """Many are near one another, so that links to most are dropped for nearer ones."""
    rng = np.random.default_rng(3)
    vectors = clustered(40, 1)[rng.integers(0, 40, 6_000)] + 0.02 * rng.normal(size=(6_000, DIM))
    records = [
        Record(number(i), vector.astype(np.float32), Attributes((1,), 10, 10, 10))
        for i, vector in enumerate(vectors)
    ]
    with (
        database(tmp_path) as db,
        contextlib.closing(FlatStore(tmp_path / "v", DIM, RowTable(db, "space"))) as store,
    ):
        store.upsert(records[:2_000])
        store.delete([number(2)])
        for start in range(2_000, 6_000, 2_000):
            store.upsert(records[start : start + 2_000])
            graph_builder.extend(store, DIM)
        store.upsert([records[2]])
        assert store.status().in_graph == 5_999
        for i, vector in store.vectors([number(i) for i in range(6_000)]).items():
            assert store.search(vector, 1)[0].id == i


def test_a_walk_keeps_more_candidates_where_fewer_count(tmp_path: Path) -> None:
    """Up to what comparing all of them would cost."""
    vectors = clustered(COUNT, 1)
    records = [
        Record(number(i), vector, Attributes((1,), 10, 10, 10)) for i, vector in enumerate(vectors)
    ]
    with (
        database(tmp_path) as db,
        contextlib.closing(FlatStore(tmp_path / "v", DIM, RowTable(db, "space"))) as store,
    ):
        store.upsert(records)
        graph_builder.extend(store, DIM)
        point = store.vectors([number(0)])[number(0)]
        assert store.search(point, 1)[0].id == number(0)
        graph = store._upkeep.graph(store.meeting(None)[0].extent)
        assert graph is not None
        graph._expansion = 20
        (signs,) = store.coding.points(store.coding.coded(point[None]), graph.kind)
        (index,) = graph._idle
        for allowed, kept in ((1.0, 20), (0.5, 40), (0.25, 80), (0.1, COUNT // 10 // 8)):
            graph.search(signs, 1, allowed=allowed)
            assert index.expansion_search == kept
