"""Servers of Milvus and PostgreSQL, and a Ray cluster, for benchmarks. Nothing to run by itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.append(str(Path(__file__).resolve().parent.parent / "tests"))
sys.path.append(str(Path(__file__).resolve().parent.parent / "tests" / "cluster"))

from milvus_server import RealServer  # type: ignore[import-not-found] # of the tests

from postgres_server import PostgresServer  # type: ignore[import-not-found] # of the tests

__all__ = [
    "PostgresServer",
    "RealServer",
    "catalogue",
    "cluster_file",
    "milvus",
    "ray_cluster",
    "ray_workers",
]


@contextmanager
def milvus(folder: Path) -> Iterator[RealServer]:
    """A server that can be killed and started again."""
    folder.mkdir(parents=True)
    server = RealServer(folder)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def catalogue(*, there: bool) -> Iterator[PostgresServer | None]:
    """A server for the catalogue, where there is to be one."""
    if not there:
        yield None
        return
    server = PostgresServer()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def ray_cluster(processors: int) -> Iterator[str]:
    """The address of a cluster that other processes can use, as long as this one lives."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    # As important as this process: by default they are not, and wait for whatever else runs here.
    os.environ.setdefault("RAY_worker_niceness", "0")
    import ray

    ray.init(address="local", num_cpus=processors, include_dashboard=False, log_to_driver=False)
    try:
        yield str(ray.get_runtime_context().gcs_address)
    finally:
        ray.shutdown()


def ray_workers() -> list[int]:
    """Processes of Ray that read images, of the cluster that this process has started.

    Others may run a cluster on the same machine, and their workers are not ours to kill.
    """
    parents: dict[int, int] = {}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
                fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:  # it has ended
                continue
            parents[int(entry.name)] = int(fields[1])
            if line.startswith(b"ray::_Worker"):
                found.append(int(entry.name))
    return sorted(pid for pid in found if _is_ours(pid, parents))


def _is_ours(pid: int, parents: dict[int, int]) -> bool:
    while pid in parents and pid != os.getpid():
        pid = parents[pid]
    return pid == os.getpid()


def cluster_file(path: Path, server: RealServer, ray: str | None, workers: int = 2) -> Path:
    """Write a cluster's file."""
    text = f'uri = "{server.uri}"\nprefix = "bench"\ntimeout = 120\n'
    if ray is not None:
        text += f'[ray]\naddress = "{ray}"\nworkers = {workers}\n'
    path.write_text(text)
    return path
