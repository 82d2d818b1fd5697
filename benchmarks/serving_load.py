"""`glocal serve` under load: 50 clients that search without pause while an index run adds images.

Two rounds of a minute each, against a real server in a process of its own on loopback. In the
first round all clients behave. In the second, half of them send garbage, bodies of a gigabyte,
truncated images and forms, or a byte per second; what counts is how the others are served. Every
client keeps one connection and sends the next search as soon as it has the response to the last.
Each query is another piece of a photograph, so that what the server has kept of earlier searches
helps no more than it would help people. The images are photographs of groceries, or noise where
there are none.

The machine's cores are shared by clients, server, decoders and index run. What the server makes of
them is a share: of the cores' time, the part that as many searches take of the processor when they
come one after the other with nothing beside them. Where other programs run on the machine, the
second share leaves out the time that they took, and flatters: it counts no gap that they filled.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import io
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from glocal.client import Client, ServerError
from measure import (
    arguments,
    glocal_command,
    percentile,
    print_table,
    print_targets,
    run_process,
    write_results,
)
from photos import DATA, image

TARGETS = [
    ("failed searches", "<=", 0),
    ("failed searches beside hostile clients", "<=", 0),
    ("peak memory of the server and its searching processes, MB", "<=", 1500),
    ("p99 of searches, ms", "<=", 3000),
    ("searches/s of cores / processor time of one", ">=", 0.8),
]
_ALONE = 60  # searches one after the other
_MARK = b"glocal-load"
_HEAD = (
    b"POST /v1/search HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary="
    + _MARK
)


@dataclass(slots=True)
class Tally:
    """The responses of one round."""

    milliseconds: list[float] = field(default_factory=list)
    statuses: Counter[int] = field(default_factory=Counter)
    broken: int = 0
    hostile: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0  # until the last was answered

    def failed(self) -> int:
        return self.broken + sum(n for status, n in self.statuses.items() if status != 200)


class Watch:
    """Samples the memory of the server and of the processes it has started.

    Pages that several processes share count for each of them.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.server = 0
        self.decoders = 0
        self._thread.start()

    def close(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.5):
            children = Path(f"/proc/{self._pid}/task/{self._pid}/children")
            with contextlib.suppress(OSError):
                pids = [int(pid) for pid in children.read_text().split()]
                decoding = [pid for pid in pids if b"decode_child" in _command(pid)]
                searching = [pid for pid in pids if b"multiprocessing" in _command(pid)]
                self.decoders = max(self.decoders, sum(map(_resident, decoding)))
                self.server = max(self.server, sum(map(_resident, [self._pid, *searching])))


def _command(pid: int) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def _resident(pid: int) -> int:
    with contextlib.suppress(OSError):
        found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
        return int(found[1]) * 1024 if found else 0
    return 0


def processor_seconds(pid: int) -> float:
    """Processor time that a process and those it has started have taken so far."""
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        own = sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
        return own + sum(processor_seconds(int(child)) for child in children)
    return 0.0


def had(server: int) -> float:
    """Seconds of the cores that the benchmark's processes took so far, and that nobody took."""
    idle = sum(map(int, Path("/proc/stat").read_text().split()[4:6])) / os.sysconf("SC_CLK_TCK")
    return processor_seconds(server) + time.process_time() + idle


def pieces(photos: Sequence[bytes], count: int) -> list[bytes]:
    """So many different pieces of photographs, each with most of one, as JPEG."""
    chosen, made = random.Random(1), list[bytes]()
    for number in range(count):
        opened = Image.open(io.BytesIO(photos[number % len(photos)])).convert("RGB")
        width, height = (round(side * chosen.uniform(0.8, 1)) for side in opened.size)
        left, top = (
            chosen.randint(0, whole - part)
            for whole, part in zip(opened.size, (width, height), strict=True)
        )
        file = io.BytesIO()
        opened.crop((left, top, left + width, top + height)).save(file, "JPEG", quality=92)
        made.append(file.getvalue())
    return made


def request(photo: bytes) -> bytes:
    """One whole search."""
    disposition = b'Content-Disposition: form-data; name="image"; filename="q.jpg"'
    body = b"--" + _MARK + b"\r\n" + disposition + b"\r\n\r\n" + photo + b"\r\n"
    body += b"--" + _MARK + b'\r\nContent-Disposition: form-data; name="limit"\r\n\r\n20\r\n'
    body += b"--" + _MARK + b"--\r\n"
    return _HEAD + b"\r\nContent-Length: %d\r\n\r\n" % len(body) + body


