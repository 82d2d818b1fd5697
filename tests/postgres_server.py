"""A PostgreSQL server of its own for the tests, in a temporary folder, which a test may kill."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

_LIMIT = 60.0  # seconds


def _programs() -> Path | None:
    """The folder of initdb and postgres, also where Debian puts them."""
    found = [Path(p).resolve().parent for p in [shutil.which("initdb")] if p]
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in found if (folder / "postgres").exists()), None)


def _user() -> dict[str, Any]:
    """Whom the server runs as: it refuses root."""
    if os.geteuid() != 0:
        return {}
    import pwd  # not on Windows

    try:
        return {"user": "postgres", "group": pwd.getpwnam("postgres").pw_gid, "extra_groups": []}
    except KeyError:
        return {"user": "nobody", "group": pwd.getpwnam("nobody").pw_gid, "extra_groups": []}


PROGRAMS = _programs() if os.name == "posix" else None

needs_postgres = pytest.mark.skipif(
    PROGRAMS is None or find_spec("psycopg") is None,
    reason="not installed: PostgreSQL's server (Debian: postgresql) or psycopg",
)


class PostgresServer:
    """A server that listens on a socket in its folder only."""

    def __init__(self) -> None:
        assert PROGRAMS is not None
        self._programs, self._as = PROGRAMS, _user()
        # Not in pytest's folders, which are root's alone; a socket's path has at most 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="glocal-pg-", dir="/tmp"))
        if self._as:
            shutil.chown(self.folder, self._as["user"], self._as["group"])
        self.data = self.folder / "data"
        subprocess.run(
            [
                *(self._programs / "initdb", "-D", self.data, "-U", "glocal"),
                *("-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"),
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            cwd="/",
            **self._as,
        )
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def uri(self) -> str:
        return f"postgresql://glocal@/postgres?host={self.folder}"

    def config(
        self, folder: Path, *, milvus: str = "http://127.0.0.1:1", timeout: int = 60
    ) -> Path:
        """A cluster's file that names it."""
        path = folder / "config.toml"
        path.write_text(
            f'uri = "{milvus}"\nprefix = "test"\ntimeout = {timeout}\n'
            f'[catalogue]\nuri = "{self.uri}"\n'
        )
        return path

    def start(self) -> None:
        """Start it, and wait until it answers; what a killed one has left may take a while."""
        import psycopg

        ends = time.monotonic() + _LIMIT
        while True:
            if self._process is None or self._process.poll() is not None:
                with (self.folder / "log").open("ab") as log:
                    self._process = subprocess.Popen(
                        [
                            *(self._programs / "postgres", "-D", self.data, "-k", self.folder),
                            *("-c", "listen_addresses=", "-c", "fsync=off"),
                        ],
                        stdout=log,
                        stderr=log,
                        cwd="/",
                        **self._as,
                    )
            try:
                psycopg.connect(self.uri).close()
            except psycopg.OperationalError:
                if time.monotonic() > ends:
                    raise
                time.sleep(0.05)
            else:
                return

    def kill(self) -> None:
        """End it and all its processes at once, without a word."""
        assert self._process is not None
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        # Elsewhere they end by themselves as soon as they see that the first one is gone.
        pids = [int(pid) for pid in children.read_text().split()] if children.exists() else []
        for pid in (self._process.pid, *pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)  # fast: whoever is connected is not waited for
            self._process.wait(_LIMIT)
        shutil.rmtree(self.folder, ignore_errors=True)
