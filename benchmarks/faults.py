"""Nothing but faults: mutated files, killed processes, random requests and conditions, counted.

    python benchmarks/faults.py [--files 110000] [--kills 600] [--store-kills 600] [--seed N]

Five parts, of which ``--only`` picks some. Each runs in processes of its own, whose peak memory is
that of the largest one:

- ``files``: small files of every format with random injuries are loaded; each gives an image or an
  ``ImageError``, in less than 20 seconds of the processor.
- ``runs``: index runs (adding, then removing a folder) are killed by SIGKILL at random moments and
  started again until they are through; the gallery is then what it is without any kill.
- ``store``: ``store_stress.py``, readers, writers and builders that are killed.
- ``requests``: schemathesis asks a server for what its description allows and what it does not.
- ``conditions``: any text as ``--where``, any tree of conditions, and stores beside a slow one.

Any fault ends the script with its text. Another seed draws other injuries and moments.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from measure import RESULTS, arguments, environment_of, print_table, run_process, write_results

ROOT = Path(__file__).resolve().parents[1]
TESTS = ROOT / "tests"

_FILES = """
import json, sys
from mutated_files import fuzz
print(json.dumps(fuzz(sys.argv[1], int(sys.argv[2]), seed=int(sys.argv[3]))))
"""
_FORMATS = "import mutated_files; print(*mutated_files.MUTATED)"
_RUNS = """
import json, sys
from pathlib import Path
from killed_runs import kill_runs, write_photos
from tiny_model import write_model
work, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
write_photos(work / "photos")
print(json.dumps(kill_runs(work / "photos", write_model(work / "tiny.onnx"), work, kills, seed)))
"""

Row = dict[str, Any]


def environment() -> dict[str, str]:
    """What glocal, the benchmarks and the makers of the tests' inputs are imported with."""
    found = environment_of(ROOT)
    folders = (TESTS / "images", TESTS / "gallery")
    return found | {"PYTHONPATH": os.pathsep.join([found["PYTHONPATH"], *map(str, folders)])}


def run(*command: str | Path) -> tuple[Row, int]:
    """What a process printed as JSON, and its peak memory in bytes."""
    ended = run_process([sys.executable, *command], environment=environment())
    return json.loads(ended.output), ended.peak_bytes


def files(given: argparse.Namespace) -> list[Row]:
    """Mutated files, shared evenly among the formats."""
    formats = run_process([sys.executable, "-c", _FORMATS], environment=environment())
    names = formats.output.split()
    rows = []
    for name in names:
        outcome, peak = run("-c", _FILES, name, str(-(-given.files // len(names))), str(given.seed))
        rows.append({"what": f"mutated files: {name}", "peak": peak, **outcome})
        rows[-1]["tried"] = outcome["images"] + outcome["refused"]
        print(rows[-1], file=sys.stderr, flush=True)
    return rows


def runs(given: argparse.Namespace) -> list[Row]:
    """Killed index runs, in rounds of 200 so that their galleries do not fill the disk."""
    rows: list[Row] = []
    for number in range(-(-given.kills // 200)):
        with tempfile.TemporaryDirectory() as work:
            kills = min(200, given.kills - 200 * number)
            found, _ = run("-c", _RUNS, work, str(kills), str(given.seed * 1000 + number))
        print(found, file=sys.stderr, flush=True)
        rows.append(found)
    return [
        {
            "what": "killed index runs",
            "tried": sum(row["kills"] for row in rows),
            "compared": sum(row["galleries"] for row in rows),
            "peak": 1024 * max(row["peak"] for row in rows),
        }
    ]


def store(given: argparse.Namespace) -> list[Row]:
    """Killed readers, writers and builders of the store."""
    seconds = str(max(10, given.store_kills * 6 // 10))
    script = ROOT / "benchmarks" / "store_stress.py"
    found, peak = run(script, "--seconds", seconds, "--kills", str(given.store_kills))
    return [
        {
            "what": "killed readers, writers and builders",
            "tried": found["kills"],
            "compared": found["searches"],
            "peak": peak,
        }
    ]


def requests(given: argparse.Namespace) -> list[Row]:
    """Random requests; the count is what schemathesis says it made."""
    return [
        explored("random requests", ["-s", "tests/web/test_description.py", "-k", "schema"], given)
    ]


def conditions(given: argparse.Namespace) -> list[Row]:
    """Random conditions, and stores under random changes."""
    found = ["tests/gallery/test_where.py", "tests/gallery/test_stores.py", "-m", "hypothesis"]
    return [explored("random conditions and changes of stores", found, given)]


def explored(what: str, tests: list[str], given: argparse.Namespace) -> Row:
    """Run tests with many more examples than they have by default, and count those."""
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--hypothesis-show-statistics"]
    examples = {
        "GLOCAL_HYPOTHESIS_PROFILE": "explore",
        "GLOCAL_EXPLORED_EXAMPLES": str(given.examples),
    }
    ended = run_process(
        [sys.executable, *command, *tests], ROOT, environment=environment() | examples
    )
    counts = re.findall(r"(\d+) passing examples|(\d+) generated", ended.output)
    tried = sum(int(number) for pair in counts for number in pair if number)
    return {"what": what, "tried": tried, "peak": ended.peak_bytes}


PARTS = {
    "files": files,
    "runs": runs,
    "store": store,
    "requests": requests,
    "conditions": conditions,
}


def main() -> None:
    """Run the parts, print their counts, and write them."""
    parser = arguments(__doc__)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--files", type=int, default=110_000)
    parser.add_argument("--kills", type=int, default=600, help="of index runs")
    parser.add_argument("--store-kills", type=int, default=600)
    parser.add_argument("--examples", type=int, default=20, help="times those of the tests")
    parser.add_argument("--seed", type=int, default=2)
    given = parser.parse_args()
    if given.quick:
        given.files, given.kills, given.store_kills, given.examples = 1_100, 6, 10, 1
    for part in given.only:
        rows = kept(part, given.quick)
        rows += [{"part": part, "seed": given.seed, **row} for row in PARTS[part](given)]
        print_table(
            "Faults tried, of which none did harm",
            ["", "tried", "images", "refused", "compared", "peak, MB"],
            [
                (
                    row["what"],
                    *(row.get(key) for key in ("tried", "images", "refused", "compared")),
                    row["peak"] / 1e6,
                )
                for row in rows
            ],
        )
        write_results("faults", {"rows": rows}, quick=given.quick)


def kept(part: str, quick: bool) -> list[Row]:
    """What runs before this one wrote of the other parts."""
    path = RESULTS / ("faults.quick.json" if quick else "faults.json")
    rows: list[Row] = json.loads(path.read_text())["rows"] if path.exists() else []
    return [row for row in rows if row["part"] != part]


if __name__ == "__main__":
    main()
