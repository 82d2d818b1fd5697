from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from milvus_server import RealServer

sys.path.insert(0, str(Path(__file__).parent.parent / "gallery"))


@pytest.fixture(scope="session")
def milvus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A real server; only tests that are marked `needs_milvus` may ask for it."""
    server = RealServer(tmp_path_factory.mktemp("milvus"))
    yield server
    server.stop()
