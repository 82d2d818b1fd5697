"""`glocal upgrade` says what it would do, does it, and returns."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from glocal.cli.info import info
from glocal.cli.upgrade import upgrade
from glocal.gallery import Gallery

sys.path.insert(0, str(Path(__file__).parent.parent / "gallery"))

from image_folders import write_images

from tiny_model import write_model


@pytest.fixture
def gallery(tmp_path: Path) -> Path:
    write_images(tmp_path / "photos", 105)
    model = write_model(tmp_path / "old.onnx", space="old")
    write_model(tmp_path / "new.onnx", seed=1, near=0.8, space="new")
    with Gallery(tmp_path / "gallery", model=str(model), detector="own") as opened:
        opened.add(tmp_path / "photos")
    return tmp_path / "gallery"


def test_it_asks_begins_continues_and_returns(gallery: Path) -> None:
    new = ["--model", str(gallery.parent / "new.onnx"), "--anchors", "102"]

    def run(*arguments: str) -> tuple[int, str]:
        done = CliRunner().invoke(upgrade, ["--gallery", str(gallery), *arguments])
        return done.exit_code, done.output

    status, said = run(*new, "--dry-run")
    assert status == 0
    assert "from tiny-0 v1 to tiny-1 v1" in said
    assert "local features change" in said
    assert "takes" in said
    status, said = run(*new)
    assert (status, "add --yes" in said) == (0, True)
    status, said = run(*new, "--json", "--dry-run")
    assert json.loads(said)["images"] == 105
    status, said = run(*new, "--yes", "--begin-only")
    assert (status, "the new model answers now" in said) == (0, True)
    status, said = run(*new)
    assert (status, "is under way" in said) == (2, True)
    status, said = run("--back")
    assert (status, "the gallery is of tiny-0 v1 again" in said) == (0, True)
    status, said = run(*new, "--yes", "--json")
    assert status == 0
    assert json.loads(said.splitlines()[-1])["finished"]
    with Gallery(gallery, create=False) as opened:
        assert opened.space == "new"


def test_info_says_that_a_newer_version_came(
    gallery: Path, tmp_path: Path, version_2: Path
) -> None:
    for model, said in ((str(version_2), True), (None, False)):
        folder = tmp_path / f"of {said}"
        Gallery(folder, model=model).close()
        shown = CliRunner().invoke(info, ["--gallery", str(folder)])
        assert shown.exit_code == 0
        assert ("glocal upgrade --dry-run" in shown.output) is said
    assert "--dry-run" not in CliRunner().invoke(info, ["--gallery", str(gallery)]).output
