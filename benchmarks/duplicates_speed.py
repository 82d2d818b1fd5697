"""What `glocal duplicates` costs, as a gallery grows and in a second run, beside another checkout.

    python benchmarks/duplicates_speed.py [--quick] [--base SRC]

The photos are the scenes and, evenly spread, Grocery's test and then training photos; each size is
a gallery of its own. Printed is processor time, user and system, of `Gallery.duplicates` in a
process of its own with one thread of BLAS, whatever else the machine does: the first run, a second
one of the unchanged gallery, and one after 1 % more photos came. ``--base`` names the ``src`` of
another checkout, whose first run is measured alike.
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

import glocal
from measure import arguments, print_table, write_results
from verification_sets import DATA, grocery

SIZES = (808, 1616, 3232)
_RUN = """
import json, resource, sys
from pathlib import Path
from glocal.gallery import Gallery

def cpu():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime

runs, gallery, new, *photos = json.load(sys.stdin)
with Gallery(Path(gallery)) as opened:
    if photos:
        opened.add(*photos)
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
    print(json.dumps([len(photos) + len(new), len(groups), took]))
"""


def photos() -> list[Path]:
    """Scenes first, then Grocery's, so that a part of the list has all of the former."""
    scenes = sorted(path for path in (DATA / "scenes").rglob("*") if path.suffix == ".jpg")
    return scenes + [path for split in ("test", "train") for path, _ in grocery(split)]


def chosen(count: int) -> list[Path]:
    everything = photos()
    scenes = [path for path in everything if DATA / "scenes" in path.parents][:count]
    rest = everything[len(scenes) :]
    wanted = count - len(scenes)
    return scenes + [rest[i * len(rest) // wanted] for i in range(wanted)]


def measure(
    source: str, folder: Path, images: Sequence[Path], new: Sequence[Path], runs: int
) -> Any:
    """Images, groups of the last run, and the seconds of each run."""
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
    options = parser.parse_args()
    sizes = (133, 266) if options.quick else options.sizes
    mine = str(Path(glocal.__file__).resolve().parent.parent)
    rows, figures = [], []
    # Beside one another: it is processor time that is counted.
    with TemporaryDirectory() as temporary, ThreadPoolExecutor(1) as beside:
        folder = Path(temporary)
        base = None
        if options.base is not None:
            source, images = str(options.base), chosen(options.base_size)
            base = beside.submit(measure, source, folder / "base", images, [], 1)
        for size in sizes:
            images = chosen(size)
            new = [path for path in photos() if path not in set(images)][: max(1, size // 100)]
            _, groups, took = measure(mine, folder / str(size), images, new, 2)
            rows.append((f"{size} photos", *took, groups))
            names = ("first", "unchanged", "one_percent_new")
            figures.append({"code": "this", "images": size} | dict(zip(names, took, strict=True)))
            print(rows[-1], flush=True)
        if base is not None:
            count, groups, took = base.result()
            rows.append((f"base, {count} photos", took[0], "", "", groups))
            figures.append({"code": "base", "images": count, "first": took[0]})
    columns = ["", "first run, s", "second run, s", "1 % new, s", "groups"]
    print_table("Processor time of glocal duplicates", columns, rows)
    write_results("duplicates_speed", {"runs": figures}, quick=options.quick)


if __name__ == "__main__":
    main()
