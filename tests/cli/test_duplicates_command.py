"""`glocal duplicates`: what is printed, and the files it writes and refuses to write."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import forked
from glocal.cli import duplicate_sheets
from glocal.errors import GlocalError
from glocal.gallery import DuplicateGroup, DuplicateImage, GroupKind
from glocal.gallery.duplicate_plan import check_plan, write_plan
from glocal.gallery.edits import Edit, EditKind
from glocal.ranking.evidence import Verdict

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def glocal(tmp_path: Path) -> Run:
    def run(*arguments: str | Path, status: int = 0) -> subprocess.CompletedProcess[str]:
        env = os.environ | {"GLOCAL_GALLERY": str(tmp_path / "gallery")}
        done = forked.run(arguments, env=env, cwd=tmp_path)
        assert done.returncode == status, (done.stdout, done.stderr)
        assert "Traceback" not in done.stderr
        return done

    return run


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three images, one of them in two more folders."""
    for seed in range(3):
        coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        (tmp_path / "photos" / "again" / "deep").mkdir(parents=True, exist_ok=True)
        Image.fromarray(coarse).resize((160, 120)).save(tmp_path / "photos" / f"{seed}.jpg")
    for folder in ("again", "again/deep"):
        shutil.copy(tmp_path / "photos" / "0.jpg", tmp_path / "photos" / folder / "same.jpg")
    return tmp_path / "photos"


def test_people_read_a_table(glocal: Run, photos: Path) -> None:
    glocal("index", photos)
    before = sorted((path, path.stat().st_mtime_ns) for path in photos.rglob("*"))
    said = glocal("duplicates").stdout
    lines = said.splitlines()
    assert re.fullmatch(r"keep +160 x 120 +[\d.]+ k?B?(bytes)? +photos/0.jpg", lines[0])
    assert re.fullmatch(r"could remove +160 x 120 .* identical file +photos/again/.*", lines[1])
    assert lines[-1].startswith("1 group of 3 files; 2 could be removed, which would free ")
    assert sorted((path, path.stat().st_mtime_ns) for path in photos.rglob("*")) == before


