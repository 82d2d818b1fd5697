"""A package with parts of its own is installed by pip, and they are used from the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import forked
import glocal

NEEDED = ("torch", "onnxscript", "pip", "setuptools")
MISSING = [name for name in NEEDED if find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"needs {', '.join(MISSING)}")

PACKAGE = Path(__file__).parent / "third_party"
SOURCE = Path(glocal.__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the package is installed; nothing is fetched."""
    folder = tmp_path_factory.mktemp("third_party")
    shutil.copytree(PACKAGE, folder / "source")
    subprocess.run(
        [
            sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install",
            "--no-deps", "--no-index", "--no-build-isolation", "--target", folder / "site",
            folder / "source",
        ],
        check=True,
        timeout=120,
    )  # fmt: skip
    return folder / "site"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three labels of six photos, each label with a colour of its own."""
    random = np.random.default_rng(0)
    for label in range(3):
        folder = tmp_path / "photos" / f"label{label}"
        folder.mkdir(parents=True)
        for number in range(6):
            image = random.integers(0, 90, (48, 56, 3))
            image[..., label] += 150
            Image.fromarray(image.astype(np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "photos"


def run(
    site: Path | None, folder: Path, *arguments: object, status: int = 0
) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"GLOCAL_GALLERY": str(folder / "gallery")}
    if site is None:
        done = forked.run([*map(str, arguments)], env=env, cwd=folder)
    else:  # a process that finds packages there is started cold
        done = subprocess.run(
            [sys.executable, "-m", "glocal", *map(str, arguments)],
            cwd=folder,
            env=env | {"PYTHONPATH": os.pathsep.join(map(str, (site, SOURCE)))},
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    assert done.returncode == status, done.stdout + done.stderr
    return done


def test_help_lists_parts_of_other_packages(site: Path, tmp_path: Path) -> None:
    for command, name in (
        ("train", "acorn"), ("search", "worst-first"), ("explain", "difference")
    ):  # fmt: skip
        # Lines may end in the middle of a name.
        assert name in "".join(run(site, tmp_path, command, "--help").stdout.split())
        assert name not in "".join(run(None, tmp_path, command, "--help").stdout.split())


@pytest.mark.slow
def test_a_backbone_a_reranking_and_an_explainer_are_used(
    site: Path, tmp_path: Path, photos: Path
) -> None:
    model = tmp_path / "mine.onnx"
    run(
        site, tmp_path, "train", photos, "-o", model, "--backbone", "acorn", "--epochs", 1,
        "--batch", 6, "--side", 32, "--input-side", 64, "--dim", 8, "--workers", 1,
    )  # fmt: skip
    assert model.exists()
    # Once trained, the model needs nothing of the package.
    assert "18 added" in run(None, tmp_path, "index", photos, "--model", model).stdout

    def search(*options: str) -> list[str]:
        done = run(
            site, tmp_path, "search", photos / "label1" / "2.png", "--json", "--no-verify",
            "-n", "18", *options,
        )  # fmt: skip
        return [hit["path"] for hit in json.loads(done.stdout)["hits"]]

    plain = search()
    assert Path(plain[0]) == photos / "label1" / "2.png"
    assert search("--rerank", "worst-first")[-1] == plain[0]
    missing = run(None, tmp_path, "search", plain[0], "--rerank", "worst-first", status=2)
    assert "no reranker named 'worst-first'" in missing.stderr

    drawn = tmp_path / "why.png"
    told = run(
        site, tmp_path, "explain", plain[0], plain[1], "--kind", "difference", "-o", drawn,
        "--json", "-g", "gallery",
    )  # fmt: skip
    assert json.loads(told.stdout)["kind"] == "difference"
    with Image.open(drawn) as page:
        assert page.width == 1600
    wrong = run(
        site, tmp_path, "explain", *plain[:3], "--kind", "difference", "-o", drawn, status=1
    )
    assert "the explanation difference shows one hit, not 2" in wrong.stderr
