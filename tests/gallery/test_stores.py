"""The embedded store: what every store must do, durability, damage, and the graph."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy_store import NumpyStore
from store_contract import (
    BYTE_ROUNDING,
    DIM,
    ROUNDING,
    agrees_with_the_obvious_one,
    conditions,
    many,
    number,
    operations,
    unit,
)

from glocal.errors import GalleryDamagedError
from glocal.gallery.conditions import (
    Condition,
    InFolder,
)
from glocal.gallery.database import Database
from glocal.gallery.rows import BLOCK, SCHEMA, RowTable
from glocal.gallery.stores import flat, upkeep
from glocal.gallery.stores.base import Store
from glocal.gallery.stores.coding import BYTES, HALVES, Coding
from glocal.gallery.stores.flat import FlatStore
from glocal.gallery.stores.graph import GraphFile


@contextlib.contextmanager
def opened(folder: Path, dim: int = DIM, coding: Coding = BYTES) -> Iterator[FlatStore]:
    """The store of a folder, with a catalogue of its own."""
    with contextlib.closing(Database(folder / "catalog.sqlite", SCHEMA)) as database:
        rows = RowTable(database, "space")
        with contextlib.closing(FlatStore(folder / "v", dim, rows, coding)) as store:
            yield store


@pytest.fixture(scope="module", params=["bytes", "float16"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[FlatStore]:
    coding = BYTES if request.param == "bytes" else HALVES
    with opened(tmp_path_factory.mktemp("store"), coding=coding) as ready:
        yield ready


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations, st.lists(conditions, max_size=4), st.integers(0, 50))
def test_every_store_agrees_with_the_obvious_one(
    store: FlatStore, operations: list[tuple[str, object]], wheres: list[Condition], seed: int
) -> None:
    rounding = BYTE_ROUNDING if store.coding is BYTES else ROUNDING
    agrees_with_the_obvious_one(store, operations, wheres, seed, rounding)


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    for start in (0, 50):
        with opened(tmp_path) as store:
            store.upsert(many(50, start))
    with opened(tmp_path) as store:
        assert {i for i, _ in store.scan()} == {number(i) for i in range(100)}
        assert store.damaged() == []


def test_what_was_not_committed_was_never_there(tmp_path: Path) -> None:
    """Bytes behind the rows that the catalogue knows are nobody's."""
    with opened(tmp_path) as store:
        store.upsert(many(10))
        with contextlib.suppress(KeyboardInterrupt), store.rows.database.change():
            store.upsert(many(20, 100))
            store.delete([number(3)])
            assert len(list(store.scan())) == 29  # seen inside, and nowhere else
            raise KeyboardInterrupt
        assert {i for i, _ in store.scan()} == {number(i) for i in range(10)}
        assert store.file(1).stat().st_size == 30 * (DIM + 4)
        store.upsert(many(5, 10))
        assert store.vectors([number(12)])[number(12)] == pytest.approx(unit(12), abs=BYTE_ROUNDING)
        assert store.damaged() == []


def test_others_see_what_is_committed_at_once(tmp_path: Path) -> None:
    with opened(tmp_path) as one, opened(tmp_path) as other:
        for step in range(20):
            one.upsert(many(40, 40 * step))
            assert other.search(unit(40 * step + 7), 1)[0].id == number(40 * step + 7)
            other.delete([number(40 * step + 7)])
            assert one.search(unit(40 * step + 7), 1)[0].id != number(40 * step + 7)
            one.set_folders({number(40 * step): (9,)})
            found = other.search(unit(1), 1000, where=InFolder((9,)))
            assert {m.id for m in found} == {number(40 * s) for s in range(step + 1)}
            if step % 5 == 4:
                one.rewrite()
        assert other.status().vectors == 780


# Damage