def test_nothing_is_found_in_nothing(glocal: Run, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    glocal("index", tmp_path / "photos")
    assert glocal("duplicates").stdout == "no duplicates\n"
    assert json.loads(glocal("duplicates", "--json").stdout)["groups"] == []
    glocal("duplicates", "--html", "page.html", "--plan", "plan.csv")
    assert "There is nothing to show." in (tmp_path / "page.html").read_text(encoding="utf-8")
    assert (tmp_path / "plan.csv").read_text(encoding="utf-8").count("\n") == 2


def test_programs_read_json(glocal: Run, photos: Path) -> None:
    glocal("index", photos)
    said = json.loads(glocal("duplicates", "--json", "--level", "object").stdout)
    size = (photos / "0.jpg").stat().st_size
    assert {
        key: said[key] for key in ("level", "files", "bytes_to_free", "without_local_features")
    } == {
        "level": "object",
        "files": 3,
        "bytes_to_free": 2 * size,
        "without_local_features": 0,
    }
    (group,) = said["groups"]
    assert (group["kind"], group["left_out"], group["bytes_to_free"]) == ("identical", 0, 2 * size)
    (image,) = group["images"]
    assert image["path"] == str(photos / "0.jpg")
    assert image["spare"] == [
        str(photos / "again" / "deep" / "same.jpg"),
        str(photos / "again" / "same.jpg"),
    ]
    assert sorted(image["paths"]) == sorted([image["path"], *image["spare"]])
    assert (image["width"], image["height"], image["bytes"]) == (160, 120, size)
    assert (image["verdict"], image["removable"]) == (None, False)


def test_a_plan_is_written_and_nothing_else_overwritten(
    glocal: Run, photos: Path, tmp_path: Path
) -> None:
    glocal("index", photos)
    for _ in range(2):  # a plan may be written over a plan
        glocal("duplicates", "--plan", "plan.csv")
    text = (tmp_path / "plan.csv").read_text(encoding="utf-8")
    first, rest = text.split("\n", 1)
    assert first == "# glocal duplicates, plan 3: nothing has been removed"
    rows = list(csv.DictReader(rest.splitlines()))
    assert [row["action"] for row in rows] == ["keep", "could-remove", "could-remove"]
    assert {row["group"] for row in rows} == {"1"}
    assert rows[0]["path"] == str(photos / "0.jpg")
    photo = (photos / "1.jpg").read_bytes()
    refused = glocal("duplicates", "--plan", photos / "1.jpg", status=1)
    assert "is no plan of glocal's; name another file" in refused.stderr
    assert refused.stdout == ""  # before any work
    assert (photos / "1.jpg").read_bytes() == photo
    assert "cannot be written" in glocal("duplicates", "--plan", "no/plan.csv", status=1).stderr


def test_an_unknown_level_is_wrong_use(glocal: Run) -> None:
    assert "'alike'" in glocal("duplicates", "--level", "alike", status=2).stderr


def test_photos_without_local_features_are_counted(
    glocal: Run, photos: Path, tmp_path: Path
) -> None:
    import sqlite3

    glocal("index", photos)
    with sqlite3.connect(tmp_path / "gallery" / "catalog.sqlite") as database:
        database.execute("DELETE FROM local_features")
    database.close()
    assert "3 photos have no local features" in glocal("duplicates").stderr


def group(number: int, others: int = 1, name: str = "copy") -> DuplicateGroup:
    cut = Edit(EditKind.CROPPED, "shows 40 % of the kept image")
    fields = {"verdict": Verdict.COPY, "inliers": 40, "edits": (cut,), "reason": "shows more"}
    made = (image(f"/p/{name} {n}.jpg", removable=n % 2 == 0, **fields) for n in range(others))
    kept = image(f"/p/kept {number}.jpg", width=4, bytes=10)
    return DuplicateGroup(GroupKind.COPY, (kept, *made), 9)


def image(path: str, **more: Any) -> DuplicateImage:
    standard = {"width": 3, "height": 3, "bytes": 9, "copy_probability": 0.9}
    spare = (Path(path),) if more.get("removable") else ()
    fields = {"id": "0" * 32, "path": Path(path), "paths": (Path(path),), "spare": spare}
    return DuplicateImage(**fields | standard | more)


def test_the_plan_has_any_name_and_says_why(tmp_path: Path) -> None:
    odd = 'a,"b"\nc'
    same = image("/p/other side.jpg", verdict=Verdict.SAME_OBJECT, inliers=20)
    bytes_name = os.fsdecode(b"/p/\xff.jpg")
    last = DuplicateGroup(GroupKind.SAME_OBJECT, (image(bytes_name), same), 0)
    write_plan([group(1, 2, odd), last], tmp_path / "plan")
    with (tmp_path / "plan").open(encoding="utf-8", errors="surrogateescape", newline="") as file:
        next(file)
        rows = list(csv.DictReader(file))
    assert [row["action"] for row in rows] == [
        "keep",
        "could-remove",
        "decide-yourself",
        "decide-yourself",
        "decide-yourself",
    ]
    assert [row["group"] for row in rows] == ["1", "1", "1", "2", "2"]
    assert rows[1]["path"] == f"/p/{odd} 0.jpg"
    assert rows[3]["path"] == bytes_name
    assert rows[2]["reason"] == "copy, 3 x 3; cropped (shows 40 % of the kept image); shows more"
    assert rows[4]["reason"] == (
        "another photo of the same object or place, 20 local features agree"
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan"]


@pytest.mark.parametrize("held", [b"hello", b"\xff\xd8\xff", b"# glocal duplicates"])
def test_what_is_no_plan_is_left_alone(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "file").write_bytes(held)
    with pytest.raises(GlocalError, match="no plan"):
        write_plan([], tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == held
    (tmp_path / "file").write_bytes(b"")
    check_plan(tmp_path / "file")
    check_plan(tmp_path / "none")


def test_pages_link_to_one_another(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicate_sheets, "GROUPS_A_PAGE", 2)
    monkeypatch.setattr(duplicate_sheets, "MOST_GROUPS", 5)
    target = tmp_path / "my groups.html"
    groups = [group(n) for n in range(7)]
    pages = list(duplicate_sheets.duplicate_sheets(groups, "copy", target))
    assert [page.name for page in pages] == [
        "my groups.html",
        "my groups-2.html",
        "my groups-3.html",
    ]
    texts = [page.read_text(encoding="utf-8") for page in pages]
    assert [text.count("<section") for text in texts] == [2, 2, 1]
    for text in texts:
        links = ["my%20groups.html", "my%20groups-2.html", "my%20groups-3.html"]
        assert re.findall(r'<a href="([^"]*)">', text) == links
        assert "Only the first 5 groups are shown" in text
        assert "<script" not in text


def test_a_huge_group_is_shown_in_part(tmp_path: Path) -> None:
    (page,) = duplicate_sheets.duplicate_sheets([group(1, 100)], "copy", tmp_path / "page.html")
    text = page.read_text(encoding="utf-8")
    assert text.count("<li ") == duplicate_sheets.MOST_OTHERS
    assert "(60 more files of this group are not shown)" in text
    assert "<nav" not in text
    assert "copy, 40 local features agree; 3 × 3, 9 bytes: could remove" in text
