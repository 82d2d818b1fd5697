"""Files that changed though their size and time of modification say otherwise."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from image_folders import image, write_images

from glocal.gallery import Gallery

pytestmark = pytest.mark.skipif(os.name != "posix", reason="Windows keeps no time of change")


def swap(path: Path, seed: int) -> None:
    """Change what a photo shows, in place, and set size and time of modification back."""
    before, times = path.read_bytes(), path.stat()
    size = len(before)
    images = (image(other, "JPEG") for other in range(seed, seed + 1000))
    data = next(data for data in images if len(data) <= size)
    path.write_bytes(data + b"\0" * (size - len(data)))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (size, times.st_mtime_ns)


def forget_changes(gallery: Gallery) -> None:
    """Make a gallery what it was before times of change were noted."""
    with closing(sqlite3.connect(gallery.folder / "catalog.sqlite", isolation_level=None)) as db:
        db.execute("ALTER TABLE files DROP COLUMN changed")


def test_a_file_changed_in_place_is_read_again(
    open_gallery: Callable[..., Gallery], tmp_path: Path
) -> None:
    path = write_images(tmp_path / "photos", 3)[1]
    gallery = open_gallery()
    gallery.add(tmp_path / "photos")
    before = gallery.content_of(path)
    swap(path, 100)
    assert gallery.check().changed_files == (path,)
    report = gallery.refresh()
    assert (report.updated, report.unchanged) == (1, 2)
    assert gallery.content_of(path) != before
    assert not gallery.check(read_files=True).changed_files


def test_other_rights_alone_are_no_change(
    open_gallery: Callable[..., Gallery], tmp_path: Path, encoded: Callable[[], int]
) -> None:
    path = write_images(tmp_path / "photos", 3)[1]
    gallery = open_gallery()
    gallery.add(tmp_path / "photos")
    path.chmod(0o600)
    assert gallery.check().changed_files == ()
    encoded()
    for _ in range(2):
        report = gallery.refresh()
        assert (report.updated, report.unchanged, encoded()) == (0, 3, 0)


def test_a_gallery_of_before_learns_the_times_without_reading(
    open_gallery: Callable[..., Gallery], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_images(tmp_path / "photos", 3)[1]
    with open_gallery() as gallery:
        gallery.add(tmp_path / "photos")
    forget_changes(gallery)
    with monkeypatch.context() as patched:
        patched.setattr(
            "glocal.gallery.reading_files.read_bytes", lambda *_: pytest.fail("was read")
        )
        with open_gallery() as gallery:
            assert gallery.refresh().unchanged == 3
    swap(path, 100)
    with open_gallery() as gallery:
        assert gallery.refresh().updated == 1


def test_reading_every_file_finds_a_change_that_no_time_tells(
    open_gallery: Callable[..., Gallery], tmp_path: Path
) -> None:
    path = write_images(tmp_path / "photos", 3)[1]
    with open_gallery() as gallery:
        gallery.add(tmp_path / "photos")
    forget_changes(gallery)
    swap(path, 100)
    with open_gallery() as gallery:
        assert gallery.check().changed_files == ()
        assert gallery.check(read_files=True).changed_files == (path,)
