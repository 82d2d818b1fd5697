"""How long whole commands take from a cold start: new processes, with files in the page cache.

    python benchmarks/cold_start.py [--count 100000] [--old PATH] [--work DIR] [--imports] [--quick]

Runs each command ten times, in turns, and prints the median wall time and processor time: an empty
Python as the floor, ``import glocal``, ``glocal --help``, and ``glocal search`` with a
two-megapixel JPEG in a gallery of 100,000 images, with its peak memory. ``--old`` names a clone of
the project whose search, in a gallery that it has made, takes its turn too. ``--imports`` adds the
imports that take longest. ``--work`` names a folder that keeps the galleries for the next run and
for ``search_latency.py``.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from measure import (
    Ended,
    Target,
    arguments,
    child_median,
    environment_of,
    glocal_command,
    print_table,
    print_targets,
    processor_median,
    run_process,
    write_results,
)
from photos import make_photos
from synthetic import gallery_at

TARGETS: list[Target] = [
    ("glocal --help", "<=", 0.2),
    ("glocal search", "<=", 1.0),
]
Commands = dict[str, list[str | Path]]


def commands(gallery: Path, photo: Path) -> Commands:
    """What is run, by what it is called in the table."""
    python: list[str | Path] = [sys.executable, "-c"]
    glocal = glocal_command()
    return {
        "python -c pass": [*python, "pass"],
        "python -c 'import numpy'": [*python, "import numpy"],
        "python -c 'import onnxruntime'": [*python, "import onnxruntime"],
        "python -c 'import glocal'": [*python, "import glocal"],
        "glocal --help": [*glocal, "--help"],
        "glocal search --help": [*glocal, "search", "--help"],
        "glocal search": [*glocal, "search", photo, "--gallery", gallery],
        "glocal info": [*glocal, "info", "--gallery", gallery],
    }


def slowest_imports(command: Sequence[str | Path], count: int) -> list[tuple[str, float, float]]:
    """Name, own and whole milliseconds of the imports of a ``glocal`` command that cost most."""
    told = run_process([sys.executable, "-X", "importtime", "-m", "glocal", *command]).errors
    rows = []
    for line in told.splitlines():
        own, whole, name = (part.strip() for part in line.removeprefix("import time:").split("|"))
        if own.isdigit():
            rows.append((name, int(own) / 1000, int(whole) / 1000))
    return sorted(rows, key=lambda row: -row[1])[:count]


def show_imports(title: str, command: Sequence[str | Path]) -> None:
    """Print the ten imports that take longest by themselves."""
    rows = slowest_imports(command, 10)
    print_table(f"Slowest imports of {title}", ["module", "itself, ms", "all, ms"], rows)


def old_search(checkout: Path, place: Path, count: int, photo: Path) -> list[str | Path]:
    """The search of another checkout, in a gallery that it has filled."""
    fill = (
        "import sys; from pathlib import Path; from synthetic import gallery_at; "
        "print(gallery_at(Path(sys.argv[1]), int(sys.argv[2]), Path('/images')).folder)"
    )
    (place / "old").mkdir(exist_ok=True)
    filling: list[str | Path] = [sys.executable, "-c", fill, place / "old", str(count)]
    gallery = run_process(filling, environment=environment_of(checkout)).output.strip()
    return [*glocal_command(), "search", photo, "--gallery", gallery]


def in_search(gallery: Path, photo: Path) -> dict[str, float]:
    """The parts of one cold search that `glocal search` itself reports, in milliseconds."""
    command = [*glocal_command(), "search", photo, "--gallery", gallery, "--json"]
    timings: dict[str, float] = json.loads(run_process(command).output)["timings_ms"]
    return timings


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="images in the gallery")
    parser.add_argument("--old", type=Path, help="a clone of the project, run by turns")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--work", type=Path, help="keep or find the filled gallery here")
    parser.add_argument("--imports", action="store_true", help="say which imports take longest")
    given = parser.parse_args()
    if given.quick:
        given.count, given.runs = 3_000, 3
    return given


def measure(place: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Run all commands in turns."""
    gallery = gallery_at(place, given.count, Path("/images")).folder
    photo = make_photos(place / "photos", 1)[0]
    all_commands = commands(gallery, photo)
    environments = {name: dict(os.environ) for name in all_commands}
    if given.old:
        name = "glocal search, old"
        all_commands[name] = old_search(given.old.resolve(), place, given.count, photo)
        environments[name] = environment_of(given.old.resolve())
    runs: dict[str, list[Ended]] = {name: [] for name in all_commands}
    for turn in range(given.runs + 1):
        for name, command in all_commands.items():
            ended = run_process(command, environment=environments[name])
            if turn:  # the first fills the page cache and writes Python's compiled files
                runs[name].append(ended)
    seconds = {name: child_median(ended) for name, ended in runs.items()}
    processor = {name: processor_median(ended) for name, ended in runs.items()}
    memory = {name: max(run.peak_bytes for run in ended) / 1e6 for name, ended in runs.items()}
    slowest = {name: max(run.seconds for run in ended) for name, ended in runs.items()}
    print_table(
        f"Whole processes, {given.runs} runs, {given.count:,} images",
        ["command", "median, s", "slowest, s", "processor, s", "peak MB"],
        [(name, seconds[name], slowest[name], processor[name], memory[name]) for name in runs],
    )
    parts = in_search(gallery, photo)
    print_table("Inside `glocal search`", ["part", "ms"], list(parts.items()))
    targets = print_targets(seconds, TARGETS)
    if given.imports:
        show_imports("glocal --help", ["--help"])
        show_imports("glocal search", ["search", photo, "--gallery", gallery])
    return {
        "count": given.count,
        "runs": given.runs,
        "median_seconds": seconds,
        "slowest_seconds": slowest,
        "processor_seconds": processor,
        "peak_megabytes": memory,
        "inside_search_ms": parts,
        "targets": targets,
    }


def main() -> None:
    given = options()
    with tempfile.TemporaryDirectory() as temporary:
        place = given.work or Path(temporary)
        place.mkdir(parents=True, exist_ok=True)
        results = measure(place, given)
    name = "cold_start_beside_old" if given.old else "cold_start"
    write_results(name, results, quick=given.quick)


if __name__ == "__main__":
    main()
