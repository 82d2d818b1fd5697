"""Graph builds whose parent dies, and what becomes of the builder it leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from test_stores import DIM, many, number, unit, wait_for_build

from glocal.gallery.stores import edge
from glocal.gallery.stores.edge import EdgeStore

COUNT = 8_000

PARENT = """
import sys
import numpy as np
from pathlib import Path
from uuid import UUID
from glocal.gallery.records import Attributes, Record
from glocal.gallery.stores import edge
edge.GRAPH_FROM = 3_000
store = edge.EdgeStore(Path(sys.argv[1]), 8)
vectors = np.random.default_rng(0).normal(size=(int(sys.argv[2]), 8)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
attributes = Attributes((1,), 1, 1, 1)
store.upsert([Record(UUID(int=i + 1), v, attributes) for i, v in enumerate(vectors)])
assert store.build_graph()
print(store._build.pid, flush=True)
store.upsert([Record(UUID(int=10**6), vectors[0], attributes)])
print("more", flush=True)
sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "GRAPH_FROM", 3_000)


def shards(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.glob("shard-*"))


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    try:  # nobody may be there to take its status
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_build_whose_parent_was_killed(tmp_path: Path) -> None:
    folder = tmp_path / "v"
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(folder), str(COUNT)], stdin=-1, stdout=-1, text=True
    )
    assert parent.stdout is not None
    builder = int(parent.stdout.readline())
    assert parent.stdout.readline() == "more\n"
    os.kill(builder, signal.SIGSTOP)  # it is still there when the next one opens the store
    try:
        parent.kill()
        parent.communicate()
        store = EdgeStore(folder, DIM)
        assert len(shards(folder)) == 1
        assert store.status().vectors == COUNT + 1
        assert store.build_graph()
        os.kill(builder, signal.SIGCONT)
        wait_for_build(store)
        assert store.status().build_error is None
        assert store.status().in_graph >= COUNT
        assert {i for i, _ in store.scan()} == {*map(number, range(COUNT)), number(10**6 - 1)}
        store.upsert(many(10))
        assert store.search(unit(3), 1)[0].id == number(3)
        store.close()
        ends = time.monotonic() + 60
        while not gone(builder):
            assert time.monotonic() < ends
            time.sleep(0.05)
    finally:
        if not gone(builder):
            os.kill(builder, signal.SIGKILL)
    again = EdgeStore(folder, DIM)
    assert len(shards(folder)) == 1
    assert again.status().vectors == COUNT + 1
    assert again.search(unit(3), 1)[0].id == number(3)
    again.close()


def test_a_new_shard_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever goes wrong when it should take over, the old one goes on, and a later try works."""
    folder = tmp_path / "v"
    store = EdgeStore(folder, DIM)
    store.upsert(many(4_000))
    for name, failing in (("replace_text", _no_space), ("_guarded", _failing_load)):
        with monkeypatch.context() as broken:
            broken.setattr(edge, name, failing(getattr(edge, name)))
            assert store.build_graph()
            store.upsert(many(10, 5_000))
            wait_for_build(store)
        assert store.status().build_error
        assert store.status().vectors == 4_010
        assert store.search(unit(5_003), 1)[0].id == number(5_003)
        assert len(shards(folder)) == 1
    assert store.build_graph()
    wait_for_build(store)
    assert store.status().build_error is None
    assert store.status().in_graph >= 4_000
    store.close()


def _no_space(real: Callable[..., None]) -> Callable[..., None]:
    def replace_text(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device", str(path))

    return replace_text


def _failing_load(real: Callable[..., object]) -> Callable[..., object]:
    def guarded(call: Callable[..., object], *args: object, **kwargs: object) -> object:
        if getattr(call, "__name__", "") == "load":
            raise edge.GalleryDamagedError("the new shard is no shard")
        return real(call, *args, **kwargs)

    return guarded


def test_the_old_shard_stays_away(tmp_path: Path) -> None:
    """Searches that began before a swap hold on to the old shard, but never bring it back."""
    folder = tmp_path / "v"
    store = EdgeStore(folder, DIM)
    store.upsert(many(3_000))
    stop = threading.Event()
    errors: list[Exception] = []

    def use() -> None:
        try:
            while not stop.is_set():
                assert len(store.search(unit(1), 500, exact=True)) == 500
                assert len(list(store.scan())) >= 3_000
                store.vectors([number(i) for i in range(50)])
                time.sleep(0.02)  # the builder needs the processor too
        except Exception as error:  # noqa: BLE001 - it fails the test, in its own thread
            errors.append(error)

    threads = [threading.Thread(target=use) for _ in range(2)]
    for thread in threads:
        thread.start()
    for start in (3_000, 6_000):
        assert store.build_graph()
        wait_for_build(store)
        store.upsert(many(3_000, start))
    stop.set()
    for thread in threads:
        thread.join()
    assert errors == []
    store.flush()
    store.close()
    assert len(shards(folder)) == 1
    again = EdgeStore(folder, DIM)
    assert again.status().vectors == 9_000
    again.close()
