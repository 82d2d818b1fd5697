"""The examples in docstrings, run as they stand, among a few images and beside a server.

They run in a folder that has ``query.jpg`` (640x480 pixels), ``crop.jpg`` (the left of it),
``other.jpg``, and a folder ``Pictures`` of eight images, one of which is ``query.jpg`` again.
"""

from __future__ import annotations

import doctest
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

EXAMPLES = [
    "glocal.encoders.model_files.load_encoder",
    "glocal.evaluate.labelled.evaluate_labelled",
    "glocal.evaluate.ranking_metrics.average_precision",
    "glocal.evaluate.ranking_metrics.recall_at",
    "glocal.explain.explanation.explain",
    "glocal.gallery.galleries.Galleries",
    "glocal.gallery.gallery.Gallery",
    "glocal.gallery.filling.Filling.add",
    "glocal.gallery.pairing.Pairing.duplicates",
    "glocal.gallery.finding.Finding.search",
    "glocal.gallery.finding.Finding.search_vector",
    "glocal.images.decode.load",
]
"""The functions, classes and methods most used; each has a runnable example in its docstring."""

ADDRESS = "http://127.0.0.1:8470"
"""The server's, in examples; they are run with that of a server started for them."""


def photo(seed: int) -> Image.Image:
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 8, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((640, 480))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the images that examples use."""
    made = tmp_path_factory.mktemp("examples")
    (made / "Pictures").mkdir()
    for seed in range(8):
        photo(seed).save(made / "Pictures" / f"{seed}.jpg")
    photo(0).save(made / "query.jpg")
    photo(0).crop((0, 0, 480, 480)).save(made / "crop.jpg")
    photo(20).save(made / "other.jpg")
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    """The address of a server of a gallery of ``Pictures``."""
    program = [sys.executable, "-m", "glocal"]
    gallery = ["--gallery", str(folder / "served")]
    subprocess.run([*program, "index", str(folder / "Pictures"), *gallery], check=True)
    command = [*program, "serve", "--port", "0", "--processes", "0", *gallery]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = next(line for line in server.stderr if "http://" in line)
        yield next(word for word in line.split() if word.startswith("http://")).rstrip("/")
        server.terminate()


def examples_of(name: str) -> doctest.DocTest:
    """The examples of one docstring."""
    parts = name.split(".")
    for end in range(len(parts), 0, -1):
        try:
            found: object = import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            found = getattr(found, part)
        return doctest.DocTestParser().get_doctest(found.__doc__ or "", {}, name, None, None)
    raise AssertionError(f"there is no {name}")


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_runs(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    test = examples_of(name)
    assert test.examples, f"{name} has no example"
    for example in test.examples:
        assert not example.options.get(doctest.SKIP)
        if ADDRESS in example.source:
            example.source = example.source.replace(ADDRESS, request.getfixturevalue("address"))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GLOCAL_GALLERY", str(folder / "own"))
    said: list[str] = []
    options = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, _ = doctest.DocTestRunner(optionflags=options).run(test, out=said.append)
    assert not failed, "".join(said)
