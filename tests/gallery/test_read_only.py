"""A gallery that nobody can write to: a mounted archive."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from image_folders import image, write_images

import glocal
from glocal.errors import GalleryError
from glocal.gallery import Gallery
from glocal.gallery.rescue import set_aside_damaged

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="mounts a folder")


@pytest.fixture
def archive(open_gallery: Callable[..., Gallery], tmp_path: Path) -> Iterator[Path]:
    """A closed gallery of ten images, seen through a mount that can only be read."""
    write_images(tmp_path / "photos", 10)
    with open_gallery() as gallery:
        gallery.add(tmp_path / "photos")
    seen = tmp_path / "archive"
    seen.mkdir()
    mount = ["mount", "-o", "bind,ro", str(gallery.folder), str(seen)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a folder can only be mounted by root")
    try:
        yield seen
    finally:
        subprocess.run(["umount", str(seen)], check=True)


def test_it_can_be_searched_browsed_and_checked(archive: Path) -> None:
    with pytest.raises(OSError, match="Read-only"):
        (archive / "new").write_text("x")
    with glocal.open(archive, create=False) as gallery:
        assert gallery.search(image(4), limit=1).hits[0].path.name.startswith("p0004")
        assert len(gallery.search(image(4), where="width > 1")) == 10
        assert gallery.info().images == 10
        assert gallery.browse().count() == 10
        health = gallery.check(sample=None)
        assert health.sound, health.faults()
        with pytest.raises(GalleryError, match="can only be read"):
            gallery.remove(gallery.roots()[0])
        with pytest.raises(GalleryError, match="can only be read"):
            gallery.add(archive.parent / "photos")
        with pytest.raises(GalleryError, match="can only be read"):
            gallery.learn_sketches()
        with pytest.raises(GalleryError, match="can only be read"):
            gallery.add_text_model("any")


def test_its_catalogue_is_not_repaired(archive: Path) -> None:
    (archive.parent / "gallery" / "catalog.sqlite").write_bytes(b"damaged")
    with pytest.raises(GalleryError, match=r"cannot be changed: .*write\.lock: Read-only"):
        set_aside_damaged(archive, timeout=1)


def test_an_archive_of_before_is_read_without_what_it_lacks(archive: Path) -> None:
    catalog = archive.parent / "gallery" / "catalog.sqlite"
    with closing(sqlite3.connect(catalog, isolation_level=None)) as db:
        db.execute("ALTER TABLE files DROP COLUMN changed")
        db.execute("ALTER TABLE roots DROP COLUMN globs")
        for table in ("removed", "truncated"):
            db.execute(f"DROP TABLE {table}")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with glocal.open(archive, create=False) as gallery:
        assert gallery.check(read_files=True).sound
        assert not gallery.left_out().removed
        assert len(gallery.search(image(4))) == 10


def test_a_server_of_it_lets_nobody_change_it(archive: Path) -> None:
    """Clients are told so, and not that they should try again."""
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    from glocal.web.app import create_app
    from glocal.web.settings import Settings

    with glocal.open(archive, create=False) as gallery:
        assert gallery.read_only
        assert create_app(gallery, Settings()).state.service.settings.read_only
    with glocal.open(archive.parent / "gallery", create=False) as gallery:
        assert not gallery.read_only