@pytest.mark.parametrize("how", ["short", "gone", "overwritten", "swapped"])
def test_damaged_vectors_are_told_and_the_others_are_kept(tmp_path: Path, how: str) -> None:
    (tmp_path / "other").mkdir()
    with opened(tmp_path) as store, opened(tmp_path / "other") as other:
        store.upsert(many(2000))
        other.upsert(many(2000, 5000))
        path = store.file(1)
        if how == "short":
            os.truncate(path, 1500 * (DIM + 4))
        elif how == "gone":
            path.unlink()
        elif how == "overwritten":
            with path.open("r+b") as file:
                file.seek(700 * (DIM + 4))
                file.write(b"\xff" * 20)
        else:
            shutil.copy(other.file(1), path)
    with opened(tmp_path) as store:
        if how in ("short", "gone"):
            with pytest.raises(GalleryDamagedError, match="glocal check --repair"):
                store.search(unit(1), 1)
            with pytest.raises(GalleryDamagedError, match="glocal check --repair"):
                store.upsert(many(1, 9000))
        lost = store.damaged()
        blocks = {"short": (2, 3), "overwritten": (1,)}.get(how, (0, 1, 2, 3))
        expected = [n for n in range(2000) if n // BLOCK in blocks]
        assert lost == [number(n) for n in expected]
        store.delete(lost)
        store.rewrite()
        assert store.damaged() == []
        assert {i for i, _ in store.scan()} == {number(n) for n in range(2000)} - set(lost)
        store.upsert(many(1, 9000))
        assert store.search(unit(9000), 1)[0].id == number(9000)
        store.sweep()
        assert not path.exists()


# The graph


def wait_for_build(store: Store) -> None:
    ends = time.monotonic() + 120
    while store.status().building:
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.fixture
def small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "GRAPH_FROM", 3_000)
    monkeypatch.setattr(upkeep, "GRAPH_BEHIND", 500)
    monkeypatch.setattr(flat, "_WALK", 1)
    monkeypatch.setattr(flat, "_LOADING", 0)


def recall(store: Store, where: Condition | None = None) -> float:
    shares = []
    for query in range(0, 2_000, 20):
        exact = {m.id for m in store.search(unit(query), 10, where=where, exact=True)}
        shares.append(len(exact & {m.id for m in store.search(unit(query), 10, where=where)}) / 10)
    return float(np.mean(shares))


def test_a_graph_is_built_while_everything_goes_on(small_graphs: None, tmp_path: Path) -> None:
    obvious = NumpyStore()
    with opened(tmp_path) as store:
        assert not store.maintain()
        for each in (store, obvious):
            each.upsert(many(4_000))
        assert store.maintain()
        assert store.maintain()  # runs already
        searched = 0
        step = 0
        while store.status().building or step < 40:
            for each in (store, obvious):
                each.upsert(many(5, 4_000 + 5 * step))
                each.delete([number(100 + step), number(4_000 + 5 * step)])
                each.set_folders({number(200 + step): (9,)})
            assert store.search(unit(7), 1)[0].id == number(7)
            searched += 1
            step += 1
        assert store.status().build_error is None
        assert store.status().in_graph >= 4_000 - step  # one of the first was removed each time
        assert dict(store.scan()) == dict(obvious.scan())
        assert recall(store) >= 0.99
        assert recall(store, InFolder((9, 2, 3, 4))) >= 0.99
        graph = GraphFile.known(store.rows.database, "space")
        store.upsert(many(1_000, 10_000 + 5 * step))
        assert store.search(unit(10_007 + 5 * step), 1)[0].id == number(10_007 + 5 * step)
        assert store.maintain()  # grows by adding
        wait_for_build(store)
        grown = GraphFile.known(store.rows.database, "space")
        assert grown is not None
        assert graph is not None
        assert grown.rows == store.rows.extent().rows > graph.rows
        assert recall(store) >= 0.99
        assert [p.name for p in (tmp_path / "v").glob("*.graph")] == [grown.name]


def test_a_builder_that_dies_changes_nothing(small_graphs: None, tmp_path: Path) -> None:
    with opened(tmp_path) as store:
        store.upsert(many(4_000))
        assert store.maintain()
        assert store._upkeep._builder is not None
        store._upkeep._builder.kill()
        wait_for_build(store)
        assert store.status().in_graph == 0
        assert store.maintain()
    with opened(tmp_path) as store:  # closed in the middle of it
        assert store.status().vectors == 4_000
        assert store.status().in_graph == 0


@pytest.mark.parametrize("how", ["removed", "made again"])
def test_a_builder_ends_with_the_folder_that_it_builds_for(tmp_path: Path, how: str) -> None:
    folder = tmp_path / "v"
    folder.mkdir()
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from glocal.gallery.stores import graph_builder\n"
        "graph_builder._LOOK_S = 0.05\ngraph_builder._end_without(Path(sys.argv[1]))\n"
        "print('begun', flush=True)\ntime.sleep(0.3)\nprint('there', flush=True)\ntime.sleep(600)"
    )
    arguments = [sys.executable, "-c", code, str(folder)]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout is not None
        assert [builder.stdout.readline() for _ in range(2)] == ["begun\n", "there\n"]
        assert builder.poll() is None
        folder.rename(tmp_path / "elsewhere")  # its number stays taken
        if how == "made again":
            folder.mkdir()
        assert builder.wait(30) == 1


