"""What a plan forgets, keeps and reads, beyond what `test_gallery.py` sees through a gallery."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from image_folders import image, write_images

from glocal.gallery import Gallery
from glocal.gallery.catalog import Catalog
from glocal.gallery.plan import topmost

Opener = Callable[..., Gallery]
posix = pytest.mark.skipif(os.name != "posix", reason="file systems of Unix")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_images(tmp_path / "photos", 4)
    return tmp_path / "photos"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of its own, mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if not _mount(folder):
        pytest.skip("a file system can only be mounted by root")
    yield folder
    while os.path.ismount(folder):
        subprocess.run(["umount", str(folder)], check=True)


def _mount(folder: Path) -> bool:
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("below", [".", "album/2019"])
def test_a_disk_that_is_really_unmounted(open_gallery: Opener, disk: Path, below: str) -> None:
    """Images right in the mount point, or only further down, asked for by either folder."""
    write_images(disk / below, 5)
    gallery = open_gallery()
    gallery.add(disk)
    gallery.add(disk.parent / "disk")
    subprocess.run(["umount", str(disk)], check=True)
    report = gallery.refresh()
    assert (report.removed, gallery.info().files) == (0, 5)
    assert disk in report.unreachable
    gallery.add(disk.parent)  # finds nothing but the empty mount point
    assert gallery.info().files == 5
    assert _mount(disk)  # another disk, on which all of this is really gone
    write_images(disk / below, 1)
    assert gallery.refresh().removed == 4


@posix
def test_times_beyond_what_nanoseconds_hold(open_gallery: Opener, disk: Path) -> None:
    """This file system keeps seconds up to 2 ** 63; one such file must not end a run."""
    write_images(disk, 3)
    for path, seconds in zip(sorted(disk.iterdir()), (2**40, -(2**40), 2**33), strict=True):
        os.utime(path, (seconds, seconds))
    gallery = open_gallery()
    assert gallery.add(disk).added == 3
    assert gallery.refresh().unchanged == 3


@posix
def test_folders_a_thousand_deep(open_gallery: Opener, tmp_path: Path) -> None:
    """As deep as a path can be written; a run takes what it can reach and says what it cannot."""
    root = tmp_path / "deep"
    root.mkdir()
    before = os.open(".", os.O_RDONLY)
    try:
        os.chdir(root)
        for depth in range(1, 2200):
            os.mkdir("d")
            os.chdir("d")
            if depth in (1, 1200):
                Path("x.jpg").write_bytes(image(depth))
    finally:
        os.fchdir(before)
        os.close(before)
    try:
        gallery = open_gallery()
        report = gallery.add(root)
        assert report.added == 2
        (failure,) = report.failed
        assert failure.reason == "the folder cannot be read: file name too long"
        assert gallery.refresh().unchanged == 2
        assert gallery.check().sound
    finally:
        subprocess.run(["rm", "-rf", str(root)], check=True)


def test_a_root_that_went_away_while_it_was_watched(open_gallery: Opener, photos: Path) -> None:
    """`update` is told of a root that is not there: kept, as `refresh` keeps it."""
    gallery = open_gallery()
    gallery.add(photos)
    away = photos.rename(photos.with_name("away"))
    report = gallery.update([photos, photos / "p0001.jpg"])
    assert (report.removed, report.unreachable) == (0, (photos,))
    away.rename(photos)
    (photos / "p0001.jpg").unlink()
    assert gallery.update([photos / "p0001.jpg"]).removed == 1


def test_a_file_becomes_a_folder_and_back(open_gallery: Opener, photos: Path) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    turned = photos / "p0001.jpg"
    turned.unlink()
    write_images(turned, 2, first=50)
    report = gallery.refresh()
    assert (report.added, report.removed) == (2, 1)
    shutil.rmtree(turned)
    turned.write_bytes(image(60))
    report = gallery.refresh()
    assert (report.added, report.removed) == (1, 2)
    assert gallery.check(sample=None).sound


def test_a_renamed_folder_is_not_encoded_again(
    open_gallery: Opener, photos: Path, encoded: Callable[[], int]
) -> None:
    write_images(photos / "old" / "deep", 5, first=20)
    gallery = open_gallery()
    gallery.add(photos)
    assert encoded() == 9
    (photos / "old").rename(photos / "new")
    report = gallery.refresh()
    assert (report.added, report.removed, encoded()) == (5, 5, 0)
    hits = gallery.search(image(20), where=f"folder = {photos}/new")
    assert len(hits) == 5
    assert len(gallery.search(image(20), where=f"folder = {photos}/old")) == 0
    assert gallery.check(sample=None).sound


def test_contents_that_swap_their_names(
    open_gallery: Opener, photos: Path, encoded: Callable[[], int]
) -> None:
    """Every content loses its file and gets another in the same run, across batches."""
    paths = write_images(photos / "many", 150, first=100)
    gallery = open_gallery()
    gallery.add(photos)
    encoded()
    data = [path.read_bytes() for path in paths]
    for path, content in zip(paths, [*data[1:], data[0]], strict=True):
        path.write_bytes(content)
        os.utime(path, (7, 7))
    report = gallery.refresh()
    assert (report.updated, encoded(), gallery.info().images) == (150, 0, 154)
    assert gallery.search(data[1]).hits[0].path == paths[0]
    assert gallery.check(sample=None).sound


def test_the_gallery_seen_through_a_link_is_not_indexed(
    open_gallery: Opener, tmp_path: Path, photos: Path
) -> None:
    gallery = open_gallery(photos / "gallery")
    gallery.add(image(80), name="kept")
    (tmp_path / "link").symlink_to(photos)
    gallery.add(tmp_path / "link")
    hits = gallery.search(image(80), limit=5)
    assert [hit.path for hit in hits if hit.evidence] == [photos / "gallery" / "kept" / "kept.jpg"]


@posix
def test_changes_in_the_gallery_or_behind_links_are_none(
    open_gallery: Opener, tmp_path: Path, photos: Path
) -> None:
    """A watch of a folder tells of the gallery in it, and of links to folders, by their paths."""
    gallery = open_gallery(photos / "gallery")
    (tmp_path / "link").symlink_to(photos)
    gallery.add(tmp_path / "link")
    gallery.add(image(80), name="kept")
    write_images(tmp_path / "far", 2, first=20)
    (photos / "far.jpg").symlink_to(tmp_path / "far")
    seen = [tmp_path / "link" / p for p in ("gallery/kept", "gallery/kept/kept.jpg", "far.jpg")]
    for changed in (seen, [tmp_path / "link" / "gallery"], seen[1:]):
        assert gallery.update(changed).added == 0
    assert gallery.info().files == 5


def test_a_raw_image_is_kept_where_none_can_be_read(
    open_gallery: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the walk passes over by its name is forgotten only when it is not there."""
    gallery = open_gallery()
    gallery.add(photos)
    for module in ("plan", "walk"):
        monkeypatch.setattr(f"glocal.gallery.{module}.has_image_suffix", _is_png)
    assert gallery.refresh().removed == 0
    (photos / "p0001.jpg").unlink()
    assert gallery.refresh().removed == 1
    assert gallery.info().files == 3


