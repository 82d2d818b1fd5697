"""`glocal duplicates` beyond finding: plans that are checked and carried out, and decisions."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import forked
from glocal.gallery import trash

Run = Callable[..., "subprocess.CompletedProcess[str]"]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems have other trashes")


@pytest.fixture
def glocal(tmp_path: Path) -> Run:
    more = {
        "GLOCAL_GALLERY": str(tmp_path / "gallery"),
        "XDG_DATA_HOME": str(tmp_path / "home"),
    }

    def run(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = forked.run([*map(str, arguments)], env=os.environ | more, cwd=tmp_path)
        assert done.returncode == status, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def photos(tmp_path: Path, glocal: Run) -> Path:
    """Two images, each of them twice, indexed, and a plan."""
    folder = tmp_path / "photos"
    (folder / "again").mkdir(parents=True)
    for seed in range(2):
        coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((160, 120)).save(folder / f"{seed}.jpg")
        shutil.copy(folder / f"{seed}.jpg", folder / "again" / f"{seed}.jpg")
    glocal("index", folder)
    glocal("duplicates", "--plan", "plan.csv")
    return folder


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*.jpg")}


ALL = {"0.jpg", "1.jpg", "again/0.jpg", "again/1.jpg"}


def test_the_plan_is_there_when_nobody_reads_the_table(
    glocal: Run, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "plan.csv").unlink()
    command = f"{sys.executable} -m glocal duplicates --plan plan.csv | true"
    environment = os.environ | {"GLOCAL_GALLERY": str(tmp_path / "gallery")}
    subprocess.run(command, shell=True, cwd=tmp_path, env=environment, timeout=60, check=False)  # noqa: S602
    assert (tmp_path / "plan.csv").read_text(encoding="utf-8").count("could-remove") == 2


@pytest.mark.parametrize("stem", ["a" * 251, "\u00e4" * 120 + "bcdefghijk"])
def test_a_name_as_long_as_they_can_be_goes_to_the_trash_and_comes_back(
    glocal: Run, photos: Path, stem: str, tmp_path: Path
) -> None:
    path = photos / "again" / f"{stem}.jpg"
    (photos / "again" / "0.jpg").rename(path)
    shutil.copy(photos / "1.jpg", photos / "again" / "1.jpg")
    glocal("index", photos)
    glocal("duplicates", "--plan", "plan.csv")
    glocal("duplicates", "--trash", "plan.csv")
    assert not path.exists()
    (note,) = (tmp_path / "home").rglob(f"{stem[0]}*.trashinfo")
    assert len(os.fsencode(note.name)) <= 255
    assert (note.parent.parent / "files" / note.name.removesuffix(".trashinfo")).is_file()
    glocal("duplicates", "--undo-trash")
    assert path.is_file()


@pytest.mark.parametrize("name", ["a" * 255, "a." + "b" * 253, "." + "\u00e4" * 127, "a.jpg"])
def test_names_in_the_trash_leave_room_for_their_notes(name: str, tmp_path: Path) -> None:
    for folder in ("files", "info"):
        (tmp_path / folder).mkdir()
    made = {trash._reserved(tmp_path, Path("/photos") / name)[0] for _ in range(3)}
    assert len(made) == 3
    assert all(len(os.fsencode(f"{path.name}.trashinfo")) <= 255 for path in made)


def test_a_plan_is_checked(glocal: Run, photos: Path) -> None:
    said = glocal("duplicates", "--check", "plan.csv").stdout
    assert said.endswith("4 of 4 rows still hold\n")
    (photos / "0.jpg").unlink()  # the one to keep
    (photos / "again" / "1.jpg").write_bytes(b"something else")
    rows = json.loads(glocal("duplicates", "--check", "plan.csv", "--json", status=1).stdout)
    states = {os.path.relpath(row["path"], photos): row["state"] for row in rows}
    assert states == {
        "0.jpg": "gone",
        "again/0.jpg": "nothing stays",
        "1.jpg": "holds",
        "again/1.jpg": "changed",
    }


def test_a_plan_whose_files_became_one_does_not_hold(glocal: Run, photos: Path) -> None:
    (photos / "again" / "0.jpg").unlink()
    os.link(photos / "0.jpg", photos / "again" / "0.jpg")
    assert "it is the same file as the one to keep" in (
        glocal("duplicates", "--check", "plan.csv", status=1).stdout
    )


def test_what_is_moved_to_the_trash_comes_back(glocal: Run, photos: Path, tmp_path: Path) -> None:
    glocal("duplicates", "--trash", "plan.csv")
    assert names(photos) == {"0.jpg", "1.jpg"}
    trash = tmp_path / "home" / "Trash"
    assert len(list((trash / "files").iterdir())) == 2
    notes = [note.read_text(encoding="utf-8") for note in (trash / "info").iterdir()]
    assert all(note.startswith("[Trash Info]\nPath=/") for note in notes)
    assert "2 rows still hold" not in glocal("duplicates", "--check", "plan.csv", status=1).stdout
    glocal("duplicates", "--undo-trash")
    assert names(photos) == ALL
    assert not any(trash.rglob("*.*"))
    assert glocal("duplicates", "--undo-trash").stdout == "nothing is left to take back\n"


def test_the_trash_takes_only_what_still_holds(glocal: Run, photos: Path) -> None:
    (photos / "0.jpg").unlink()
    done = glocal("duplicates", "--trash", "plan.csv", status=1)
    assert "again/0.jpg: the file to keep of its group is gone" in done.stderr
    assert names(photos) == {"1.jpg", "again/0.jpg"}
    (photos / "again" / "1.jpg").write_bytes(b"somebody's")  # where it would come back to
    assert "another file is there by now" in glocal("duplicates", "--undo-trash", status=1).stderr
    assert (photos / "again" / "1.jpg").read_bytes() == b"somebody's"


def test_what_is_no_plan_is_not_carried_out(glocal: Run, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("could-remove,1\n", encoding="utf-8")
    refused = glocal("duplicates", "--trash", "list.csv", status=1)
    assert "is no plan of glocal duplicates" in refused.stderr
    (tmp_path / "old.csv").write_text("# glocal duplicates, plan 2: nothing\n", encoding="utf-8")
    assert "another version" in glocal("duplicates", "--check", "old.csv", status=1).stderr
    assert "cannot be read" in glocal("duplicates", "--check", "none.csv", status=1).stderr
    assert names(photos) == ALL


def test_a_preferred_folder_keeps_its_files(glocal: Run, photos: Path) -> None:
    said = json.loads(glocal("duplicates", "--json", "--prefer", photos / "again").stdout)
    kept = {os.path.relpath(group["images"][0]["path"], photos) for group in said["groups"]}
    assert kept == {"again/0.jpg", "again/1.jpg"}


def test_decisions_take_files_of_the_gallery(glocal: Run, photos: Path, tmp_path: Path) -> None:
    one, other = photos / "0.jpg", photos / "1.jpg"
    said = glocal("duplicates", "--not-duplicates", one, "--not-duplicates", other).stdout
    assert "2 files are no duplicates" in said
    glocal("duplicates", "--keep", one)
    assert "forgot 2 decisions" in glocal("duplicates", "--undo-decisions", one).stdout
    assert "one file alone" in glocal("duplicates", "--not-duplicates", one, status=1).stderr
    refused = glocal("duplicates", "--keep", tmp_path / "none.jpg", status=1)
    assert "is not in the gallery" in refused.stderr
