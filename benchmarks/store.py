"""The store of vectors, and the one it replaced, at one size: what each operation costs.

    python benchmarks/store.py [--count 100000] [--old PATH] [--only NAMES] [--work DIR] [--quick]

``--old`` names a clone of the project whose store is measured in the same way, after this one's.
Printed for both: seconds to write the vectors, to build the graph, to open the store for a first
search, and to add 1 % to a built graph; milliseconds of exact and of graph searches and of searches
under ten conditions from narrow to wide (10 and 200 results); recall@10; bytes of disk a vector;
memory of a reader; and searches a second by 1, 2 and 4 threads and processes. Milliseconds are
medians; processor time stands beside them, since other work on the machine changes it little. The
vectors are made (see ``synthetic.py``).

``--only`` measures some figures alone (``search``, ``conditions``, ``disk``, ``threads``,
``processes``, ``open``, ``grow``), prints them and writes no results. With ``--work`` the stores
stay in that folder and the next run begins with them, if it has the same count.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from random import Random
from statistics import median
from typing import Any
from uuid import UUID

import numpy as np

DIM = 512
CHUNK = 2_000
YEAR = 365 * 86_400
ALL = ["search", "conditions", "disk", "threads", "processes", "open", "grow"]
SECONDS = 3.0  # of each count of threads or processes


def open_store(folder: Path) -> Any:
    """This project's store, or that of a clone, whichever this process imports."""
    try:
        from glocal.gallery.database import Database
        from glocal.gallery.rows import SCHEMA, RowTable
        from glocal.gallery.stores import flat, upkeep
        from glocal.gallery.stores.flat import FlatStore
    except ImportError:
        from glocal.gallery.stores.edge import EdgeStore
        from glocal.gallery.stores.shared import SharedStore

        from glocal.gallery.locks import NamedLock  # type: ignore[attr-defined] # older checkouts'

        lock = NamedLock(folder / "lock", "the store")
        return SharedStore(lock, lambda: EdgeStore(folder / "v", DIM))
    flat._LOADING = upkeep.GRAPH_BEHIND = 0  # walk the graph at once, extend it by any number
    upkeep.GRAPH_SHARE = 0.005
    return FlatStore(folder / "v", DIM, RowTable(Database(folder / "c.sqlite", SCHEMA), "space"))


def changing(store: Any) -> Any:
    """A transaction, where the store takes part in one."""
    return store.rows.database.change() if hasattr(store, "rows") else nullcontext()


def write(store: Any, space: Any, start: int, count: int) -> list[float]:
    """Write vectors; seconds without drawing them, and seconds of the processor."""
    from glocal.gallery.records import Attributes, Record

    spent = used = 0.0
    for first in range(start, start + count, CHUNK):
        vectors = space.draw(min(CHUNK, start + count - first), seed=first)
        records = []
        for number, vector in enumerate(vectors, first):
            random = Random(number)
            told = random.random() < 0.8
            place = (random.gauss(48.85, 8) % 90, random.gauss(2.35, 20)) if number % 3 else None
            records.append(
                Record(
                    UUID(int=number + 1),
                    vector,
                    Attributes(
                        (1, 2 + number % 20, 22 + number % 500),
                        3024 if number % 3 else 4032,
                        4032,
                        1_500_000 + 37 * number % 2_000_000,
                        int(1_104_537_600 + 20 * YEAR * random.random()) if told else None,
                        ("canon", "nikon", "sony")[int(3 * random.random() ** 2)] if told else None,
                        place if told else None,
                    ),
                )
            )
        began, worked = time.perf_counter(), time.process_time()
        with changing(store):
            store.upsert(records)
        spent += time.perf_counter() - began
        used += time.process_time() - worked
    return [round(spent, 2), round(used, 2)]


def build(store: Any) -> list[float]:
    """Build or extend the graph; seconds, and seconds of the processor."""
    if hasattr(store, "flush"):
        store.flush()
    began, used = time.perf_counter(), _children()
    if not (store.maintain() if hasattr(store, "maintain") else store.build_graph()):
        return [0.0, 0.0]
    while store.status().building:
        time.sleep(0.02)
    return [round(time.perf_counter() - began, 1), round(_children() - used, 1)]


