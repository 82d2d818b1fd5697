"""The code blocks of the README, run unchanged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import ExifTags, Image

PORT = re.compile(r"http://127\.0\.0\.1:(\d+)/")
README = Path(__file__).parent.parent / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory with the photos that the README expects."""
    folder = tmp_path_factory.mktemp("home")
    random = np.random.default_rng(0)
    (folder / "Pictures" / "old").mkdir(parents=True)
    for number in range(8):
        coarse = random.integers(0, 256, (12, 16, 3), dtype=np.uint8)
        image = Image.fromarray(coarse).resize((640, 480))
        exif = Image.Exif()
        exif[ExifTags.Base.Model] = "Canon EOS 80D"
        place = folder / "Pictures" / ("old" if number % 2 else "") / f"{number}.jpg"
        image.save(place, exif=exif)
        if number < 3:
            smaller = image.resize((400, 300))
            smaller.save(folder / ["query.jpg", "other.jpg", "wrong.jpg"][number])
    return folder


def environment(home: Path) -> dict[str, str]:
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    gallery = str(home / "gallery")
    return os.environ | {"HOME": str(home), "GLOCAL_GALLERY": gallery, "PATH": programs}


def run(command: list[str], home: Path) -> str:
    done = subprocess.run(
        command,
        cwd=home,
        env=environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_two_scripts_are_executable() -> None:
    first = blocks("sh")[0]
    for line in first.splitlines():
        script = README.parent / line.split()[0]
        assert os.access(script, os.X_OK), script


def test_the_commands_of_the_readme_run(home: Path) -> None:
    lines = [line for block in blocks("sh")[1:] for line in block.splitlines()]
    assert len(lines) >= 8
    for line in lines:
        run(["bash", "-euc", line], home)
    assert (home / "hits.html").stat().st_size > 1000


def test_the_python_example_runs(home: Path) -> None:
    block = blocks("python")[1]
    printed = run([sys.executable, "-W", "error", "-c", block], home)
    assert printed.startswith("8 added, 0 skipped\n1 ")
    assert "0.jpg" in printed.splitlines()[1]
    assert printed.splitlines()[1].endswith(" copy")


def test_the_client_example_runs(home: Path) -> None:
    block = blocks("python")[0]
    command = [sys.executable, "-m", "glocal", "serve", "--port", "0", "--allow-folder", "Pictures"]
    with subprocess.Popen(
        [*command, "--gallery", "served"],
        cwd=home,
        env=environment(home),
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stderr is not None
            port = next(found[1] for line in server.stderr if (found := PORT.search(line)))
            example = block.replace("8470", port)
            printed = run([sys.executable, "-W", "error", "-c", example], home).splitlines()
        finally:
            server.terminate()
    assert any(line.startswith("done ") for line in printed)
    assert any(line.startswith("1 ") and "/0.jpg " in line for line in printed)
