"""The connection to a server that is away."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from milvus_server import free_port

from glocal.cluster.config import ClusterConfig, Tls
from glocal.cluster.server import Server
from glocal.cluster.store import MilvusStore
from glocal.errors import GalleryError, StoreUnavailableError

pytest.importorskip("pymilvus", reason="the extra cluster is not installed")


def test_a_server_that_is_away_is_waited_for_and_named() -> None:
    address = f"http://127.0.0.1:{free_port()}"
    store = MilvusStore(Server(ClusterConfig(address, timeout=0.5)), "any", 8)
    began = time.monotonic()
    with pytest.raises(StoreUnavailableError, match=rf"cluster at {address} has not answered"):
        list(store.scan())
    assert time.monotonic() - began < 10
    store.close()
    store.close()


def test_a_certificate_that_is_missing_is_named(tmp_path: Path) -> None:
    tls = Tls(ca=str(tmp_path / "none.pem"))
    store = MilvusStore(
        Server(ClusterConfig("https://127.0.0.1:1", timeout=0.5, tls=tls)), "any", 8
    )
    with pytest.raises(GalleryError, match=r"ca of \[tls\], .*none\.pem, is no file"):
        list(store.scan())
    store.close()
