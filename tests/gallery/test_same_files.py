"""One file under several names is one file, and what the catalogue says is looked at again."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from image_folders import write_images
from PIL import Image

from glocal.gallery import DuplicateGroup, Duplicates, Gallery

Opener = Callable[..., Gallery]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder with one photo of 2019."""
    (first, _) = write_images(tmp_path / "lib" / "2019", 2)
    first.rename(first.with_name("DSC_0001.png"))
    return tmp_path / "lib"


def found(gallery: Gallery, *folders: Path) -> Duplicates:
    for folder in folders:
        gallery.add(folder)
    return gallery.duplicates()


def spare(groups: Iterable[DuplicateGroup]) -> list[Path]:
    return [path for group in groups for image in group.images for path in image.spare]


def test_a_link_is_no_copy_and_is_never_kept(open_gallery: Opener, photos: Path) -> None:
    original = photos / "2019" / "DSC_0001.png"
    (photos / "a").mkdir()
    (photos / "a" / "1.png").symlink_to(original)
    groups = found(open_gallery(), photos)
    assert groups == ()
    assert groups.links == (photos / "a" / "1.png",)
    shutil.copy(original, photos / "a" / "real copy.png")
    (group,) = found(open_gallery(), photos)
    assert group.kept != photos / "a" / "1.png"
    assert photos / "a" / "1.png" not in spare((group,))
    assert group.images[0].links == (photos / "a" / "1.png",)


def test_a_link_to_a_file_outside_is_neither_kept_nor_spare(
    open_gallery: Opener, photos: Path, tmp_path: Path
) -> None:
    shutil.copy(photos / "2019" / "DSC_0001.png", tmp_path / "outside.png")
    (photos / "a.png").symlink_to(tmp_path / "outside.png")
    groups = found(open_gallery(), photos)
    assert groups == ()


def test_one_folder_under_two_names_has_no_copies(
    open_gallery: Opener, photos: Path, tmp_path: Path
) -> None:
    (tmp_path / "alias").symlink_to(photos)
    groups = found(open_gallery(), photos, tmp_path / "alias")
    assert groups == ()
    assert set(groups.links) == set((tmp_path / "alias" / "2019").iterdir())


def test_hard_links_free_nothing(open_gallery: Opener, photos: Path) -> None:
    original = photos / "2019" / "DSC_0001.png"
    os.link(original, photos / "linked.png")
    assert found(open_gallery(), photos) == ()
    shutil.copy(original, photos / "copy.png")
    (group,) = found(open_gallery(), photos)
    # Of two files the one with two names stays: removing one of its names would free nothing.
    assert spare((group,)) == [photos / "copy.png"]
    assert group.bytes_to_free == original.stat().st_size


def test_a_kept_file_that_is_gone_keeps_nothing(open_gallery: Opener, photos: Path) -> None:
    shutil.copy(photos / "2019" / "DSC_0001.png", photos / "copy.png")
    gallery = open_gallery()
    (group,) = found(gallery, photos)
    group.kept.unlink()
    groups = gallery.duplicates()
    assert groups == ()
    assert groups.changed == (group.kept,)


@pytest.mark.parametrize("keep_time", [False, True])
def test_a_kept_file_with_other_bytes_keeps_nothing(
    open_gallery: Opener, photos: Path, keep_time: bool
) -> None:
    """Even where size and time say that nothing has happened."""
    shutil.copy(photos / "2019" / "DSC_0001.png", photos / "copy.png")
    gallery = open_gallery()
    (group,) = found(gallery, photos)
    before = group.kept.stat()
    data = bytearray(group.kept.read_bytes())
    data[-20] ^= 1
    group.kept.write_bytes(data)
    if keep_time:
        os.utime(group.kept, ns=(before.st_atime_ns, before.st_mtime_ns))
    groups = gallery.duplicates()
    assert spare(groups) == []


def test_a_touched_file_is_the_same_file(open_gallery: Opener, photos: Path) -> None:
    shutil.copy(photos / "2019" / "DSC_0001.png", photos / "copy.png")
    gallery = open_gallery()
    (group,) = found(gallery, photos)
    os.utime(group.kept, (1, 1))
    assert len(spare(gallery.duplicates())) == 1


def test_a_renamed_folder_that_was_indexed_anew(
    open_gallery: Opener, photos: Path, tmp_path: Path
) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    photos.rename(tmp_path / "renamed")
    groups = found(gallery, tmp_path / "renamed")
    assert groups == ()
    assert len(groups.changed) == 2


def test_of_identical_files_the_sorted_one_stays(open_gallery: Opener, photos: Path) -> None:
    original = photos / "2019" / "DSC_0001.png"
    (photos / "incoming").mkdir()
    shutil.copy(original, photos / "incoming" / "x.png")
    (group,) = found(open_gallery(), photos)
    assert group.kept == original
    (preferring,) = open_gallery().duplicates(prefer=[photos / "incoming"])
    assert preferring.kept == photos / "incoming" / "x.png"


def test_a_film_beside_a_file_keeps_it(open_gallery: Opener, photos: Path) -> None:
    """A live photo is an image and a film of one name."""
    original = photos / "2019" / "DSC_0001.png"
    (photos / "2019" / "DSC_0001.MOV").write_bytes(b"film")
    shutil.copy(original, photos / "a.png")
    (group,) = found(open_gallery(), photos)
    assert (group.kept, spare((group,))) == (original, [photos / "a.png"])
    (photos / "a.mov").write_bytes(b"film")
    assert spare(open_gallery().duplicates()) == []


def test_decisions_are_remembered_and_forgotten(open_gallery: Opener, tmp_path: Path) -> None:
    array = np.random.default_rng(0).integers(0, 255, (60, 80, 3), np.uint8)
    (tmp_path / "p").mkdir()
    Image.fromarray(array).save(tmp_path / "p" / "a.png")
    gallery = open_gallery()
    gallery.add(tmp_path / "p")
    content = gallery.content_of(tmp_path / "p" / "a.png")
    assert content is not None
    with gallery.decisions() as decisions:
        decisions.set_stays(content)
        assert decisions.stays() == {content}
    with gallery.decisions() as decisions:
        assert decisions.unset_stays([content]) == 1
        assert decisions.stays() == frozenset()
