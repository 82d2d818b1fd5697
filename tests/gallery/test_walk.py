"""The walk by itself: times, names and what it passes over."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from image_folders import write_images

from glocal.gallery.walk import modified_ns, walk


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