def _children() -> float:
    found = resource.getrusage(resource.RUSAGE_CHILDREN)
    return found.ru_utime + found.ru_stime


def conditions() -> dict[str, Any]:
    """Ten conditions, the narrowest first."""
    from glocal.gallery.conditions import AllOf, Between, CameraIn, InFolder, Near, NotThis

    begin = 1_104_537_600
    return {
        "album": InFolder((30,)),
        "50 km": Near(48.85, 2.35, 50),
        "camera, date and place": AllOf(
            (CameraIn(("sony",)), Between("taken", begin + 10 * YEAR, None), Near(48.85, 2.35, 1e3))
        ),
        "year": Between("taken", begin + 10 * YEAR, begin + 11 * YEAR),
        "folder": InFolder((5,)),
        "1,000 km": Near(48.85, 2.35, 1_000),
        "camera": CameraIn(("nikon",)),
        "second half": Between("taken", begin + 10 * YEAR, None),
        "width": Between("width", None, 3_500),
        "not an album": NotThis(InFolder((30,))),
    }


def timed(call: Callable[[Any], object], queries: Any) -> dict[str, float]:
    """Median milliseconds of a call for each query, and mean milliseconds of the processor."""
    call(queries[0])
    used, times = time.process_time(), []
    for query in queries:
        began = time.perf_counter()
        call(query)
        times.append((time.perf_counter() - began) * 1e3)
    cpu = (time.process_time() - used) / len(queries) * 1e3
    return {"ms": round(median(times), 3), "processor ms": round(cpu, 3)}


Figures = Iterator[tuple[str, Any]]


