"""What the catalogue costs: the processor time of what an index run and a search ask of it.

    python benchmarks/catalogue.py [--before CHECKOUT] [--images 20000] [--runs 7] [--quick]

Each run is a process of its own with an SQLite file of its own: batches of 64 images are written as
an index run does, one lot is written once more, an unchanged folder is compared, and the content,
files and folders of ten hits are looked up, as after a search: of many repetitions the least
counts, which others on the machine disturb least. With ``--before``, another checkout of glocal
does the same in turns with this one, so that both see the same machine.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import arguments, environment_of, median, print_table, write_results

_WORK = """
import json, sys, time
from contextlib import closing
from pathlib import Path
from uuid import UUID
import numpy as np
from glocal.gallery.catalog import Catalog, Content, FileState
from glocal.gallery.records import Attributes
from glocal.gallery.rows import RowTable

place, count = Path(sys.argv[1]), int(sys.argv[2])
ids = [UUID(bytes=np.random.default_rng(n).bytes(16)) for n in range(count)]
vectors = np.zeros((64, 8), np.float16)
found = {}

def timed(name, work, times=1):
    least = 1e9
    for _ in range(times):
        began = time.process_time()
        work()
        least = min(least, time.process_time() - began)
    found[name] = least

with closing(Catalog(place)) as catalog:
    rows = RowTable(catalog, "space")

    def write(first, last):
        for start in range(first, last, 64):
            some = range(start, min(start + 64, last))
            folder = catalog.folder(Path(f"/photos/{start // 1024}"), lambda _: 7)
            with catalog.change():
                known = catalog.contents(ids[n] for n in some)
                homes = catalog.homes_of(known)
                above = catalog.lineage(folder)
                images = [Attributes(above, 640, 480, 9, n, "camera", (1.0, 2.0)) for n in some]
                fresh = [ids[n] for n in some]
                if not known:
                    rows.append(fresh, images, vectors[: len(fresh)])
                catalog.put_contents(
                    [Content(i, 640, 480, 9, 5, "camera", 1.0, 2.0) for i in fresh],
                    [(i, i.bytes * 60) for i in fresh],
                )
                catalog.files_named(folder, [b"%d" % n for n in some])
                catalog.put_files(
                    (folder, FileState(b"%d" % n, n, n, ids[n], None, None, n)) for n in some
                )

    def unchanged():
        for start in range(0, count, 1024):
            folder = catalog.find_folder(Path(f"/photos/{start // 1024}"))
            assert len(catalog.files_in(folder)) == min(1024, count - start)

    def search():
        for start in range(0, 500, 10):
            hits = ids[start : start + 10]
            rows.find(hits)
            catalog.contents(hits)
            catalog.files_of(hits)
            catalog.folders_of(hits)
            catalog.local_features(hits)

    timed("written", lambda: write(0, count))
    timed("written again", lambda: write(0, min(count, 1_024)), 9)
    timed("unchanged", unchanged, 25)
    timed("50 searches", search, 25)
    timed("viewed", lambda: RowTable(catalog, "space").described(), 50)
print(json.dumps(found))
"""


def run(checkout: Path, images: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", _WORK, f"{folder}/catalog.sqlite", str(images)]
        environment = environment_of(checkout)
        ended = subprocess.run(command, env=environment, capture_output=True, check=True)
    found: dict[str, float] = json.loads(ended.stdout)
    return found


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    if options.quick:
        options.images, options.runs = 2_048, 1
    checkouts = {"this": Path(__file__).resolve().parents[1]}
    if options.before is not None:
        checkouts = {"before": options.before.resolve(), **checkouts}
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in checkouts}
    for number in range(options.runs):
        for name in list(checkouts)[:: 1 if number % 2 else -1]:
            runs[name].append(run(checkouts[name], options.images))
    rows: list[list[Any]] = []
    for work in runs["this"][0]:
        row: list[Any] = [work, *(median(each[work] for each in runs[name]) for name in checkouts)]
        if "before" in runs:
            pairs = zip(runs["before"], runs["this"], strict=True)
            ratios = sorted(after[work] / before[work] for before, after in pairs)
            row += [median(ratios), ratios[0], ratios[-1]]
        rows.append(row)
    heads = ["processor s", *checkouts]
    heads += ["ratio", "least", "most"] if "before" in runs else []
    print_table(f"{options.images:,} images, {options.runs} runs", heads, rows)
    write_results("catalogue", {"heads": heads, "rows": rows}, quick=options.quick)


if __name__ == "__main__":
    main()
