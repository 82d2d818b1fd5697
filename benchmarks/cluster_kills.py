"""An index run by Ray's workers into Milvus, all of which are killed, ends as one that was not.

    python benchmarks/cluster_kills.py --images FOLDER --work DIR [--count 1000] [--kills 12]
        [--postgres]

Indexes photos into an embedded gallery, in one process and without a stop. Then `glocal index`
indexes them with two of Ray's workers into a Milvus server. In equal parts of that run the process
that indexes, a worker or the server is killed by SIGKILL, in turn: at a random number of images
that the catalogue has, and a random moment of the next batch. The server is started again at once,
and the command is run again whenever it has ended. In the end every photo has to be there once, in
the catalogue and in Milvus, with the vector and the local features of the embedded gallery, and the
check has to be sound. With ``--postgres`` the catalogue is in a PostgreSQL server of its own, which
is killed too.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np

from cluster_here import (
    PostgresServer,
    RealServer,
    catalogue,
    cluster_file,
    milvus,
    ray_cluster,
    ray_workers,
)
from glocal.gallery import Gallery
from glocal.gallery.layout import read_description
from measure import arguments, write_results
from upgrade_kills import GLOCAL, gather

KINDS = ("driver", "worker", "milvus", "postgres")
NEXT_BATCH = 1.0  # seconds, in which a kill comes after the number of images is reached
LONGEST = 600.0  # seconds without any image more, after which something is wrong


class Run:
    """The process that indexes, run again whenever it has ended.

    Args:
        command: to run.
        log: what it says.
    """

    def __init__(self, command: list[str], log: Path) -> None:
        self._command, self._log = command, log
        self.ended: Counter[str] = Counter()
        self._process: subprocess.Popen[bytes] | None = None

    def ensure(self) -> None:
        """Run it, unless it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        if self._process is not None:
            self.ended[str(self._process.returncode)] += 1
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)

    def kill(self) -> None:
        """Kill it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def finish(self) -> dict[str, Any]:
        """Let it end by itself, as often as it takes; its last report."""
        for _ in range(20):
            if self._process is not None and self._process.wait() == 0:
                return dict(json.loads(self._log.read_text().strip().splitlines()[-1]))
            self.ensure()
        raise SystemExit(f"the run does not end well: see {self._log}")


def committed(folder: Path, postgres: PostgresServer | None) -> int:
    """How many images the catalogue has, as any other process sees it."""
    if postgres is not None:
        return committed_there(folder, postgres)
    path = folder / "catalog.sqlite"
    if not path.exists():
        return 0
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
        try:
            return int(db.execute("SELECT COUNT(*) FROM contents").fetchone()[0])
        except sqlite3.OperationalError:  # it is being made
            return 0


def committed_there(folder: Path, postgres: PostgresServer) -> int:
    import psycopg

    if not (folder / "gallery.json").exists():
        return 0
    name = read_description(folder)["store"]["catalogue"]
    while True:
        with (
            suppress(psycopg.OperationalError),  # it has just been killed
            psycopg.connect(postgres.uri) as db,
        ):
            if db.execute("SELECT to_regclass(%s)", (f"{name}.contents",)).fetchone() == (None,):
                return 0
            count = f"SELECT COUNT(*) FROM {name}.contents"  # noqa: S608
            return int((db.execute(count.encode()).fetchone() or (0,))[0])
        time.sleep(0.1)


def wait_for(folder: Path, postgres: PostgresServer | None, run: Run, target: int) -> None:
    """Let it run until the catalogue has so many images."""
    since = time.monotonic()
    while (reached := committed(folder, postgres)) < target:
        run.ensure()
        time.sleep(0.05)
        if time.monotonic() - since > LONGEST:
            raise SystemExit(f"nothing more than {reached} images: see {run._log}")
    run.ensure()


def kill(kind: str, run: Run, server: RealServer, postgres: PostgresServer | None) -> bool:
    """Kill one of them; whether there was any."""
    if kind == "driver":
        run.kill()
    elif kind == "milvus":
        server.kill()
        server.start()
    elif kind == "postgres":
        assert postgres is not None
        postgres.kill()
        postgres.start()
    else:
        ends = time.monotonic() + 180  # a driver that was killed before starts them anew
        while not (workers := ray_workers()):
            if time.monotonic() > ends:
                return False
            time.sleep(0.1)
        os.kill(random.choice(workers), signal.SIGKILL)
    return True


def state(folder: Path) -> dict[str, tuple[bytes, bytes]]:
    """Vector and packed local features of every image."""
    with Gallery(folder, create=False) as gallery:
        ids = sorted(gallery._catalog.content_ids())
        vectors = gallery._context.store.vectors(ids)
        local = gallery._catalog.local_features(ids)
        return {i.hex: (np.float16(vectors[i]).tobytes(), local.get(i, b"")) for i in ids}


def files(folder: Path) -> Counter[str]:
    with Gallery(folder, create=False) as gallery:
        return Counter(str(path) for path, _ in gallery._catalog.all_files())


def strike(
    folder: Path,
    images: int,
    kills: int,
    draw: random.Random,
    run: Run,
    server: RealServer,
    postgres: PostgresServer | None,
) -> list[dict[str, Any]]:
    """Kill each kind in turn; what was killed, and at how many images."""
    done: list[dict[str, Any]] = []
    kinds = KINDS if postgres is not None else KINDS[:-1]
    for number in range(kills):
        kind = kinds[number % len(kinds)]
        target = round(images * (number + draw.random()) / (kills + 1))
        wait_for(folder, postgres, run, target)
        time.sleep(draw.uniform(0, NEXT_BATCH))
        if kill(kind, run, server, postgres):
            done.append({"kind": kind, "at": committed(folder, postgres)})
            print(f"killed the {kind} at {done[-1]['at']} of {images}", flush=True)
    return done


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--count", type=int, default=1_000)
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--postgres", action="store_true", help="the catalogue is in a server")
    options = parser.parse_args()
    if options.quick:
        options.count, options.kills = 150, 3
    photos = options.work / "photos"
    wanted = gather(options.images, photos, options.count)[: options.count]
    embedded, folder = options.work / "embedded", options.work / "gallery"
    with Gallery(embedded) as gallery:
        gallery.add(photos)
        images = gallery.info().images
    draw = random.Random(options.seed)
    random.seed(options.seed)
    with (
        catalogue(there=options.postgres) as postgres,
        ray_cluster(2) as address,
        milvus(options.work / "milvus") as server,
    ):
        config = cluster_file(options.work / "cluster.toml", server, address)
        if postgres is not None:
            with config.open("a") as file:
                file.write(f'[catalogue]\nuri = "{postgres.uri}"\n')
        command = [*GLOCAL, "index", "--json", "--wait", "120", "-g", str(folder), str(photos)]
        run = Run([*command, "--cluster", str(config)], options.work / "log")
        done = strike(folder, images, options.kills, draw, run, server, postgres)
        run.ensure()
        report = run.finish()
        again = run.ended
        run.ensure()
        last = run.finish()
        one, other = state(embedded), state(folder)
        with Gallery(folder, create=False) as gallery:
            store = gallery._context.store.vectors_there  # type: ignore[attr-defined]
            in_milvus = store.status().vectors
            sound, faults = gallery.check(sample=None).sound, gallery.check().faults()
        files_equal = files(embedded) == files(folder)
    figures = {
        "catalogue": "sqlite" if postgres is None else "postgres",
        "photos": len(wanted),
        "images": images,
        "kills": Counter(each["kind"] for each in done),
        "at": done,
        "ends of the command by status": again,
        "images in the cluster's gallery": len(other),
        "vectors in Milvus": in_milvus,
        "ids equal": one.keys() == other.keys(),
        "vectors equal": sum(one[i][0] == other[i][0] for i in one.keys() & other.keys()),
        "local features equal": sum(one[i][1] == other[i][1] for i in one.keys() & other.keys()),
        "files equal": files_equal,
        "failed": len(report["failed"]) + len(last["failed"]),
        "unchanged in the last run": last["unchanged"],
        "sound": sound,
    }
    print(figures)
    write_results("cluster_kills", figures, quick=options.quick)
    whole = one == other and in_milvus == len(one) and figures["files equal"] and sound
    if not whole or figures["failed"]:
        raise SystemExit(f"the galleries differ: {faults}")


if __name__ == "__main__":
    main()
