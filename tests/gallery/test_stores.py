"""What every store must do: compared, operation by operation, with a slow and obvious one."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy_store import NumpyStore

from glocal.errors import GalleryDamagedError, GalleryLockedError
from glocal.gallery.conditions import (
    AllOf,
    AnyOf,
    Between,
    CameraIn,
    Condition,
    InFolder,
    Near,
    NotThis,
)
from glocal.gallery.locks import NamedLock
from glocal.gallery.records import Attributes, Record
from glocal.gallery.stores import edge, shared
from glocal.gallery.stores.base import Store
from glocal.gallery.stores.edge import EdgeStore
from glocal.gallery.stores.shared import SharedStore

DIM = 8
ROUNDING = 2e-3  # float16

HOLDER = """
import sys
from pathlib import Path
from glocal.gallery.locks import NamedLock
from glocal.gallery.stores.edge import EdgeStore
from glocal.gallery.stores.shared import SharedStore
folder = Path(sys.argv[1])
store = SharedStore(NamedLock(folder / "lock", "the store"), lambda: EdgeStore(folder / "v", 8))
print("holding", flush=True)
sys.stdin.readline()
store.close()
"""


def open_shared(folder: Path, **options: float) -> SharedStore:
    lock = NamedLock(folder / "lock", "the store")
    return SharedStore(lock, lambda: EdgeStore(folder / "v", DIM), **options)


@contextlib.contextmanager
def holder(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the store of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holding\n"
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def opened(kind: str) -> Iterator[Store]:
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        if kind == "edge":
            store: Store = EdgeStore(folder / "v", DIM)
        elif kind == "holder":
            store = open_shared(folder)
        else:
            stack.enter_context(holder(folder))
            store = open_shared(folder)
        try:
            yield store
        finally:
            store.close()


def unit(seed: int) -> np.ndarray:
    vector = np.random.default_rng(seed).normal(size=DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def number(i: int) -> UUID:
    return UUID(int=i + 1)


folders = st.lists(st.integers(0, 6), max_size=4, unique=True).map(lambda f: tuple(sorted(f)))
attributes = st.builds(
    Attributes,
    folders=folders,
    width=st.integers(1, 50),
    height=st.integers(1, 50),
    bytes=st.integers(0, 2**40),
    taken=st.none() | st.integers(-(10**9), 2 * 10**9),
    camera=st.none() | st.sampled_from(["Canon EOS", "Nikon", "日本", 'a "quoted" one']),
    place=st.none()
    | st.tuples(st.floats(-80, 80).map(lambda x: round(x, 3)), st.floats(-179, 179)),
)
records = st.builds(
    lambda i, seed, a: Record(number(i), unit(seed), a),
    st.integers(0, 30),
    st.integers(0, 1000),
    attributes,
)
leaves = st.one_of(
    st.builds(InFolder, folders),
    st.builds(CameraIn, st.lists(st.sampled_from(["Canon EOS", "Nikon", "x"])).map(tuple)),
    st.builds(
        Between,
        st.sampled_from(["taken", "width", "height", "bytes"]),
        st.none() | st.integers(-100, 60),
        st.none() | st.integers(-100, 10**9),
    ),
    st.builds(Near, st.floats(-80, 80), st.floats(-179, 179), st.floats(1, 19_000)),
)
conditions = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(NotThis, inner),
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)
operations = st.lists(
    st.one_of(
        st.tuples(st.just("upsert"), st.lists(records, max_size=12, unique_by=lambda r: r.id)),
        st.tuples(st.just("delete"), st.lists(st.integers(0, 40).map(number), max_size=5)),
        st.tuples(
            st.just("set_folders"),
            st.dictionaries(st.integers(0, 40).map(number), folders, max_size=5),
        ),
        st.tuples(st.just("flush"), st.none()),
    ),
    max_size=12,
)


@pytest.fixture(scope="module", params=["edge", "holder", "client"])
def store(request: pytest.FixtureRequest) -> Iterator[Store]:
    with opened(request.param) as ready:
        yield ready


def near_the_edge(where: Condition, attributes: Attributes) -> bool:
    """Whether a place lies so near a circle that two ways to compute may differ."""
    match where:
        case Near(latitude, longitude, km):
            wide, narrow = (
                Near(latitude, longitude, km * 1.01),
                Near(latitude, longitude, km * 0.99),
            )
            return wide.matches(attributes) != narrow.matches(attributes)
        case AllOf(parts) | AnyOf(parts):
            return any(near_the_edge(part, attributes) for part in parts)
        case NotThis(part):
            return near_the_edge(part, attributes)
        case _:
            return False


@settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(operations, st.lists(conditions, max_size=4), st.integers(0, 50))
def test_every_store_agrees_with_the_obvious_one(
    store: Store, operations: list[tuple[str, object]], wheres: list[Condition], seed: int
) -> None:
    store.delete([i for i, _ in store.scan()])
    obvious = NumpyStore()
    for name, argument in operations:
        for each in (store, obvious):
            getattr(each, name)(*([] if argument is None else [argument]))
    assert store.status().vectors == len(obvious.records)
    assert dict(store.scan()) == dict(obvious.scan())
    everything = [number(i) for i in range(45)]
    stored, expected = store.vectors(everything), obvious.vectors(everything)
    assert set(stored) == set(expected)
    for i, vector in stored.items():
        assert vector == pytest.approx(expected[i], abs=ROUNDING)
    for where in (None, *wheres):
        doubtful = {
            r.id
            for r in obvious.records.values()
            if where is not None and near_the_edge(where, r.attributes)
        }
        for exact in (False, True):
            found = store.search(unit(seed), 45, where=where, exact=exact)
            right = {m.id: m.score for m in obvious.search(unit(seed), 45, where=where)}
            assert {m.id for m in found} - doubtful == set(right) - doubtful
            scores = [m.score for m in found]
            assert scores == sorted(scores, reverse=True)
            for m in found:
                if m.id in right:
                    assert m.score == pytest.approx(right[m.id], abs=ROUNDING)
        assert len(store.search(unit(seed), 3, where=where)) == min(
            3, len(store.search(unit(seed), 45, where=where))
        )


def many(count: int, start: int = 0) -> list[Record]:
    return [
        Record(number(i), unit(i), Attributes((1, 1 + i % 5), 10, 10, i, taken=i))
        for i in range(start, start + count)
    ]


def test_what_was_written_is_there_after_reopening(tmp_path: Path) -> None:
    for flush in (False, True):
        store = EdgeStore(tmp_path / "v", DIM)
        store.upsert(many(50, 50 * flush))
        if flush:
            store.flush()
        store.close()
        store.close()
    store = EdgeStore(tmp_path / "v", DIM)
    assert {i for i, _ in store.scan()} == {number(i) for i in range(100)}
    store.close()


def test_damage_is_an_error_of_ours(tmp_path: Path) -> None:
    EdgeStore(tmp_path / "v", DIM).close()
    (tmp_path / "v" / "current").write_text("shard-000009")
    with pytest.raises(GalleryDamagedError, match="glocal check --repair"):
        EdgeStore(tmp_path / "v", DIM)
    (tmp_path / "v" / "current").write_bytes(b"\xff\xfe")
    with pytest.raises(GalleryDamagedError, match="glocal check --repair"):
        EdgeStore(tmp_path / "v", DIM)


def test_an_interrupted_creation_begins_again(tmp_path: Path) -> None:
    (tmp_path / "v" / "shard-000001" / "segments").mkdir(parents=True)
    (tmp_path / "v" / "shard-000001" / "edge_config.json").write_text("{")
    store = EdgeStore(tmp_path / "v", DIM)
    store.upsert(many(3))
    assert store.status().vectors == 3
    store.close()


# Building the graph beside the work


def wait_for_build(store: Store) -> None:
    ends = time.monotonic() + 120
    while store.status().building:
        assert time.monotonic() < ends
        time.sleep(0.02)


@pytest.fixture
def small_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edge, "GRAPH_FROM", 3_000)


def test_a_graph_is_built_while_everything_goes_on(small_graphs: None, tmp_path: Path) -> None:
    store, obvious = EdgeStore(tmp_path / "v", DIM), NumpyStore()
    for each in (store, obvious):
        each.upsert(many(4_000))
    empty = EdgeStore(tmp_path / "w", DIM)
    assert not empty.build_graph()
    empty.close()
    assert store.build_graph()
    assert store.build_graph()  # runs already
    failures: list[Exception] = []
    searched = 0

    def search() -> None:
        nonlocal searched
        try:
            while store.status().building:
                assert store.search(unit(7), 1)[0].id == number(7)
                searched += 1
                time.sleep(0.002)  # the builder needs the processor too
        except Exception as error:  # noqa: BLE001 - it fails the test, in its own thread
            failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(2)]
    for thread in threads:
        thread.start()
    for step in range(40):
        for each in (store, obvious):
            each.upsert(many(5, 4_000 + 5 * step))
            each.delete([number(100 + step), number(4_000 + 5 * step)])
            each.set_folders({number(200 + step): (9,)})
        time.sleep(0.01)
    wait_for_build(store)
    for thread in threads:
        thread.join()
    assert not failures
    assert searched > 10
    assert store.status().in_graph >= 3_900
    assert store.status().build_error is None
    assert dict(store.scan()) == dict(obvious.scan())
    shares = []
    for query in range(0, 2_000, 20):
        exact = {m.id for m in obvious.search(unit(query), 10)}
        shares.append(len(exact & {m.id for m in store.search(unit(query), 10)}) / 10)
    assert np.mean(shares) >= 0.99
    store.close()
    reopened = EdgeStore(tmp_path / "v", DIM)
    assert dict(reopened.scan()) == dict(obvious.scan())
    assert len(list((tmp_path / "v").glob("shard-*"))) == 1
    reopened.close()


def test_a_builder_that_dies_changes_nothing(small_graphs: None, tmp_path: Path) -> None:
    store = EdgeStore(tmp_path / "v", DIM)
    store.upsert(many(4_000))
    assert store.build_graph()
    assert store._build is not None
    store._build.kill()
    wait_for_build(store)
    assert store.status().in_graph == 0
    assert store.status().vectors == 4_000
    assert store.build_graph()
    store.close()  # in the middle of it
    store = EdgeStore(tmp_path / "v", DIM)
    assert store.status().vectors == 4_000
    assert len(list((tmp_path / "v").glob("shard-*"))) == 1
    store.close()


def test_without_space_there_is_no_build_but_no_harm(
    small_graphs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EdgeStore(tmp_path / "v", DIM)
    store.upsert(many(4_000))
    monkeypatch.setattr(edge, "disk_bytes", lambda _: 2**60)
    assert not store.build_graph()
    assert "MB are left" in str(store.status().build_error)
    assert store.search(unit(3), 1)[0].id == number(3)
    store.close()


# Many processes


@pytest.mark.parametrize("politely", [True, False])
def test_a_holder_may_end_at_any_moment(tmp_path: Path, politely: bool) -> None:
    with holder(tmp_path) as process:
        client = open_shared(tmp_path)
        assert client._local is None
        written = 0
        ends = time.monotonic() + 20
        while client._local is None and time.monotonic() < ends:
            client.upsert(many(1, written))
            written += 1
            assert client.search(unit(written - 1), 1)[0].score == pytest.approx(1, abs=ROUNDING)
            if written == 50 and politely and process.stdin is not None:
                process.stdin.write("\n")
                process.stdin.flush()
            elif written == 50:
                process.kill()
        assert client._local is not None
        assert {i for i, _ in client.scan()} == {number(i) for i in range(written)}
        client.close()


@pytest.mark.skipif(sys.platform == "win32", reason="stops a process")
def test_a_holder_that_is_stuck_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    monkeypatch.setattr(shared, "ANSWER_WITHIN", 0.5)
    with holder(tmp_path) as process:
        client = open_shared(tmp_path, timeout=0.5)
        process.send_signal(signal.SIGSTOP)
        for call in (lambda: client.search(unit(1), 1), lambda: open_shared(tmp_path, timeout=0.5)):
            with pytest.raises(GalleryLockedError, match=f"process {process.pid} "):
                call()
        process.send_signal(signal.SIGCONT)
        assert client.search(unit(1), 1) == []
        client.close()


def test_strangers_are_not_answered(tmp_path: Path) -> None:
    from multiprocessing.connection import Client

    with holder(tmp_path):
        note = NamedLock(tmp_path / "lock", "the store").holder()
        for greeting in (b"", b"rubbish", b'{"key": "00"}', b"[1]", b"\x80\x04." * 100):
            with contextlib.suppress(OSError, EOFError), Client(note["address"]) as stranger:
                stranger.send_bytes(greeting)
                assert not stranger.poll(5) or stranger.recv_bytes() == b""
        client = open_shared(tmp_path)
        client.upsert(many(1))
        assert client.status().vectors == 1
        client.close()


@pytest.mark.skipif(sys.platform == "win32", reason="looks at permissions")
def test_only_the_user_can_read_the_key(tmp_path: Path) -> None:
    store = open_shared(tmp_path)
    assert (tmp_path / "lock.json").stat().st_mode & 0o777 == 0o600
    store.close()
    assert not (tmp_path / "lock.json").exists()


def test_a_stale_note_does_no_harm(tmp_path: Path) -> None:
    (tmp_path / "lock.json").write_text('{"pid": 1, "address": "/nowhere", "key": "ab"}')
    open_shared(tmp_path).close()
    (tmp_path / "lock.json").write_text("[" * 1000)
    open_shared(tmp_path).close()