def measure(folder: Path, count: int, few: int, only: list[str]) -> Figures:
    """The figures of the store that this process imports; all of them or some."""
    from synthetic import Space

    space = Space(count, DIM)
    queries = space.queries(few)
    store = open_store(folder)
    if not store.status().vectors:
        yield "write, s (of the processor)", write(store, space, 0, count)
        yield "build, s (of the processor)", build(store)
    while_open: dict[str, Callable[[], Figures]] = {
        "search": lambda: searches(store, queries),
        "conditions": lambda: under_conditions(store, queries[:20]),
        "disk": lambda: disk(folder, count),
        "threads": lambda: by_threads(store, queries),
        "processes": lambda: by_processes(folder, count),
    }
    for name, figures in while_open.items():
        if name in only:
            yield from figures()
    store.close()
    if "open" in only:
        yield "open and first search, ms (of the processor)", reader(folder, count, "open")
        yield "memory of a reader, MB", reader(folder, count, "memory")
    if "grow" in only:
        store = open_store(folder)
        start = store.status().vectors
        yield "add 1 %, s (of the processor)", write(store, space, start, max(count // 100, 1))
        yield "extend the graph, s (of the processor)", build(store)
        store.close()


def searches(store: Any, queries: Any) -> Figures:
    """By comparing all and by the graph, and what the graph finds."""
    yield "exact", timed(lambda q: store.search(q, 10, exact=True), queries)
    yield "graph", timed(lambda q: store.search(q, 10), queries)
    shares = []
    for query in queries:
        exact = {match.id for match in store.search(query, 10, exact=True)}
        shares.append(len(exact & {match.id for match in store.search(query, 10)}) / len(exact))
    yield "recall@10", round(float(np.mean(shares)), 4)


def under_conditions(store: Any, queries: Any) -> Figures:
    """Ten conditions, for few results and for many."""
    for name, where in conditions().items():
        for limit in (10, 200):
            call = partial(store.search, limit=limit, where=where)
            yield f"{name}, {limit}", timed(call, queries)


def disk(folder: Path, count: int) -> Figures:
    """What all files take."""
    taken = sum(p.lstat().st_blocks * 512 for p in folder.rglob("*") if p.is_file())
    yield "bytes a vector", taken // count


def by_threads(store: Any, queries: Any) -> Figures:
    """Searches a second by threads of this process."""
    for threads in (1, 2, 4):
        yield f"searches a second, {threads} threads", throughput(store, queries, threads)


def throughput(store: Any, queries: Any, threads: int) -> float:
    """Exact searches a second; the graph's are mostly Python."""
    ends = time.monotonic() + SECONDS
    done = [0] * threads

    def work(which: int) -> None:
        while time.monotonic() < ends:
            store.search(queries[done[which] % len(queries)], 10, exact=True)
            done[which] += 1

    running = [threading.Thread(target=work, args=(which,)) for which in range(threads)]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return round(sum(done) / SECONDS, 1)


def by_processes(folder: Path, count: int) -> Figures:
    """Searches a second by processes that each open the store."""
    for processes in (1, 2, 4):
        running = [_child("search", folder, count) for _ in range(processes)]
        done = [json.loads(process.communicate()[0].splitlines()[-1]) for process in running]
        yield f"searches a second, {processes} processes", round(sum(done), 1)


def reader(folder: Path, count: int, what: str) -> Any:
    """What a process that only reads takes."""
    return json.loads(_child(what, folder, count).communicate()[0].splitlines()[-1])


def _child(task: str, folder: Path, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--task", task, "--work", str(folder)]
    return subprocess.Popen([*command, "--count", str(count)], stdout=subprocess.PIPE, text=True)


def carry_out(task: str, folder: Path, count: int, few: int, only: list[str]) -> None:
    """What one of the processes that this script starts is there for."""
    if task == "measure":
        for name, value in measure(folder, count, few, only):
            print(json.dumps([name, value]), flush=True)
        return
    from synthetic import Space

    queries = Space(count, DIM).queries(20)
    before = _own_bytes()
    began, used = time.perf_counter(), time.process_time()
    store = open_store(folder)
    store.search(queries[0], 10)
    if task == "open":
        spent = time.perf_counter() - began, time.process_time() - used
        print([round(seconds * 1e3, 1) for seconds in spent])
    elif task == "memory":
        from glocal.gallery.conditions import InFolder

        for query in queries:
            store.search(query, 10)
            store.search(query, 10, where=InFolder((30,)))
        print(round((_own_bytes() - before) / 2**20, 1))
    else:
        print(throughput(store, queries, 1))
    store.close()


def _own_bytes() -> int:
    """Memory of this process that is not a mapped file's, which others may use too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("RssAnon:")[2].split()[0]) * 1024


def main() -> None:
    """Measure, print side by side, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--old", type=Path, help="a clone of the project, measured beside")
    parser.add_argument("--only", help=f"of {', '.join(ALL)}, by commas")
    parser.add_argument("--work", type=Path, help="where the stores are made, and stay")
    parser.add_argument("--quick", action="store_true", help="a small run that shows it works")
    parser.add_argument("--task", help=argparse.SUPPRESS)
    given = parser.parse_args()
    few = 10 if given.quick else 100
    only = given.only.split(",") if given.only else ALL
    if unknown := set(only) - set(ALL):
        parser.error(f"--only has no {', '.join(sorted(unknown))}; choose of {', '.join(ALL)}")
    if given.task:
        carry_out(given.task, given.work, given.count, few, only)
        return
    count = 22_000 if given.quick else given.count
    found: dict[str, dict[str, Any]] = {}
    sides = {"flat": Path(__file__).resolve().parent.parent}
    if given.old:
        sides["old"] = given.old.resolve()
    from measure import environment_of, print_table, write_results

    with tempfile.TemporaryDirectory() as temporary:
        for name, source in sides.items():
            folder = (given.work or Path(temporary)) / f"{name}-{count}"
            folder.mkdir(parents=True, exist_ok=True)
            command = [sys.executable, __file__, "--task", "measure", "--work", str(folder)]
            command += ["--count", str(count), "--only", ",".join(only)]
            command += ["--quick"] if given.quick else []
            run = subprocess.Popen(command, stdout=-1, text=True, env=environment_of(source))
            assert run.stdout is not None
            for line in run.stdout:
                figure, value = json.loads(line)
                found.setdefault(figure, {})[name] = value
                print(f"{name:5} {figure}: {value}", flush=True)
            if run.wait():
                raise SystemExit(f"measuring {name} ended with status {run.returncode}")
    rows = [(figure, *(str(values.get(s, "")) for s in sides)) for figure, values in found.items()]
    print_table(f"{count:,} vectors of {DIM} numbers", ["", *sides], rows)
    if only == ALL:
        write_results(f"store_{count}", {"count": count, "figures": found}, quick=given.quick)


if __name__ == "__main__":
    main()
