"""Closed streams, pipes that nobody reads, and file names that would act on a terminal."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import forked
from glocal.visible_text import visible

pytestmark = pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX redirects")

ESCAPE, BIDI = "\x1b]0;owned\x07", "\u202e"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two photos, one of them with a name that acts on terminals, and a file that is none."""
    photos = tmp_path_factory.mktemp("streams") / "photos"
    photos.mkdir()
    for seed, name in enumerate(("a.jpg", f"b{ESCAPE}\r\n{BIDI}gpj.jpg")):
        pixels = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((160, 120)).save(photos / name)
    (photos / f"bad{ESCAPE}.jpg").write_bytes(b"")
    assert run(photos.parent, "index", "photos").startswith("2 added")
    return photos.parent


def run(folder: Path, *arguments: str) -> str:
    """What the program says on both of its streams."""
    env = os.environ | {"GLOCAL_GALLERY": str(folder / "gallery")}
    done = forked.run(arguments, env=env, cwd=folder)
    return str(done.stdout) + str(done.stderr)


def shell(folder: Path, line: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of a shell in which `glocal` is this program."""
    program = f'glocal() {{ {shlex.quote(sys.executable)} -m glocal "$@"; }}\n'
    env = os.environ | {"GLOCAL_GALLERY": str(folder / "gallery")}
    return subprocess.run(
        ["sh", "-c", program + line], cwd=folder, env=env, capture_output=True, timeout=60,
        check=False,
    )  # fmt: skip


def test_closed_streams_stop_nothing(folder: Path) -> None:
    line = "glocal search photos/a.jpg --html found.html <&- >&- 2>&-; echo $? >status"
    shell(folder, f"{line}; glocal index photos 2>&-; echo $? >>status")
    assert (folder / "status").read_text() == "0\n0\n"
    assert (folder / "found.html").stat().st_size > 1000


def test_files_are_written_though_nobody_reads_the_output(folder: Path) -> None:
    queries = "photos/a.jpg " * 3
    pipe = f"{{ glocal search {queries} --html kept.html 2>said; echo $? >status; }} | true"
    shell(folder, pipe)
    assert (folder / "kept.html").stat().st_size > 1000
    assert (folder / "status").read_text() == "1\n"
    assert (folder / "said").read_text() == "wrote kept.html\n"


def test_names_cannot_act_on_the_terminal(folder: Path) -> None:
    lines = (
        ["search", "photos/a.jpg"],
        ["duplicates", "--level", "object"],
        ["--verbose", "index", "--refresh"],
        ["search", f"none{ESCAPE}"],
        ["index", f"--{ESCAPE}"],
    )
    said = "".join(run(folder, *line) for line in lines)
    assert visible(ESCAPE) in said
    assert visible(f"\r\n{BIDI}") in said
    for character in ("\x1b", "\x07", "\r", BIDI):
        assert character not in said


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="/dev/full is a device of Linux")
@pytest.mark.parametrize("line", ["info", "info --json", "search photos/a.jpg"])
def test_output_that_cannot_be_written_is_said_once(folder: Path, line: str) -> None:
    done = shell(folder, f"glocal {line} >/dev/full")
    assert done.returncode == 1
    assert done.stderr == b"glocal: No space left on device: standard output\n"


@pytest.mark.parametrize("line", ["search -", "locate -", "explain - photos/a.jpg -o why.png"])
def test_standard_input_is_named(folder: Path, line: str) -> None:
    done = shell(folder, f"glocal {line} </dev/null")
    assert done.returncode == 1
    assert done.stderr == b"glocal: standard input: empty file (0 bytes)\n"
