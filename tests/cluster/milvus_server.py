"""The real server of PyPI's package ``milvus``, in a process of its own that a test may kill."""

from __future__ import annotations

import importlib.util
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

WANTED = os.environ.get("GLOCAL_MILVUS_TESTS") == "1"
"""Whether these tests run: a server takes ten seconds of the processor to start."""

LACKING = [name for name in ("pymilvus", "milvus") if importlib.util.find_spec(name) is None]

needs_milvus = pytest.mark.skipif(
    not WANTED or bool(LACKING),
    reason="set GLOCAL_MILVUS_TESTS=1 to test with a real Milvus server"
    if not LACKING
    else f"not installed: {', '.join(LACKING)}",
)


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RealServer:
    """A server whose files lie in a folder; it can be killed and started again.

    Args:
        folder: of its files; the programs are unpacked there once.
    """

    def __init__(self, folder: Path) -> None:
        from milvus import MilvusServer

        self._folder = folder
        self._made = MilvusServer
        self.port = free_port()
        self.start()

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._server = self._made(wait_for_started=False)
        self._server.set_base_dir(str(self._folder))
        self._server.config.configs.update(proxy_port=self.port)
        self._server.start()

    def kill(self) -> None:
        process = self._server.server_proc
        process.kill()
        process.wait()
        self._server.stop()

    def stop(self) -> None:
        self._server.stop()

    def processor_seconds(self) -> float:
        fields = Path(f"/proc/{self._server.server_proc.pid}/stat").read_text().split()
        return (int(fields[13]) + int(fields[14])) / os.sysconf("SC_CLK_TCK")
