"""The example in the client's docstring runs, on a real server."""

from __future__ import annotations

import doctest
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import scenes
from running import Server

from glocal import client
from glocal.gallery import Gallery


def test_the_example_of_the_client_runs(
    tmp_path: Path, start: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    images = tmp_path / "images"
    images.mkdir()
    scenes.scene(3).save(images / "query.jpg", quality=90)
    scenes.scene(4).save(images / "other.jpg", quality=90)
    (images / "cropped.jpg").write_bytes(scenes.altered(3))
    with Gallery(tmp_path / "gallery") as gallery:
        gallery.add(images)
    shutil.copy(images / "query.jpg", tmp_path / "query.jpg")
    monkeypatch.chdir(tmp_path)
    names = {"server": start(tmp_path).address}
    (example,) = (
        each for each in doctest.DocTestFinder().find(client.Client, globs=names) if each.examples
    )
    result = doctest.DocTestRunner().run(example)
    assert (result.failed, result.attempted) == (0, 5)


def test_the_client_needs_none_of_the_servers_packages() -> None:
    code = (
        "import sys, glocal.client; "
        "print([m for m in ('fastapi', 'starlette', 'pydantic', 'uvicorn') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
