"""A gallery that is moved into a cluster and back, killed again and again, loses nothing.

    python benchmarks/cluster_moves.py --images FOLDER --work DIR [--count 400] [--kills 20]

Half of the photos are indexed into an embedded gallery. It moves into a Milvus server (vectors) and
a PostgreSQL server (catalogue) and back, once without a stop, by which the time of a move is known;
then there and back again, killed by SIGKILL at random moments of that time. Meanwhile another
process, which has the gallery open all the time, adds the other half photo by photo, and repeats
what was refused. In the end the gallery has to be one that was never moved: ids, files, vectors and
local features are equal, the check is sound, and neither server has anything of it any more.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from cluster_here import PostgresServer, RealServer, catalogue, cluster_file, milvus
from cluster_kills import files, state
from glocal.cluster.config import ClusterConfig
from glocal.cluster.server import Server
from glocal.gallery import Gallery
from measure import arguments, write_results
from upgrade_kills import GLOCAL, gather

LONGEST = 900.0  # seconds
IN_TURN = 4  # moves in one direction that are killed before one may end
WRITER = """
import sys, time
from collections import Counter
from pathlib import Path
from glocal.errors import GlocalError
from glocal.gallery import Gallery

refused = Counter()
with Gallery(sys.argv[1], create=False, timeout=120) as gallery:
    for path in sorted(Path(sys.argv[2]).iterdir()):
        while True:
            try:
                report = gallery.add(path)
            except GlocalError as error:
                refused[type(error).__name__] += 1
                time.sleep(0.1)
            else:
                assert report.added == 1, report
                break
        print(path, flush=True)
        time.sleep(float(sys.argv[3]))
print(dict(refused))
"""


def moved(folder: Path, config: Path, log: Path, seconds: float | None, *, there: bool) -> bool:
    """Run a move; whether it came to its end.

    Args:
        folder: of the gallery.
        config: of the cluster.
        log: what the command says.
        seconds: after which it is killed; `None`: never, and it has to end well.
        there: into the cluster, or back.
    """
    command = [*GLOCAL, "move", "--json", "--wait", "120", str(folder)]
    command.append(str(config) if there else "--back")
    with log.open("ab") as said:
        process = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            ended = process.wait(LONGEST if seconds is None else seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            if seconds is None:
                raise
            return False
    if ended and seconds is None:  # else a killed one may have done it all
        raise SystemExit(f"the move has failed: see {log}")
    return True


def left(server: RealServer, postgres: PostgresServer) -> list[str]:
    """What the servers have of galleries."""
    there = Server(ClusterConfig(server.uri))
    found = there.repeat(lambda client, limit: client.list_collections(timeout=limit))
    there.close()
    with psycopg.connect(postgres.uri) as db:
        found += [n for (n,) in db.execute("SELECT nspname FROM pg_namespace").fetchall()]
    return [name for name in found if name.startswith("bench")]


def prepare(work: Path, images: Path, count: int) -> tuple[Path, Path, Path]:
    """Photos in two halves, an embedded gallery of all, and one of the first half that moves."""
    photos, embedded, folder = (work / name for name in ("photos", "embedded", "gallery"))
    for number, path in enumerate(gather(images, work / "all", count)):
        half = photos / ("later" if number % 2 else "first")
        half.mkdir(parents=True, exist_ok=True)
        (half / path.name).symlink_to(path.resolve())
    for target, source in ((embedded, photos), (folder, photos / "first")):
        with Gallery(target) as gallery:
            gallery.add(source)
    return photos, embedded, folder


def strike(
    kills: int, took: dict[bool, float], draw: random.Random, move: Callable[..., bool]
) -> list[dict[str, Any]]:
    """Kill moves at random moments, there and back in turn; where to, and after how many seconds.

    Args:
        kills: how many.
        took: seconds of a move that is not killed, there and back.
        draw: gives the moments.
        move: runs the command for so many seconds, and says whether it came to its end.
    """
    killed: list[dict[str, Any]] = []
    there, of_this = True, 0
    while len(killed) < kills:
        moment = LONGEST if of_this == IN_TURN else draw.uniform(0.05, 1) * took[there]
        if move(moment, there=there):
            there, of_this = not there, 0
            continue
        of_this += 1
        killed.append({"to": "cluster" if there else "folder", "after": round(moment, 1)})
        print(f"killed {killed[-1]} of {took[there]:.1f} s", flush=True)
    return killed


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--count", type=int, default=400)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.quick:
        options.count, options.kills = 60, 4
    os.environ.setdefault("GLOCAL_PRECISION", "float")  # the same in all processes
    draw = random.Random(options.seed)
    photos, embedded, folder = prepare(options.work, options.images, options.count)
    took: dict[bool, float] = {}
    with catalogue(there=True) as postgres, milvus(options.work / "milvus") as server:
        assert postgres is not None
        config = cluster_file(options.work / "cluster.toml", server, None)
        with config.open("a") as file:
            file.write(f'[catalogue]\nuri = "{postgres.uri}"\n')
        move = partial(moved, folder, config, options.work / "log")
        for there in (True, False):
            began = time.monotonic()
            move(None, there=there)
            took[there] = time.monotonic() - began
        pause = sum(took.values()) * options.kills / 4 / options.count
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, folder, photos / "later", str(pause)],
            stdout=subprocess.PIPE,
            text=True,
        )
        killed = strike(options.kills, took, draw, move)
        if left(server, postgres):
            move(None, there=False)
        said = writer.communicate(timeout=LONGEST)[0].strip().splitlines()
        remains = left(server, postgres)
    one, other = state(embedded), state(folder)
    with Gallery(folder, create=False) as gallery:
        check = gallery.check(sample=None)
    figures = {
        "photos": options.count,
        "kills": len(killed),
        "killed": killed,
        "seconds of a move there": round(took[True], 1),
        "seconds of a move back": round(took[False], 1),
        "photos added meanwhile": len(said) - 1,
        "refused meanwhile, and repeated": said[-1],
        "images": len(other),
        "ids equal": one.keys() == other.keys(),
        "vectors equal": sum(one[i][0] == other[i][0] for i in one.keys() & other.keys()),
        "local features equal": sum(one[i][1] == other[i][1] for i in one.keys() & other.keys()),
        "files equal": files(embedded) == files(folder),
        "left in the servers": remains,
        "sound": check.sound,
    }
    print(figures)
    write_results("cluster_moves", figures, quick=options.quick)
    if one != other or not figures["files equal"] or remains or not check.sound:
        raise SystemExit(f"the galleries differ: {check.faults()}")


if __name__ == "__main__":
    main()
