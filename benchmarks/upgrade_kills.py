"""An upgrade of real photos, killed again and again, ends equal to one that ran through.

    python benchmarks/upgrade_kills.py --images FOLDER --old OLD.onnx --work DIR [--kills 20]

Indexes the photos with the old model, twice the same; upgrades one gallery to the bundled model
without a stop, and sends SIGKILL to the upgrade of the other one at random moments, with a search
after each kill. In the end ids, vectors and local features have to be equal, and the check sound.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from glocal.gallery import Gallery

RESULTS = Path(__file__).with_name("results") / "upgrade_kills.json"
GLOCAL = [sys.executable, "-c", "from glocal.cli import main; main()"]


def state(folder: Path) -> dict[str, tuple[bytes, bytes]]:
    """Vector and packed local features of every image."""
    with Gallery(folder, create=False) as gallery:
        if not gallery.check(sample=None).sound:
            raise SystemExit(f"{folder} is not sound: {gallery.check().faults()}")
        ids = sorted(gallery._catalog.content_ids())
        vectors = gallery._context.store.vectors(ids)
        local = gallery._catalog.local_features(ids)
        return {i.hex: (np.float16(vectors[i]).tobytes(), local.get(i, b"")) for i in ids}


def upgrade(folder: Path, anchors: int) -> list[str]:
    """The command that begins or continues the upgrade."""
    with Gallery(folder, create=False) as gallery:
        under_way = gallery.upgrade().progress() is not None
    more = [] if under_way else ["--model", "glocal-lite0", "--anchors", str(anchors)]
    return [*GLOCAL, "upgrade", "--yes", "--gallery", str(folder), *more]


def ended(folder: Path) -> bool:
    """Whether a gallery is of the bundled model alone."""
    with Gallery(folder, create=False) as gallery:
        return gallery.upgrade().progress() is None and gallery.model.space == "glocal-lite0-v2"


def main() -> None:
    """Kill, compare, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--old", required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--anchors", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=20, help="longest life of a process")
    arguments = parser.parse_args()
    whole, killed = arguments.work / "whole", arguments.work / "killed"
    with Gallery(whole, model=arguments.old) as gallery:
        gallery.add(arguments.images)
    shutil.copytree(whole, killed)
    subprocess.run(upgrade(whole, arguments.anchors), check=True)
    draw, kills, stages = random.Random(0), 0, list[str]()
    query = next(path for path in sorted(arguments.images.rglob("*")) if path.is_file())
    while kills < arguments.kills:
        process = subprocess.Popen(upgrade(killed, arguments.anchors), stdout=subprocess.DEVNULL)
        time.sleep(draw.uniform(0, arguments.seconds))
        if process.poll() is not None:
            break  # it was quicker
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        with Gallery(killed, create=False) as gallery:
            progress = gallery.upgrade().progress()
            found = gallery.search(query, limit=1).hits[0]
            if query.resolve() not in [path.resolve() for path in found.paths]:
                raise SystemExit(f"after kill {kills} {query} is not found")
        stages.append("not begun" if progress is None else f"{progress.encoded}")
    while not ended(killed):
        subprocess.run(upgrade(killed, arguments.anchors), check=True, stdout=subprocess.DEVNULL)
    one, other = state(whole), state(killed)
    result = {"images": len(one), "kills": kills, "encoded at each": stages, "equal": one == other}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))
    if one != other:
        raise SystemExit("the galleries differ")


if __name__ == "__main__":
    main()