def _is_png(name: str) -> bool:
    return str(name).endswith(".png")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "PPM", "AVIF"])
def test_what_was_kept_stays_whatever_its_format(open_gallery: Opener, kind: str) -> None:
    gallery = open_gallery()
    assert gallery.add(image(1, kind)).added == 1
    report = gallery.refresh()
    assert (report.removed, report.unchanged) == (0, 1)


def test_a_kept_image_that_was_removed_stays_removed(
    open_gallery: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However far the removal came: what is looked at again is also what lies in `kept`."""
    gallery = open_gallery()
    gallery.add(image(1), name="a")
    gallery.add(image(2), name="b")
    kept = gallery.folder / "kept"
    monkeypatch.setattr(gallery._catalog, "drop_root", _die)
    with pytest.raises(KeyboardInterrupt):
        gallery.remove(kept / "a.jpg")
    monkeypatch.undo()
    gallery.refresh()
    assert [hit.path.name for hit in gallery.search(image(1))] == ["b.jpg"]
    assert gallery.remove(kept) == 1
    assert gallery.refresh().added == 0


def _die(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize("name", ["日本語" * 50, "x" * 151, "a\udcff", "\ud800", "..", "a\0b"])
def test_any_name_is_kept_or_refused_clearly(open_gallery: Opener, name: str) -> None:
    from glocal.errors import QueryError

    gallery = open_gallery()
    try:
        gallery.add(image(1), name=name)
    except QueryError:
        assert gallery.info().files == 0
    else:
        assert gallery.refresh().unchanged == 1


def test_only_topmost_roots_are_walked(tmp_path: Path) -> None:
    for folder in ("a/b/c", "a/.h/d", "a-b"):
        (tmp_path / folder).mkdir(parents=True)
    roots = [tmp_path / name for name in ("a/b/c", "a", "a-b", "a/.h/d", "a/b", "a")]
    assert topmost(roots) == [tmp_path / name for name in ("a", "a/.h/d", "a-b")]


def test_the_work_grows_with_the_files_and_not_with_their_square(
    open_gallery: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Statements of SQL, rows that they return, and paths compared, for files named one by one."""
    work = {"rows": 0, "compared": 0}
    rows = Catalog.rows

    def counted(self: Catalog, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        found = rows(self, sql, values)
        work["rows"] += 1 + len(found)
        return found

    def compared(self: Path, other: object) -> bool:
        work["compared"] += 1
        return str(self) == str(other)

    costs: dict[str, list[int]] = {}
    for count in (40, 160):
        paths = write_images(tmp_path / str(count), count)
        gallery = open_gallery(tmp_path / f"gallery{count}")
        with monkeypatch.context() as patched:
            patched.setattr(Catalog, "rows", counted)
            patched.setattr(Path, "__eq__", compared)
            for name, act in (
                ("add", lambda gallery=gallery, paths=paths: gallery.add(*paths)),
                ("refresh", gallery.refresh),
                ("update", lambda gallery=gallery, paths=paths: gallery.update(paths)),
                ("remove", lambda gallery=gallery, paths=paths: gallery.remove(*paths)),
            ):
                work.update(rows=0, compared=0)
                act()
                costs.setdefault(f"{name}, SQL", []).append(work["rows"])
                costs.setdefault(f"{name}, paths", []).append(work["compared"])
        gallery.close()
    for name, (few, many) in costs.items():
        assert many < 6 * few + 200, (name, few, many)  # 4 times as many files; 16 if squared
