"""Readers, writers and builders that are killed again and again, beside exact answers.

    python benchmarks/store_stress.py [--seconds 600] [--kills 1000] [--readers 4] [--writers 2]
        [--slow-disk]

Processes add, change and remove vectors (each writer its own ids), search, and build graphs, all in
one folder, while any of them is ended by SIGKILL at random moments and started again. A writer
notes in a file of its own what was acknowledged; after a kill the next one compares that with what
is there. A reader compares each search with an exact one computed from what is committed. Now and
then, and at the end, all are killed, one after another, and the store is checked whole: what one
of them had begun to commit is then completed by whoever opens the database next. ``--slow-disk``
(Linux, with a C compiler) lets each sync take up to 60 ms more, so that most are killed within one.
Printed: what was done, and every contradiction; none is the aim.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from glocal.gallery.conditions import InFolder
from glocal.gallery.database import Database
from glocal.gallery.records import Attributes, Record
from glocal.gallery.rows import SCHEMA, RowTable
from glocal.gallery.stores import flat, upkeep
from glocal.gallery.stores.flat import FlatStore

DIM = 32
OWN = 1_000_000  # ids of each writer
ALL_AT_ONCE = 0.05  # of the moments at which one is killed: all are


@contextmanager
def opened(folder: Path) -> Iterator[FlatStore]:
    """The store, with graphs from a few hundred rows on."""
    upkeep.GRAPH_FROM, upkeep.GRAPH_BEHIND, upkeep.DEAD_SHARE = 500, 100, 0.2
    flat._WALK, flat._LOADING = 1, 0
    with (
        closing(Database(folder / "catalog.sqlite", SCHEMA)) as database,
        closing(FlatStore(folder / "v", DIM, RowTable(database, "space"))) as store,
    ):
        yield store


ROUNDING = 5e-3
"""Half a step of a byte in parts of the greatest number, which is at most 1, and its new length."""


def unit(number: int, version: int) -> np.ndarray:
    """The vector of an image, another one for each time that it is written."""
    vector = np.random.default_rng([number, version]).standard_normal(DIM).astype(np.float32)
    return vector / np.linalg.norm(vector)


def report(folder: Path, name: str, **what: object) -> None:
    """Add a line to what a process says; whole lines survive its end."""
    with (folder / f"{name}.said").open("a") as file:
        file.write(json.dumps(what) + "\n")


def write(folder: Path, which: int) -> None:
    """Change own images for ever, each change noted before and after."""
    chance = random.Random(os.getpid())
    note = folder / f"writer-{which}.json"
    # What was acknowledged: image to version; and the change that was under way, done or not.
    state = json.loads(note.read_text()) if note.exists() else {"is": {}, "may": {}}
    with opened(folder) as store:
        ids = {UUID(int=which * OWN + int(n) + 1): n for n in {**state["is"], **state["may"]}}
        there = store.vectors(list(ids))
        for i, number in ids.items():
            allowed = [state["is"].get(number)]
            if number in state["may"]:
                allowed.append(state["may"][number])
            versions = [
                v for v in allowed if (v is None and i not in there) or (
                    v is not None and i in there
                    and np.allclose(there[i], unit(which * OWN + int(number), v), atol=ROUNDING)
                )
            ]  # fmt: skip
            if not versions:
                report(folder, f"writer-{which}", fault=f"{number}: neither of {allowed}")
            elif versions[0] is None:
                state["is"].pop(number, None)
            else:
                state["is"][number] = versions[0]
        while True:
            change = {
                str(chance.randrange(3_000)): chance.randrange(10**6)
                if chance.random() < 0.7
                else None
                for _ in range(chance.randrange(1, 40))
            }
            _note(note, {"is": state["is"], "may": change})
            with store.rows.database.change():
                store.upsert(
                    [
                        Record(
                            UUID(int=which * OWN + int(n) + 1),
                            unit(which * OWN + int(n), v),
                            Attributes((1, 2 + v % 7), 1, 1, v),
                        )
                        for n, v in change.items()
                        if v is not None
                    ]
                )
                gone = [n for n, v in change.items() if v is None]
                store.delete([UUID(int=which * OWN + int(n) + 1) for n in gone])
            state["is"] |= {n: v for n, v in change.items() if v is not None}
            for number in gone:
                state["is"].pop(number, None)
            _note(note, {"is": state["is"], "may": {}})
            report(folder, f"writer-{which}", batches=1)
            store.sweep()


def _note(path: Path, state: object) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(state))
    fresh.replace(path)


def read(folder: Path, which: int) -> None:
    """Search for ever; each answer is compared with one computed from what was committed."""
    chance = np.random.default_rng(os.getpid())
    with opened(folder) as store:
        while True:
            query = chance.standard_normal(DIM).astype(np.float32)
            query /= np.linalg.norm(query)
            where = InFolder((2 + int(chance.integers(7)),)) if chance.random() < 0.5 else None
            before = store.rows.extent()
            found = store.search(query, 10, where=where)
            view, vectors = store.mapped()
            same, columns = store.rows.described()
            if not before.version == view.extent.version == same.extent.version:
                continue  # something was committed meanwhile: which moment it saw is not known
            scores = np.where(view.live, store.coding.vectors(vectors) @ query, -np.inf)
            if where is not None:
                inside = [k for k, f in columns.folder_sets.items() if where.folders[0] in f]
                scores[~np.isin(columns.folders, inside)] = -np.inf
            order = np.argsort(-scores, kind="stable")[:10]
            right = {view.id(row): float(scores[row]) for row in order if np.isfinite(scores[row])}
            wrong = [m for m in found if abs(right.get(m.id, 9.0) - m.score) > 2e-3]
            missed = len(set(right) - {m.id for m in found})
            report(folder, f"reader-{which}", searches=1, expected=len(right), missed=missed)
            if len(found) != len(right) or (wrong and min(m.score for m in wrong) < min(
                right.values(), default=0) - 0.1):  # fmt: skip
                report(folder, f"reader-{which}", fault=f"{found} instead of {right}")


def build(folder: Path, which: int) -> None:
    """Compact, and build graphs, for ever."""
    with opened(folder) as store:
        while True:
            if store.maintain():
                report(folder, f"builder-{which}", builds=1)
            while store.status().building:
                time.sleep(0.01)
            time.sleep(0.05)


def checked(folder: Path) -> list[str]:
    """What is wrong with the store, which nobody else has open."""
    with opened(folder) as store:
        lost = store.damaged()
        return [f"{len(lost)} vectors are damaged"] if lost else []


def end(processes: Sequence[Any], chance: random.Random) -> None:
    """Kill processes; the next one has time to take the lock of the one before."""
    for process in processes:
        process.kill()
        process.join()
        if len(processes) > 1:
            time.sleep(chance.uniform(0, 0.15))


def said(folder: Path) -> Iterator[tuple[str, Any]]:
    """What the processes have reported."""
    for path in folder.glob("*.said"):
        for line in path.read_text().splitlines():
            with suppress(ValueError):  # cut by a kill
                yield from json.loads(line).items()


TASKS = {"writer": write, "reader": read, "builder": build}


def stress(
    folder: Path, seconds: float, kills: int, kinds: dict[str, int], seed: int
) -> dict[str, object]:
    """Run all of them and end some, until the time is over and enough were ended."""
    forking = multiprocessing.get_context("fork")  # what is imported is not imported again
    wanted = [(kind, n) for kind, count in kinds.items() for n in range(count)]
    running: dict[tuple[str, int], Any] = {}
    chance = random.Random(seed)
    killed = failed = emptied = 0
    faults: list[str] = []
    began = time.monotonic()
    while time.monotonic() < began + seconds or killed < kills:
        for kind, which in wanted:
            process = running.get((kind, which))
            if process is not None and process.exitcode not in (None, -signal.SIGKILL):
                failed += 1
            if process is None or process.exitcode is not None:
                process = forking.Process(target=TASKS[kind], args=(folder, which))
                process.start()
                running[kind, which] = process
        time.sleep(min(seconds / max(kills, 1), 0.5) * chance.uniform(0.1, 1.9))
        if killed < kills:
            every = chance.random() < ALL_AT_ONCE
            victims = chance.sample(wanted, len(wanted) if every else 1)
            killed += len(victims)
            end([running[victim] for victim in victims], chance)
            if every:
                emptied += 1
                faults += checked(folder)
    end([*running.values()], chance)
    faults += checked(folder)
    seconds = round(time.monotonic() - began)
    totals: dict[str, Any] = {"seconds": seconds, "kills": killed, "all killed": emptied + 1}
    if failed:
        faults.append(f"{failed} processes ended by themselves")
    for key, value in said(folder):
        if key == "fault":
            faults.append(value)
        else:
            totals[key] = totals.get(key, 0) + value
    with opened(folder) as store:
        totals["vectors"], totals["generation"] = (
            store.status().vectors,
            store.rows.extent().generation,
        )
    return totals | {"faults": faults}


_SLOW = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>
static int slowed(const char *name, int file) {
    usleep(rand() % 30000);
    int result = ((int (*)(int))dlsym(RTLD_NEXT, name))(file);
    usleep(rand() % 30000);
    return result;
}
int fsync(int file) { return slowed("fsync", file); }
int fdatasync(int file) { return slowed("fdatasync", file); }
"""


def slow_disk(folder: Path) -> None:
    """Begin this program again with slower syncs."""
    (folder / "slow.c").write_text(_SLOW)
    library = str(folder / "slow.so")
    command = ["cc", "-shared", "-fPIC", "-o", library, str(folder / "slow.c"), "-ldl"]
    subprocess.run(command, check=True)
    environment = os.environ | {"LD_PRELOAD": library}
    run = subprocess.run([sys.executable, *sys.argv], env=environment, check=False)
    raise SystemExit(run.returncode)


def main() -> None:
    """Run, print, and fail when anything contradicts."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--kills", type=int, default=1_000)
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--writers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0, help="of who is killed, and when")
    parser.add_argument("--slow-disk", action="store_true", help="let syncs take longer")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        if given.slow_disk and "LD_PRELOAD" not in os.environ:
            slow_disk(Path(temporary))
        kinds = {"writer": given.writers, "reader": given.readers, "builder": 1}
        found = stress(Path(temporary), given.seconds, given.kills, kinds, given.seed)
    print(json.dumps(found, indent=2))
    if found["faults"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