async def answer_of(reader: asyncio.StreamReader) -> int:
    """Read one answer whole and return its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    await reader.readexactly(int(length[1]) if length else 0)
    return int(head.split(b" ", 2)[1])


async def search(port: int, requests: Sequence[bytes], ends: float, tally: Tally) -> None:
    """A client that behaves."""
    writer: asyncio.StreamWriter | None = None
    turn = 0
    while time.monotonic() < ends:
        began = time.perf_counter()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(requests[turn % len(requests)])
            await writer.drain()
            status = await answer_of(reader)
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            tally.broken += 1
            if writer is not None:
                writer.close()
            writer = None
            continue
        tally.statuses[status] += 1
        if status == 200:
            tally.milliseconds.append((time.perf_counter() - began) * 1000)
        turn += 1
    if writer is not None:
        writer.close()


async def attack(port: int, photo: bytes, ends: float, tally: Tally, seed: int) -> None:
    """A client that sends one bad thing after another."""
    chosen = random.Random(seed)
    whole = request(photo)
    giant = _HEAD + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
    while time.monotonic() < ends:
        kind = chosen.choice(["garbage", "giant", "truncated image", "truncated form", "slow"])
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, TimeoutError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                async with asyncio.timeout(max(0.1, min(20.0, ends - time.monotonic()))):
                    if kind == "garbage":
                        writer.write(chosen.randbytes(4_000))
                        await reader.read(1_000)
                    elif kind == "giant":
                        writer.write(giant)
                        for _ in range(1_000):
                            writer.write(b"100000\r\n" + b"x" * 2**20 + b"\r\n")
                            await writer.drain()
                    elif kind == "truncated image":
                        writer.write(request(photo[: chosen.randrange(len(photo))]))
                        await answer_of(reader)
                    elif kind == "truncated form":
                        writer.write(whole[: chosen.randrange(len(_HEAD), len(whole))])
                    else:
                        for byte in whole[:60]:
                            writer.write(bytes([byte]))
                            await writer.drain()
                            await asyncio.sleep(1)
            finally:
                tally.hostile[kind] += 1
                writer.close()
        await asyncio.sleep(0.01)


async def round_of(
    port: int, photos: Sequence[bytes], *, seconds: float, good: int, bad: int
) -> Tally:
    """Let clients loose for a while."""
    tally, began = Tally(), time.monotonic()
    ends = began + seconds
    bodies = [request(photo) for photo in photos]
    each = [bodies[n::good] or bodies for n in range(good)]
    clients = [search(port, own, ends, tally) for own in each]
    clients += [attack(port, photos[n % len(photos)], ends, tally, n) for n in range(bad)]
    await asyncio.gather(*clients)
    tally.seconds = time.monotonic() - began
    return tally


def images(count: int, folder: Path) -> list[Path]:
    """Photographs of the shop, or of noise where there are none."""
    found = sorted((DATA / "grocery" / "dataset").glob("**/*.jpg"))
    if len(found) >= count:
        return random.Random(0).sample(found, count)
    folder.mkdir()
    made = []
    for number in range(count):
        made.append(folder / f"{number}.jpg")
        image(number, (348, 348), ()).save(made[-1])
    return made


def start(place: Path) -> tuple[subprocess.Popen[str], int]:
    """The server and its port."""
    command = [
        *map(str, glocal_command()), "serve", "-g", str(place / "gallery"), "--port", "0",
        "--allow-folder", str(place / "new"), "--allow-folder", str(place / "newer"),
    ]  # fmt: skip
    environment = os.environ | {"XDG_CACHE_HOME": str(place / "cache")}
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"at http://127\.0\.0\.1:(\d+)/", line):
            threading.Thread(target=server.stderr.read, daemon=True).start()
            return server, int(found[1])
    raise SystemExit("the server did not start")


def alone(port: int, server: int, photos: Sequence[bytes]) -> float:
    """Seconds of the processor that one search takes, with nothing beside it."""

    async def one_after_the_other() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for photo in photos:
            writer.write(request(photo))
            if (status := await answer_of(reader)) != 200:
                raise SystemExit(f"a search was answered with {status}")
        writer.close()

    began = processor_seconds(server)
    asyncio.run(one_after_the_other())
    return (processor_seconds(server) - began) / len(photos)


def figures(tally: Tally) -> dict[str, Any]:
    times = tally.milliseconds or [0.0]
    return {
        "searches": len(tally.milliseconds),
        "searches/s": len(tally.milliseconds) / tally.seconds,
        "p50, ms": percentile(times, 0.5),
        "p99, ms": percentile(times, 0.99),
        "slowest, ms": max(times),
        "failed": tally.failed(),
        "statuses": {str(status): count for status, count in sorted(tally.statuses.items())},
        "hostile requests": dict(tally.hostile),
    }


def measure(place: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Both rounds, as they go into the results."""
    chosen = images(given.count + 2 * given.added + 200, place / "noise")
    parts = {"old": given.count, "new": given.added, "newer": given.added}
    for name, count in parts.items():
        (place / name).mkdir()
        for number in range(count):
            shutil.copyfile(chosen.pop(), place / name / f"{number}.jpg")
    photos = [path.read_bytes() for path in chosen]
    queries = pieces(photos, given.clients * 24)
    run_process([*glocal_command(), "index", place / "old", "-g", place / "gallery"])
    server, port = start(place)
    client = Client(f"http://127.0.0.1:{port}")
    watch = Watch(server.pid)
    rounds: dict[str, Any] = {}
    try:
        alone(port, server.pid, pieces(photos, 10))  # whatever is loaded at first
        each = alone(port, server.pid, queries[:_ALONE])
        for title, folder, bad in (
            ("searches", "new", 0),
            ("beside hostile clients", "newer", given.clients // 2),
        ):
            run = client.index(str(place / folder))
            good = given.clients - bad
            before = had(server.pid)
            work = round_of(port, queries, seconds=given.seconds, good=good, bad=bad)
            tally = asyncio.run(work)
            progress = client.index_run(run.id)
            done = progress.progress.done if progress.progress else 0
            left = (had(server.pid) - before) / tally.seconds
            found = figures(tally)
            rounds[title] = found | {
                "share": found["searches/s"] * each / len(os.sched_getaffinity(0)),
                "share of what others left": found["searches/s"] * each / left,
                "images indexed meanwhile": done,
                "index run": progress.state,
            }
            for state in client.follow(run.id):
                if state.state == "failed":
                    raise SystemExit(f"the index run failed: {state.error}")
        with contextlib.suppress(ServerError):
            killed = _metrics(port)
        held = client.info().images
    finally:
        watch.close()
        server.send_signal(signal.SIGTERM)
        status = server.wait(timeout=60)
    columns = ["p50, ms", "p99, ms", "slowest, ms", "searches/s", "share",
               "share of what others left", "failed", "images indexed meanwhile"]  # fmt: skip
    print_table(
        f"{given.clients} clients for {given.seconds:g} s",
        ["", *columns],
        [[title, *(one[column] for column in columns)] for title, one in rounds.items()],
    )
    print(f"one search alone takes {1000 * each:.0f} ms of the processor")
    print(json.dumps({title: one["statuses"] for title, one in rounds.items()}))
    print(json.dumps({title: one["hostile requests"] for title, one in rounds.items()}))
    named = {
        "failed searches": rounds["searches"]["failed"],
        "failed searches beside hostile clients": rounds["beside hostile clients"]["failed"],
        "peak memory of the server and its searching processes, MB": watch.server / 1e6,
        "p99 of searches, ms": rounds["searches"]["p99, ms"],
        "searches/s of cores / processor time of one": rounds["searches"]["share"],
    }
    return {
        "clients": given.clients,
        "seconds": given.seconds,
        "images before, added in each round, in the end": [given.count, given.added, held],
        "processor ms of one search alone": 1000 * each,
        "rounds": rounds,
        "peak memory, MB": {"server": watch.server / 1e6, "decoders": watch.decoders / 1e6},
        "decoders killed": killed,
        "exit status after SIGTERM": status,
        "targets": print_targets(named, TARGETS),
    }


def _metrics(port: int) -> float:
    """How many decoders had to be killed."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/metrics")
    text = connection.getresponse().read().decode()
    connection.close()
    found = re.search(r"^glocal_decoders_killed_total (\S+)", text, re.MULTILINE)
    return float(found[1]) if found else 0.0


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each round")
    parser.add_argument("--count", type=int, default=300, help="images in the gallery before")
    parser.add_argument("--added", type=int, default=2_450, help="by the index run of each round")
    given = parser.parse_args()
    if given.quick:
        given.seconds, given.count, given.added = 8.0, 100, 300
    if sys.platform != "linux":
        raise SystemExit("this benchmark reads the memory of processes as Linux tells it")
    with tempfile.TemporaryDirectory() as temporary:
        results = measure(Path(temporary), given)
    write_results("serving_load", results, quick=given.quick)


if __name__ == "__main__":
    main()
