"""The walk by itself: times, names and what it passes over."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from image_folders import write_images

from glocal.gallery.walk import modified_ns, reaches, walk


@pytest.mark.parametrize("time", [0, -1, 2**63 - 1, 2**63, -(2**63) - 1, 10**22, -(10**22)])
def test_a_file_may_be_of_any_time(time: int) -> None:
    """File systems keep 64 bits of seconds, which in nanoseconds are more than SQLite's 64."""
    found: Any = SimpleNamespace(st_mtime_ns=time)
    later: Any = SimpleNamespace(st_mtime_ns=time + 1)
    assert -(2**63) <= modified_ns(found) < 2**63
    assert (modified_ns(found) - time) % 2**64 == 0
    assert modified_ns(later) != modified_ns(found)


@pytest.mark.skipif(os.name != "posix", reason="makes links")
def test_what_is_left_out_is_known_by_any_path(tmp_path: Path) -> None:
    write_images(tmp_path / "real" / "out" / "below", 1)
    write_images(tmp_path / "real" / "in", 1)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    for root in (tmp_path / "real", tmp_path / "link"):
        for out in (tmp_path / "real" / "out", tmp_path / "link" / "out"):
            assert {folder.path for folder in walk(root, out)} == {root, root / "in"}
    assert list(walk(tmp_path / "real", tmp_path / "link")) == []


def test_images_of_kinds_that_are_not_read_are_counted(tmp_path: Path) -> None:
    write_images(tmp_path, 1)
    for name in ("a.psd", "b.PSB", "c.svg", "d.txt"):
        (tmp_path / name).touch()
    (folder,) = walk(tmp_path, tmp_path / "none")
    assert folder.not_read == {"Photoshop": 2, "SVG": 1}


def test_junctions_of_windows_are_not_walked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: they are folders to `is_dir`, and no links to `islink`."""
    write_images(tmp_path / "real", 1)
    write_images(tmp_path / "junction", 1)
    lstat = os.lstat

    def as_on_windows(path: Any) -> Any:
        found = lstat(path)
        if Path(path).name != "junction":
            return found
        return SimpleNamespace(st_mode=found.st_mode, st_reparse_tag=0xA0000003)

    monkeypatch.setattr(os, "lstat", as_on_windows)
    assert {folder.path.name for folder in walk(tmp_path, tmp_path / "none")} == {
        tmp_path.name,
        "real",
    }
    assert not reaches(tmp_path, tmp_path / "junction" / "p0000.png")
