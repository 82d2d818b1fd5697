"""The real server of PyPI's package ``milvus``, in a process of its own that a test may kill."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
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

LEAKS = [  # of sockets by which the package looks for free ports
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RealServer:
    """A server whose files lie in a folder; it can be killed and started again.

    Only one runs at a time on a machine: its etcd has a fixed port.

    Args:
        folder: of its files; the programs are unpacked there once.
    """

    def __init__(self, folder: Path) -> None:
        from milvus import MilvusServer

        self._folder = folder
        self.port = free_port()
        first = MilvusServer(wait_for_started=False)
        first.set_base_dir(str(folder))
        first.config.configs.update(proxy_port=self.port)
        first.start()
        self._first = first
        self._process: subprocess.Popen[bytes] = first.server_proc

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def start(self) -> None:
        """Start it again on the same port, which the package's own way finds taken for a while."""
        programs = str(self._folder / "bin")
        more = {
            "DEPLOY_MODE": "STANDALONE",
            "METRICS_PORT": str(free_port()),
            "MILVUS_RUN_DIR": str(self._folder / "run"),
            "LD_LIBRARY_PATH": f"{programs}:{os.environ.get('LD_LIBRARY_PATH', '')}",
        }
        with (self._folder / "logs" / "again.log").open("ab") as log:
            self._process = subprocess.Popen(
                [f"{programs}/milvus", "run", "standalone"],
                cwd=self._folder,
                env=os.environ | more,
                stdout=log,
                stderr=log,
            )

    def stop(self) -> None:
        self.kill()
        self._first.stop()
