"""Nothing but faults: mutated files, killed processes, random requests and conditions, counted.

    python benchmarks/faults.py [--seconds 3600] [--only PART ...]

Five parts, of which ``--only`` picks some, are tried in slices of a minute or two of the processor
at most, in turn, until each has reached its goal or the time is over. After each slice its counts
are added to ``results/faults.json``, so that runs add up, also those that were stopped; remove the
file to begin anew. The number of a slice is its seed: no two have the same injuries.

- ``files``: small files of every format with random injuries are loaded; each gives an image or an
  ``ImageError``, in less than 20 seconds of the processor.
- ``runs``: index runs (adding, then removing a folder) are killed by SIGKILL at random moments and
  started again until they are through. After each kill the gallery is sound and has lost nothing,
  and in the end it is what it is without any kill.
- ``store``: ``store_stress.py``, readers, writers and builders that are killed, every other time
  on a slowed disk.
- ``requests``: schemathesis asks a server for what its description allows and what it does not: the
  same systematic requests in each slice, and as many random ones.
- ``conditions``: any text as ``--where``, any tree of conditions, and stores beside a slow one.

Each slice runs in processes of its own, whose peak memory is that of the largest one. Any fault
ends the script with its text and its command.
"""

from __future__ import annotations

import json
import math
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import (
    RESULTS,
    Ended,
    arguments,
    environment_of,
    print_table,
    run_process,
    write_results,
)

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"

_FILES = """
import json, sys
import mutated_files
seed, count = map(int, sys.argv[1:])
name = mutated_files.MUTATED[seed % len(mutated_files.MUTATED)]
print(json.dumps({"format": name, **mutated_files.fuzz(name, count, seed=seed)}))
"""
_RUNS = """
import json, sys
from pathlib import Path
from killed_runs import kill_runs, write_photos
from tiny_model import write_model
work, seed, kills = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
write_photos(work / "photos", 36)
print(json.dumps(kill_runs(work / "photos", write_model(work / "tiny.onnx"), work, kills, seed)))
"""

Row = dict[str, Any]
COUNTS = ("tried", "images", "refused", "compared", "slices", "processor_seconds")
"""What is added up; of ``peak``, in bytes, the largest counts."""


def run(*command: str | Path, more: dict[str, str] | None = None) -> Ended:
    """Run Python with glocal, the benchmarks and the makers of the tests' inputs."""
    found = environment_of(ROOT)
    paths = [found["PYTHONPATH"], str(TESTS), str(TESTS / "images"), str(TESTS / "gallery")]
    found |= {"PYTHONPATH": os.pathsep.join(paths)} | (more or {})
    return run_process([sys.executable, *command], ROOT, found)


def measured(ended: Ended, what: str, tried: int, **more: int) -> Row:
    """The counts of one slice."""
    return {
        "what": what,
        "tried": tried,
        **more,
        "peak": ended.peak_bytes,
        "processor_seconds": ended.processor_seconds,
        "slices": 1,
    }


def files(seed: int, count: int) -> Row:
    """Mutated files of one format, another one in each slice."""
    ended = run("-c", _FILES, str(seed), str(count))
    found = json.loads(ended.output)
    name, images, refused = found["format"], found["images"], found["refused"]
    what = f"mutated files: {name}"
    return measured(ended, what, images + refused, images=images, refused=refused)


def runs(seed: int, count: int) -> Row:
    """Killed index runs of a small gallery."""
    with tempfile.TemporaryDirectory() as work:
        ended = run("-c", _RUNS, work, str(seed), str(count))
    found = json.loads(ended.output)
    return measured(ended, "killed index runs", found["kills"], compared=found["galleries"])


def store(seed: int, count: int) -> Row:
    """Killed readers, writers and builders of the store."""
    script = ROOT / "benchmarks" / "store_stress.py"
    slow = ["--slow-disk"] if seed % 2 and sys.platform == "linux" and shutil.which("cc") else []
    ended = run(script, "--seconds", "10", "--kills", str(count), "--seed", str(seed), *slow)
    found = json.loads(ended.output)
    what = "killed readers, writers and builders"
    return measured(ended, what, found["kills"], compared=found.get("searches", 0))


