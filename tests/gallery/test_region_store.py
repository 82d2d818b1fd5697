"""The store of regions, compared with slow and obvious dot products."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest

from glocal.gallery.conditions import Between
from glocal.gallery.database import Database
from glocal.gallery.records import Attributes, RegionRecord
from glocal.gallery.rows import SCHEMA, RowTable
from glocal.gallery.stores import regions as region_module
from glocal.gallery.stores import upkeep
from glocal.gallery.stores.regions import RegionStore

DIM, COUNT = 24, 3


@contextlib.contextmanager
def opened(folder: Path) -> Iterator[RegionStore]:
    with (
        contextlib.closing(Database(folder / "catalog.sqlite", SCHEMA)) as database,
        contextlib.closing(
            RegionStore(folder / "v", DIM, COUNT, RowTable(database, "space/test-3"))
        ) as store,
    ):
        yield store


def number(i: int) -> UUID:
    return UUID(int=i + 1)


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


def vectors_of(i: int) -> np.ndarray:
    return unit(np.random.default_rng(i).normal(size=(COUNT, DIM)))


def record(i: int) -> RegionRecord:
    boxes = np.array([[0, 0, 0.5, 0.5], [0.5, 0.2, 0.25, 0.4], [0, 0, 1, 1]], np.float32)
    return RegionRecord(number(i), vectors_of(i), boxes, Attributes((1,), 10 + i, 10, 10))


def records(count: int, start: int = 0) -> list[RegionRecord]:
    return [record(i) for i in range(start, start + count)]


def nearest(queries: np.ndarray, among: list[int], limit: int) -> list[set[UUID]]:
    """For each query the images with the best regions."""
    best = np.array([(queries @ vectors_of(i).T).max(axis=1) for i in among])
    return [{number(among[at]) for at in np.argsort(-row)[:limit]} for row in best.T]


def test_the_nearest_images_of_each_query_are_found(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.upsert(records(400))
        removed = list(range(0, 400, 7))
        store.delete([number(i) for i in removed])
        left = [i for i in range(400) if i not in removed]
        queries = vectors_of(1_000)
        for where, among in (
            (None, left),
            (Between("width", 10, 109), [i for i in left if i < 100]),
        ):
            found = set(store.search(queries, 5, where=where))
            wanted = nearest(queries, among, 5)
            assert len(found & set.union(*wanted)) >= 0.8 * len(set.union(*wanted))  # bytes
            for query, right in zip(queries, nearest(queries, among, 1), strict=True):
                assert right <= set(store.search(query[None], 3, where=where))
        assert len(store.search(queries, 1_000)) == len(left)


def test_comparing_is_as_good_as_its_bytes(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.upsert(records(10))
        queries = vectors_of(77)
        found = store.compare(queries, [number(3), number(99), number(8)])
        assert set(found.rows) == {number(3), number(8)}
        values = found.values[found.rows[number(3)]]
        assert values == pytest.approx(queries @ vectors_of(3).T, abs=0.02)
        kept = store.regions([number(8)])[number(8)]
        assert np.linalg.norm(kept.vectors, axis=1) == pytest.approx(1, abs=1e-5)
        assert (kept.vectors * vectors_of(8)).sum(axis=1).min() > 0.999
        assert kept.boxes == pytest.approx(record(8).boxes, abs=1 / 255)


def test_a_graph_finds_them_too_and_what_came_after_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "GRAPH_FROM", 2_000)
    monkeypatch.setattr(upkeep, "GRAPH_BEHIND", 300)
    monkeypatch.setattr(region_module, "_WALK", 0)
    with opened(tmp_path) as store:
        store.upsert(records(900))
        assert store.maintain()
        ends = time.monotonic() + 60
        while store.status().building:
            assert time.monotonic() < ends
            time.sleep(0.02)
        assert store.status().build_error is None
        assert store.status().in_graph == 900
        store.upsert(records(50, 900))
        store.delete([number(5)])
        for i in (3, 500, 899, 930):  # the last one lies behind the graph
            assert number(i) in store.search(vectors_of(i)[1:2], 3)
        assert number(5) not in store.search(vectors_of(5), 3)
        shares = []
        for query in range(40):
            one = vectors_of(5_000 + query)[:1]
            exact = set(store.search(one, 10, exact=True))
            shares.append(len(exact & set(store.search(one, 10))) / len(exact))
        assert np.mean(shares) > 0.95


def test_damage_is_found_and_compaction_leaves_it_out(tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.upsert(records(600))
        assert store.damaged() == []
        with store.file(1).open("r+b") as file:
            file.seek(COUNT * (DIM + 4) * 550 + 7)
            file.write(b"\xff\xff")
        damaged = store.damaged()
        assert number(550) in damaged
        assert number(3) not in damaged  # another block
        store.delete(damaged)
        store.rewrite()
        assert store.damaged() == []
        assert {i for i, _ in store.scan()} == {number(i) for i in range(512)}


def test_clearing_leaves_nothing_for_readers_to_mistake(tmp_path: Path) -> None:
    with opened(tmp_path) as store, opened(tmp_path) as reader:
        store.upsert(records(20))
        assert len(reader.search(vectors_of(0), 100)) == 20
        store.clear()
        assert reader.search(vectors_of(0), 100) == []
        store.upsert(records(20, 100))
        assert set(reader.search(vectors_of(0), 100)) == {number(i) for i in range(100, 120)}
        store.sweep()
        assert not store.file(1).exists()
        assert reader.status().vectors == 20
