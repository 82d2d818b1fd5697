"""What `glocal duplicates` costs, as a gallery grows and in a second run, beside another checkout.

    python benchmarks/duplicates_speed.py [--quick] [--base SRC] [--count N] [--keep FOLDER]

The photos are the scenes and, evenly spread, Grocery's test and then training photos; each size is
a gallery of its own, and ``--count`` adds one of any size: beyond what photos there are it has
edited copies of some of them (`graded_edits`), each photo once with each kind by turns. Printed is
processor time, user and system, of `Gallery.duplicates` in a process of its own with one thread of
BLAS, whatever else the machine does: the first run, a second one of the unchanged gallery, and one
after 1 % more photos came; and that process's peak memory, which indexing may have reached.
``--base`` names the ``src`` of another checkout, whose first run is measured alike. ``--keep``
names a folder for the galleries, in which a later run finds the photos indexed; what was compared
is then dropped first.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

import glocal
from copies_edited import ENDINGS
from graded_edits import EDITS
from measure import arguments, print_table, write_results
from verification_sets import DATA, grocery

SIZES = (808, 1616, 3232)
_RUN = """
import contextlib, json, resource, sys
from pathlib import Path
from glocal.errors import QueryError
from glocal.gallery import Gallery

def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

runs, gallery, new, *photos = json.load(sys.stdin)
with Gallery(Path(gallery)) as opened:
    if photos:
        opened.add(*photos)
    for path in new:  # of an earlier run
        with contextlib.suppress(QueryError):
            opened.remove(path)
    for path in Path(gallery).glob("compared.sqlite*"):
        path.unlink()
    took = []
    for _ in range(runs):
        before = cpu()
        groups = opened.duplicates("copy")
        took.append(cpu() - before)
    if new:
        opened.add(*new)
        before = cpu()
        groups = opened.duplicates("copy")
        took.append(cpu() - before)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps([len(photos) + len(new), len(groups), took, peak]))
"""


def photos() -> list[Path]:
    """Scenes first, then Grocery's, so that a part of the list has all of the former."""
    scenes = sorted(path for path in (DATA / "scenes").rglob("*") if path.suffix == ".jpg")
    return scenes + [path for split in ("test", "train") for path, _ in grocery(split)]


def chosen(count: int, folder: Path | None = None) -> list[Path]:
    """That many photos; those that lack are made in a folder, out of the others."""
    everything = photos()
    if folder is not None and count > len(everything):
        return everything + made(folder, everything, count - len(everything))
    scenes = [path for path in everything if DATA / "scenes" in path.parents][:count]
    rest = everything[len(scenes) :]
    wanted = count - len(scenes)
    return scenes + [rest[i * len(rest) // wanted] for i in range(wanted)]


def made(folder: Path, originals: Sequence[Path], count: int) -> list[Path]:
    """Edited copies of photos, evenly spread over them, each of another kind than the last."""
    if folder.is_dir() and len(there := sorted(folder.iterdir())) == count:
        return there
    folder.mkdir(parents=True)
    rng = np.random.default_rng(7)
    paths = []
    for number in range(count):
        kind = list(EDITS)[number % len(EDITS)]
        with Image.open(originals[number * len(originals) // count]) as opened:
            data = EDITS[kind](opened.convert("RGB"), number // len(EDITS) % 3, rng)
        paths.append(folder / f"{number:05d} {kind}{ENDINGS[data[:2]]}")
        paths[-1].write_bytes(data)
    return paths


def measure(
    source: str, folder: Path, images: Sequence[Path], new: Sequence[Path], runs: int
) -> Any:
    """Images, groups of the last run, the seconds of each run, and the peak memory in MB."""
    done = subprocess.run(
        [sys.executable, "-c", _RUN],
        input=json.dumps([runs, str(folder), [*map(str, new)], *map(str, images)]),
        env=os.environ | {"PYTHONPATH": source, "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = arguments(__doc__ or "")
    parser.add_argument("--base", type=Path, help="the src folder of another checkout")
    parser.add_argument("--base-size", type=int, default=SIZES[0], help="photos it is measured on")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--count", type=int, help="photos of one more gallery, of any size")
    parser.add_argument("--keep", type=Path, help="folder in which the galleries stay")
    options = parser.parse_args()
    sizes = (133, 266) if options.quick else tuple(options.sizes)
    if options.count:
        sizes += (options.count,)
    mine = str(Path(glocal.__file__).resolve().parent.parent)
    rows, figures = [], []
    # Beside one another: it is processor time that is counted.
    with TemporaryDirectory() as temporary, ThreadPoolExecutor(1) as beside:
        folder = options.keep or Path(temporary)
        base = None
        if options.base is not None:
            source, images = str(options.base), chosen(options.base_size)
            base = beside.submit(measure, source, folder / "base", images, [], 1)
        for size in sizes:
            more = max(1, size // 100)
            images = chosen(size, folder / f"made {size}")
            there = set(images)
            new = [path for path in photos() if path not in there][:more]
            if len(new) < more:  # all photos are there: the last ones come later
                new, images = images[-more:], images[:-more]
            _, groups, took, peak = measure(mine, folder / str(size), images, new, 2)
            rows.append((f"{size} photos", *took, groups, peak))
            names = ("first", "unchanged", "one_percent_new")
            figure = {"code": "this", "images": size} | dict(zip(names, took, strict=True))
            figures.append(figure | {"groups": groups, "peak_memory_mb": peak})
            print(rows[-1], flush=True)
            write_results("duplicates_speed", {"runs": figures}, quick=options.quick)
        if base is not None:
            count, groups, took, peak = base.result()
            rows.append((f"base, {count} photos", took[0], "", "", groups, peak))
            figures.append({"code": "base", "images": count, "first": took[0]})
    columns = ["", "first run, s", "second run, s", "1 % new, s", "groups", "memory, MB"]
    print_table("Processor time of glocal duplicates", columns, rows)
    write_results("duplicates_speed", {"runs": figures}, quick=options.quick)


if __name__ == "__main__":
    main()
