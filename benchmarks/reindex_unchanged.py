"""How long ``glocal index`` takes when nothing has changed since the last time.

    python benchmarks/reindex_unchanged.py [--count 100000] [--runs 5] [--quick]

Makes 100,000 small JPEGs, each different, in 500 folders, and a gallery that has them all: its
catalogue and vectors are written directly, with the sizes and times the files really have. Then
``glocal index`` runs over them in processes of its own, and must find every image unchanged. The
median wall time and processor time and the highest memory are printed; also the time of listing the
same folders without doing anything else, which nothing can beat.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

from measure import (
    Ended,
    Target,
    arguments,
    child_median,
    glocal_command,
    median,
    milliseconds,
    print_table,
    print_targets,
    processor_median,
    run_process,
    write_results,
)
from synthetic import file_name, fill_gallery, image_folders

TARGETS: list[Target] = [("glocal index, s", "<=", 5.0)]


def tiny_jpeg() -> bytes:
    """An image of 8 x 8 pixels."""
    buffer = io.BytesIO()
    Image.linear_gradient("L").resize((8, 8)).save(buffer, "JPEG", quality=50)
    return buffer.getvalue()


def numbered(jpeg: bytes, number: int) -> bytes:
    """The same image with a comment that makes its file unlike all others."""
    comment = b"%012d" % number
    segment = b"\xff\xfe" + (len(comment) + 2).to_bytes(2, "big") + comment
    return jpeg[:2] + segment + jpeg[2:]


def make_files(root: Path, count: int, jpeg: bytes) -> None:
    """Write the images where the gallery will say they are."""
    for folder, numbers in image_folders(root, count):
        folder.mkdir(parents=True)
        for number in numbers:
            (folder / file_name(number)).write_bytes(numbered(jpeg, number))


def list_all(root: Path) -> int:
    """Size and time of every file below a folder: the least that an index run must look at."""
    looked = 0
    waiting = [str(root)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    looked += entry.stat().st_mtime_ns > 0
    return looked


def unchanged_run(root: Path, gallery: Path, count: int) -> Ended:
    """One ``glocal index``; SystemExit when it found anything to do."""
    ended = run_process([*glocal_command(), "index", root, "--gallery", gallery, "--json"])
    report = json.loads(ended.output)
    if report["unchanged"] != count or report["added"] or report["updated"] or report["failed"]:
        raise SystemExit(f"not all of {count} images were found unchanged: {ended.output[:500]}")
    return ended


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="files")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    if given.quick:
        given.count, given.runs = 5_000, 2
    return given


def measure(place: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Make files and gallery, then run over them."""
    root, gallery, jpeg = place / "images", place / "gallery", tiny_jpeg()
    make_files(root, given.count, jpeg)
    fill_gallery(
        gallery,
        given.count,
        root=root,
        files_exist=True,
        data_of=lambda number: numbered(jpeg, number),
    )
    unchanged_run(root, gallery, given.count)
    runs, listings = [], []
    for _ in range(given.runs):
        runs.append(unchanged_run(root, gallery, given.count))
        listings.append(milliseconds(lambda: list_all(root)) / 1000)
    return {
        "glocal index, s": child_median(runs),
        "of the processor, s": processor_median(runs),
        "of that, listing the folders, s": median(listings),
        "inside the run, s": json.loads(runs[-1].output)["seconds"],
        "peak MB": max(run.peak_bytes for run in runs) / 1e6,
    }


def main() -> None:
    given = options()
    with tempfile.TemporaryDirectory() as temporary:
        figures = measure(Path(temporary), given)
    print_table(f"{given.count:,} files, none changed", ["", "median"], list(figures.items()))
    targets = print_targets(figures, TARGETS)
    write_results(
        "reindex_unchanged",
        {"count": given.count, "runs": given.runs, "medians": figures, "targets": targets},
        quick=given.quick,
    )


if __name__ == "__main__":
    main()
