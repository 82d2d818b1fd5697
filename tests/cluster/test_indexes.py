"""Which index a collection gets, with a server that only pretends; then with the real one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from milvus_server import LEAKS, RealServer, needs_milvus
from store_contract import DIM, many, number, unit

from glocal.cluster import indexes
from glocal.cluster.config import ClusterConfig, Diskann, Hnsw
from glocal.cluster.indexes import DISKANN, HNSW
from glocal.cluster.server import RefusedError, Server
from glocal.cluster.store import MilvusStore
from glocal.errors import GalleryError

pymilvus = pytest.importorskip("pymilvus")


class Pretender:
    """Collections and their indexes, as far as `indexes` looks at them."""

    def __init__(
        self, config: ClusterConfig, *, disk: bool = True, version: str = "v2.3.5"
    ) -> None:
        self.config = config
        self.indexes: dict[str, str] = {}
        self.done: list[str] = []
        self._disk, self._version = disk, version

    def version(self) -> str:
        return self._version

    def call(self, method: str, name: str, *_: Any) -> Any:
        self.done.append(method)
        if method == "list_indexes":
            return [name] if name in self.indexes else []
        if method == "describe_index":
            return {"index_type": self.indexes[name]}
        if method in ("drop_index", "drop_collection"):
            self.indexes.pop(name, None)
        return None

    def repeat(self, request: Callable[[Any, float], None]) -> None:
        request(self, 1.0)

    # The client's

    def create_schema(self, **_: Any) -> Any:
        return SimpleNamespace(add_field=lambda *_, **__: None)

    def create_collection(self, name: str, **_: Any) -> None:
        self.done.append("create_collection")

    def prepare_index_params(self) -> Any:
        made = SimpleNamespace()
        made.add_index = lambda field, **what: made.__dict__.update(what)
        return made

    def create_index(self, name: str, index: Any, **_: Any) -> None:
        if index.index_type == DISKANN and not self._disk:
            raise RefusedError("index type not supported")
        self.indexes[name] = index.index_type


def config(index: str = "auto", above: int = 100) -> ClusterConfig:
    return ClusterConfig("http://a", index=index, diskann=Diskann(above=above))


def test_the_size_chooses_unless_the_file_does() -> None:
    assert [indexes.wanted(config(), n) for n in (0, 100, 101)] == [HNSW, HNSW, DISKANN]
    assert indexes.wanted(config("hnsw"), 10**9) == HNSW
    assert indexes.wanted(config("diskann"), 0) == DISKANN
    assert indexes.wanted(ClusterConfig("http://a"), 10_000_000) == HNSW


def test_a_search_has_the_parameters_of_both() -> None:
    some = ClusterConfig("http://a", hnsw=Hnsw(ef=64), diskann=Diskann(search_list=30))
    assert indexes.search_parameters(some, 50)["params"] == {"ef": 64, "search_list": 50}
    assert indexes.search_parameters(some, 10)["params"] == {"ef": 64, "search_list": 30}


@pytest.mark.parametrize(("vectors", "kind"), [(50, HNSW), (200, DISKANN)])
def test_a_new_collection_gets_what_will_suit_it(vectors: int, kind: str) -> None:
    server = Pretender(config())
    indexes.prepare(server, "some", vectors)  # type: ignore[arg-type]
    assert server.indexes == {"some": kind}
    assert server.done[-1] == "load_collection"
    indexes.prepare(server, "some", 0)  # type: ignore[arg-type]
    assert server.indexes == {"some": kind}  # whoever comes next leaves it


@pytest.mark.parametrize("lacking", [{"disk": False}, {"version": "v2.3.5-lite"}])
def test_a_server_without_it_is_told(
    lacking: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    server = Pretender(config(), **lacking)
    with caplog.at_level(logging.WARNING):
        indexes.prepare(server, "some", 200)  # type: ignore[arg-type]
    assert server.indexes == {"some": HNSW}
    assert "200 vectors are more than diskann.above, and stay in memory" in caplog.text
    caplog.clear()
    assert not indexes.outgrown(server, "some", 200)  # type: ignore[arg-type]
    assert "stay in memory" in caplog.text
    assert server.indexes == {"some": HNSW}
    caplog.clear()
    server.done.clear()
    assert not indexes.outgrown(server, "some", 50)  # type: ignore[arg-type]
    assert not caplog.text
    assert not server.done  # so that it may be away

    strict = Pretender(config("diskann"), **lacking)
    for ask in (
        lambda: indexes.require(strict),  # type: ignore[arg-type]
        lambda: indexes.prepare(strict, "some", 0),  # type: ignore[arg-type]
        lambda: indexes.outgrown(strict, "some", 0),  # type: ignore[arg-type]
    ):
        with pytest.raises(GalleryError, match=r'has no DiskANN .*set index = "hnsw"'):
            ask()
    assert not strict.indexes


def test_a_collection_that_has_grown_gets_the_other_one_and_keeps_it() -> None:
    server = Pretender(config())
    indexes.prepare(server, "some", 0)  # type: ignore[arg-type]
    assert not indexes.outgrown(server, "some", 100)  # type: ignore[arg-type]
    assert indexes.outgrown(server, "some", 101)  # type: ignore[arg-type]
    assert server.indexes == {"some": HNSW}  # the trial is gone
    indexes.replace(server, "some", 101)  # type: ignore[arg-type]
    assert server.indexes == {"some": DISKANN}
    released, dropped = (server.done.index(m) for m in ("release_collection", "drop_index"))
    assert released < dropped  # which Milvus wants so
    for vectors in (101, 50):
        assert not indexes.outgrown(server, "some", vectors)  # type: ignore[arg-type]
    server.config = config("hnsw")
    assert indexes.outgrown(server, "some", 101)  # type: ignore[arg-type]


@needs_milvus
class TestRealServer:
    pytestmark = LEAKS

    def test_without_diskann_it_is_refused_or_told(
        self, milvus: RealServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        strict = Server(ClusterConfig(milvus.uri, index="diskann", timeout=120))
        with pytest.raises(GalleryError, match=r"has no DiskANN \(Milvus v.*-lite was built"):
            MilvusStore(strict, "strict", DIM).upsert(many(3))
        strict.call("drop_collection", "strict")
        strict.close()
        small = ClusterConfig(milvus.uri, diskann=Diskann(above=10), timeout=120)
        store = MilvusStore(Server(small), "small", DIM)
        store.expected = 50
        with caplog.at_level(logging.WARNING):
            store.upsert(many(50))
        assert "50 vectors are more than diskann.above" in caplog.text
        assert indexes.present(store.server, "small") == HNSW
        assert store.search(unit(7), 1)[0].id == number(7)
        assert not store.outgrown(50)
        store.drop()
        store.close()

    def test_one_index_takes_the_place_of_another_and_nothing_is_lost(
        self, milvus: RealServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """This server has no DiskANN; another index of it stands for it."""
        monkeypatch.setattr(indexes, "DISKANN", "IVF_FLAT")
        monkeypatch.setattr(indexes, "_lite", lambda _: "")
        create = indexes._create
        given = {"IVF_FLAT": {"nlist": 4}}

        def created(server: Server, collection: str, kind: str) -> None:
            if kind == HNSW:
                create(server, collection, kind)
                return
            index = server._connected(10).prepare_index_params()
            index.add_index("vector", index_type=kind, metric_type="IP", params=given[kind])
            server.call("create_index", collection, index)

        monkeypatch.setattr(indexes, "_create", created)
        sized = ClusterConfig(milvus.uri, diskann=Diskann(above=100), timeout=120)
        store = MilvusStore(Server(sized), "grown", DIM)
        other = MilvusStore(Server(sized), "grown", DIM)
        store.upsert(many(100))
        assert not store.outgrown(100)
        store.upsert(many(50, 100))
        assert store.outgrown(150)
        assert other.search(unit(7), 1)[0].id == number(7)
        store.reindex(150)
        assert indexes.present(store.server, "grown") == "IVF_FLAT"
        # Who does it has died here, before it was searchable again: the next one goes on.
        late = MilvusStore(Server(sized), "grown", DIM)
        assert late.search(unit(107), 1, exact=True)[0].id == number(107)
        assert other.search(unit(7), 1, exact=True)[0].id == number(7)
        assert late.status().vectors == 150
        assert not late.outgrown(150)
        store.drop()
        for each in (store, other, late):
            each.close()