def requests(seed: int, count: int) -> Row:
    """Random requests; the count is what schemathesis says it made."""
    tests = ("-s", "tests/web/test_description.py", "-k", "schemathesis")
    return explored("random requests", tests, seed, count)


def conditions(seed: int, count: int) -> Row:
    """Random conditions, and stores under random changes."""
    tests = ("tests/gallery/test_where.py", "tests/gallery/test_stores.py", "-m", "hypothesis")
    return explored("random conditions and changes of stores", tests, seed, count)


def explored(what: str, tests: tuple[str, ...], seed: int, times: int) -> Row:
    """Run tests with so many times the examples that they have by default, and count those."""
    command = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-show-statistics")
    examples = {
        "GLOCAL_HYPOTHESIS_PROFILE": "explore",
        "GLOCAL_EXPLORED_EXAMPLES": str(times),
        "GLOCAL_EXPLORED_SEED": str(seed),
    }
    ended = run(*command, f"--hypothesis-seed={seed}", *tests, more=examples)
    counts = re.findall(r"(\d+) passing|(\d+) generated", ended.output)
    tried = sum(int(number) for pair in counts for number in pair if number)
    if not tried:
        raise SystemExit(f"nothing was tried:\n{ended.output}{ended.errors}")
    return measured(ended, what, tried)


@dataclass(frozen=True, slots=True)
class Part:
    """One kind of faults.

    Attributes:
        attempt: tries a slice of them, by its seed and size.
        size: of a slice, in what the part counts or in times the examples of tests.
        quick: the size that only shows that it runs.
        goal: of tries in all.
    """

    attempt: Callable[[int, int], Row]
    size: int
    quick: int
    goal: int


PARTS = {
    "files": Part(files, 5_000, 100, 110_000),
    "runs": Part(runs, 50, 4, 600),
    "store": Part(store, 50, 8, 500),
    "requests": Part(requests, 6, 1, 10_000),
    "conditions": Part(conditions, 2, 1, 10_000),
}


def add(rows: list[Row], part: str, row: Row) -> None:
    """Add the counts of a slice to those of the slices before it."""
    for there in rows:
        if (there["part"], there["what"]) == (part, row["what"]):
            for key in COUNTS:
                if key in row:
                    there[key] = there.get(key, 0) + row[key]
            there["peak"] = max(there["peak"], row["peak"])
            return
    rows.append({"part": part, **row})


def tried(rows: list[Row], part: str, key: str = "tried") -> int:
    """How many of a part there were, in all slices."""
    return sum(row[key] for row in rows if row["part"] == part)


def show(rows: list[Row]) -> None:
    """Print what there was up to now."""
    keys = ("what", "tried", "images", "refused", "compared", "processor_seconds")
    print_table(
        "Faults tried, of which none did harm",
        ["", "tried", "images", "refused", "compared", "processor, s", "peak, MB"],
        [(*(row.get(key) for key in keys), row["peak"] / 1e6) for row in rows],
    )


def main() -> None:
    """Try slices of the parts in turn, and add their counts to the results."""
    parser = arguments(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument(
        "--seconds", type=float, default=math.inf, help="after which no slice begins"
    )
    given = parser.parse_args()
    path = RESULTS / "faults.json"
    rows: list[Row] = []
    if path.exists() and not given.quick:
        rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    ends = time.monotonic() + given.seconds

    def wanted() -> list[str]:
        goals = {part: 1 if given.quick else PARTS[part].goal for part in given.only}
        return [part for part in given.only if tried(rows, part) < goals[part]]

    while parts := wanted():
        for part in parts:
            if time.monotonic() > ends:
                break
            size = PARTS[part].quick if given.quick else PARTS[part].size
            row = PARTS[part].attempt(tried(rows, part, "slices"), size)
            print(part, row, file=sys.stderr, flush=True)
            add(rows, part, row)
            write_results("faults", {"rows": rows}, quick=given.quick)
        else:
            continue
        break
    show(rows)


if __name__ == "__main__":
    main()
