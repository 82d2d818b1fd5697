"""What index runs pass over: excluded, removed by hand, or no photo of anybody's."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from image_folders import image, write_images

from glocal.errors import QueryError
from glocal.gallery import Gallery
from glocal.gallery.leaving_out import LeftOut, check_globs
from glocal.gallery.plan import topmost
from glocal.gallery.walk import reaches, walk

Opener = Callable[..., Gallery]


def found(root: Path, left_out: LeftOut) -> set[str]:
    """The files that a walk finds, by their paths below the root."""
    return {
        (folder.path / file.name.decode()).relative_to(root).as_posix()
        for folder in walk(root, root / "none", left_out)
        for file in folder.files
    }


def make(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.mark.parametrize(
    "name",
    [
        "#recycle/a.jpg",
        "x/@eaDir/a.jpg",
        "@Recycle/a.jpg",
        "#snapshot/daily/a.jpg",
        "phone/.nomedia/../a.jpg",
        "Catalog Previews.lrdata/0/a.jpg",
        "Mine.photoslibrary/resources/derivatives/a.jpg",
        "Old.PhotoLibrary/Thumbnails/2010/a.jpg",
    ],
)
def test_what_is_no_photo_of_anybodys_is_passed_over(tmp_path: Path, name: str) -> None:
    marked, _, rest = name.partition("/.nomedia/../")
    make(tmp_path, f"{marked}/{rest}" if rest else name)
    if rest:
        make(tmp_path, f"{marked}/.nomedia")
    make(tmp_path, "kept.jpg", "Mine.photoslibrary/originals/1/b.jpg")
    assert found(tmp_path, LeftOut()) == {"kept.jpg", "Mine.photoslibrary/originals/1/b.jpg"}
    hidden = tmp_path / (f"{marked}/{rest}" if rest else name)
    assert not reaches(tmp_path, hidden)
    # Named itself, the folder is walked.
    assert found(hidden.parent, LeftOut()) == {"a.jpg"}


@pytest.mark.parametrize(
    ("glob", "gone"),
    [
        ("*.bak.jpg", {"a.bak.jpg", "raw/c.bak.jpg"}),
        ("raw", {"raw/c.bak.jpg", "raw/d.jpg", "x/raw/e.jpg"}),
        ("raw/*", {"raw/c.bak.jpg", "raw/d.jpg"}),
        ("x/raw", {"x/raw/e.jpg"}),
        (unicodedata.normalize("NFC", "é*"), {unicodedata.normalize("NFD", "é.jpg")}),
    ],
)
def test_a_pattern_is_compared_with_names_or_with_paths(
    tmp_path: Path, glob: str, gone: set[str]
) -> None:
    names = {"a.bak.jpg", "b.jpg", "raw/c.bak.jpg", "raw/d.jpg", "x/raw/e.jpg"}
    names.add(unicodedata.normalize("NFD", "é.jpg"))
    make(tmp_path, *names)
    rules = LeftOut({tmp_path: check_globs([glob])})
    assert found(tmp_path, rules) == names - gone
    for name in names:
        assert reaches(tmp_path, tmp_path / name, rules) == (name not in gone)


def test_a_pattern_that_cannot_lie_below_a_folder_is_refused() -> None:
    for glob in ("/x/*", "../x"):
        with pytest.raises(QueryError, match="below the indexed folder"):
            check_globs([glob])


def test_patterns_are_kept_with_their_folder(open_gallery: Opener, tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 2)
    write_images(tmp_path / "photos" / "raw", 2, first=2)
    write_images(tmp_path / "other" / "raw", 1, first=4)
    with open_gallery() as gallery:
        assert gallery.add(tmp_path / "photos", tmp_path / "other").added == 5
        assert gallery.add(tmp_path / "photos", exclude=["raw"]).removed == 2
    with open_gallery() as gallery:
        assert gallery.left_out().globs == {tmp_path / "photos": ("raw",)}
        assert (gallery.refresh().removed, gallery.add(tmp_path / "photos").added) == (0, 0)
        assert gallery.update([tmp_path / "photos" / "raw"]).added == 0
        assert gallery.add(tmp_path / "photos" / "raw").added == 2  # named itself
        assert (gallery.refresh().removed, gallery.info().files) == (0, 5)
        gallery.remove(tmp_path / "photos" / "raw")
        assert gallery.add(tmp_path / "photos", exclude=[""]).added == 0  # was removed by hand
        assert gallery.left_out().globs == {tmp_path / "photos": ()}


def test_what_was_removed_by_hand_stays_out_until_it_is_named(
    open_gallery: Opener, tmp_path: Path
) -> None:
    one, *_ = write_images(tmp_path / "photos", 3)
    album = tmp_path / "photos" / "album"
    write_images(album, 2, first=3)
    with open_gallery() as gallery:
        gallery.add(tmp_path / "photos")
        assert gallery.remove(one, album) == 3
        for report in (
            gallery.refresh(),
            gallery.add(tmp_path / "photos"),
            gallery.update([one, album, album / "p0003.png"]),
        ):
            assert (report.added, report.removed) == (0, 0)
        assert gallery.add(album / "p0003.png").added == 1
        assert gallery.refresh().added == 0
        assert gallery.add(one).added == 1
    with open_gallery() as gallery:
        assert gallery.refresh().unchanged == 4
        assert gallery.left_out().removed == {album}
        assert gallery.add(album).added == 1
        assert gallery.left_out().removed == frozenset()


def test_an_image_without_a_file_can_be_added_again(open_gallery: Opener) -> None:
    gallery = open_gallery()
    for _ in range(2):
        assert gallery.add(image(1), name="one.jpg").added == 1
        assert gallery.refresh().unchanged == 1
        assert gallery.remove(gallery.search(image(1)).hits[0].path) == 1


def test_a_gallery_of_before_has_nothing_left_out(open_gallery: Opener, tmp_path: Path) -> None:
    write_images(tmp_path / "photos", 2)
    with open_gallery() as gallery:
        gallery.add(tmp_path / "photos")
    with closing(sqlite3.connect(gallery.folder / "catalog.sqlite", isolation_level=None)) as db:
        db.execute("ALTER TABLE roots DROP COLUMN globs")
        db.execute("DROP TABLE removed")
    with open_gallery() as gallery:
        assert gallery.left_out() == LeftOut()
        assert gallery.add(tmp_path / "photos", exclude=["*.png"]).removed == 1


def test_a_root_that_another_excludes_is_walked_by_itself(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    roots = [tmp_path / "a", tmp_path / "a" / "b"]
    assert topmost(roots) == roots[:1]
    assert topmost(roots, LeftOut({tmp_path / "a": ("b",)})) == roots