@pytest.fixture(scope="module")
def with_graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of 4,000 vectors with a graph over them; tests damage copies of it."""
    folder = tmp_path_factory.mktemp("with_graph")
    with pytest.MonkeyPatch.context() as patch, opened(folder) as store:
        patch.setattr(upkeep, "GRAPH_FROM", 3_000)
        patch.setattr(upkeep, "GRAPH_BEHIND", 500)
        store.upsert(many(4_000))
        assert store.maintain()
        wait_for_build(store)
    return folder


@pytest.mark.parametrize("how", ["short", "gone", "overwritten", "quietly", "rubbish"])
def test_a_damaged_graph_is_never_walked_and_built_again(
    small_graphs: None, with_graph: Path, tmp_path: Path, how: str
) -> None:
    shutil.copytree(with_graph, tmp_path, dirs_exist_ok=True)
    with opened(tmp_path) as store:
        graph = GraphFile.known(store.rows.database, "space")
        assert graph is not None
        assert store.status().in_graph == 4_000
        path = tmp_path / "v" / graph.name
        if how == "short":
            os.truncate(path, graph.bytes // 2)
        elif how == "gone":
            path.unlink()
        elif how == "rubbish":
            path.write_bytes(b"\xa5" * graph.bytes)
        else:
            with path.open("r+b") as file:
                file.seek(graph.bytes // 2)
                file.write(b"\xff" * 4096)
            if how == "quietly":  # as a failing disk would
                os.utime(path, ns=(graph.modified, graph.modified))
    with opened(tmp_path) as store:
        assert store.damaged() == []
        assert GraphFile.known(store.rows.database, "space") is None
        assert store.status().in_graph == 0
        assert store.search(unit(3), 1)[0].id == number(3)
        assert store.maintain()
        wait_for_build(store)
        assert store.status().in_graph == 4_000


def test_compaction_leaves_out_dead_rows_and_readers_follow(
    small_graphs: None, tmp_path: Path
) -> None:
    with opened(tmp_path) as store, opened(tmp_path) as reader:
        store.upsert(many(8_000))
        assert reader.search(unit(5), 1)[0].id == number(5)
        store.delete([number(n) for n in range(0, 8_000, 2)])
        store.maintain()
        wait_for_build(store)
        assert store.rows.extent().generation == 2
        assert store.rows.extent().rows == 4_000
        assert (tmp_path / "v" / "space.i8").exists()  # until the next sound opening
        assert reader.search(unit(5), 1)[0].id == number(5)
        assert reader.vectors([number(5)])[number(5)] == pytest.approx(unit(5), abs=BYTE_ROUNDING)
        store.sweep()
        assert not (tmp_path / "v" / "space.i8").exists()
        assert {i for i, _ in reader.scan()} == {number(n) for n in range(1, 8_000, 2)}
        assert store.damaged() == []


def test_without_space_there_is_no_build_but_no_harm(
    small_graphs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(tmp_path) as store:
        store.upsert(many(4_000))
        usage = shutil.disk_usage(tmp_path)._replace(free=1000)
        monkeypatch.setattr(upkeep.shutil, "disk_usage", lambda _: usage)
        assert not store.maintain()
        assert "MB are left" in str(store.status().build_error)
        assert store.search(unit(3), 1)[0].id == number(3)


def test_spaces_whose_names_begin_alike_keep_their_files(tmp_path: Path) -> None:
    with contextlib.closing(Database(tmp_path / "catalog.sqlite", SCHEMA)) as database:
        names = ("lite0-v2", "lite0-v2.1", "sha256:ab/cd", "..")
        stores = [FlatStore(tmp_path / "v", DIM, RowTable(database, name)) for name in names]
        for start, store in enumerate(stores):
            store.upsert(many(3, 10 * start))
        for start, store in enumerate(stores):
            store.sweep()
            assert {i for i, _ in store.scan()} == {number(10 * start + n) for n in range(3)}
            assert store.damaged() == []
        assert len(list((tmp_path / "v").iterdir())) == len(names)
