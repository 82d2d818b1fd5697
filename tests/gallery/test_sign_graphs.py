"""Graphs over the signs of vectors: what they find is compared again, so little is missed."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
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
