"""The scripts in ``benchmarks/`` start, and take every option that their descriptions show.

That what they use of glocal is there, mypy checks; they are run by hand.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parent.parent / "benchmarks"
README = (FOLDER / "README.md").read_text(encoding="utf-8")
SOURCES = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.py")}
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
RUN = sorted(name for name, text in SOURCES.items() if "def main()" in text)
TORCH = re.compile(r"^(?:import torch|from glocal\.(?:learn|trials))", re.MULTILINE)
NEED_TORCH = [name for name in RUN if TORCH.search(SOURCES[name])]  # seconds to import

# Where a script would read its arguments, this prints the options that it takes instead.
START_ALL = """
import argparse, json, os, runpy, sys

class Started(BaseException):
    pass

def started(parser, *_):
    parser.format_help()
    raise Started(list(parser._option_string_actions))

argparse.ArgumentParser.parse_args = started
sys.path.insert(0, os.path.dirname(sys.argv[1]))
taken = {}
for script in sys.argv[1:]:
    try:
        runpy.run_path(script, run_name="__main__")
    except Started as options:
        taken[os.path.basename(script)] = options.args[0]
print(json.dumps(taken))
"""


def shown(name: str) -> set[str]:
    """The options of a script in its row of the README, and in the commands of its docstring."""
    rows = [line for line in README.splitlines() if line.startswith(f"| `{name}")]
    commands = re.findall(rf"^ +.*python \S*{name}.*\n(?: {{8}}.*\n)*", SOURCES[name], re.MULTILINE)
    return set(OPTION.findall("\n".join([*rows, *commands])))


@pytest.fixture(scope="module")
def taken() -> dict[str, list[str]]:
    """The options that each script takes; one process starts them all."""
    scripts = [str(FOLDER / name) for name in RUN if name not in NEED_TORCH]
    command = [sys.executable, "-c", START_ALL, *scripts]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_the_readme_has_every_script() -> None:
    assert len(RUN) > 50
    assert set(re.findall(r"^\| `(\w+\.py)", README, re.MULTILINE)) == set(RUN)


def test_the_options_are_found() -> None:
    assert shown("store.py") >= {"--old", "--only", "--count", "--quick"}
    assert shown("region_search.py") >= {"--views", "--every"}


@pytest.mark.parametrize("name", [name for name in RUN if name not in NEED_TORCH])
def test_a_script_takes_the_options_that_it_shows(name: str, taken: dict[str, list[str]]) -> None:
    assert name in taken, "it read no arguments"
    assert shown(name) <= set(taken[name])
