"""What a person decided about duplicates holds in later runs, and is undone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from image_folders import scene
from PIL import Image

from glocal.cli import duplicate_actions
from glocal.errors import QueryError
from glocal.gallery import Duplicates, Gallery
from glocal.gallery.duplicate_rows import Action, rows


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An image, a JPEG of it, a small one, a copy of the JPEG, and another image."""
    folder = tmp_path_factory.mktemp("decided") / "photos"
    folder.mkdir()
    scene(0).save(folder / "original.png")
    scene(0).save(folder / "saved.jpg", quality=80)
    scene(0).resize((288, 216), Image.Resampling.LANCZOS).save(folder / "small.jpg", quality=80)
    shutil.copy(folder / "saved.jpg", folder / "same.jpg")
    scene(1).save(folder / "other.png")
    return folder


@pytest.fixture(scope="module")
def shared(photos: Path) -> Iterator[Gallery]:
    with Gallery(photos.parent / "gallery") as opened:
        assert not opened.add(photos).failed
        yield opened


@pytest.fixture
def gallery(shared: Gallery) -> Iterator[Gallery]:
    """Without any decision, before and after."""
    yield shared
    with shared.decisions() as decisions:
        for pair in decisions.apart():
            decisions.unset_apart(pair)
        decisions.unset_stays(decisions.stays())


def ids(gallery: Gallery, photos: Path, *names: str) -> list[UUID]:
    found = [gallery.content_of(photos / name) for name in names]
    assert None not in found
    return [content for content in found if content is not None]


def together(groups: Duplicates) -> list[set[str]]:
    return [{path.name for image in group.images for path in image.paths} for group in groups]


def spare(groups: Duplicates) -> set[str]:
    return {path.name for group in groups for image in group.images for path in image.spare}


def test_without_decisions_all_copies_are_one_group(gallery: Gallery) -> None:
    groups = gallery.duplicates()
    assert together(groups) == [{"original.png", "saved.jpg", "same.jpg", "small.jpg"}]
    assert groups[0].kept.name == "original.png"
    assert spare(groups) == {"saved.jpg", "same.jpg", "small.jpg"}


def test_images_declared_apart_are_not_brought_together_by_a_third(
    gallery: Gallery, photos: Path
) -> None:
    with gallery.decisions() as decisions:
        decisions.set_apart(ids(gallery, photos, "original.png", "saved.jpg"))
    for _ in range(2):
        groups = gallery.duplicates()
        assert not any({"original.png", "saved.jpg"} <= group for group in together(groups))
        # Of the small one, a copy of both, nobody knows any more what it is worth.
        assert spare(groups) in ({"same.jpg"}, {"saved.jpg"})
    with gallery.decisions() as decisions:
        assert decisions.unset_apart(ids(gallery, photos, "saved.jpg", "original.png")) == 1
    assert spare(gallery.duplicates()) == {"saved.jpg", "same.jpg", "small.jpg"}


def test_a_group_declared_apart_is_gone_in_the_next_run_wherever_its_files_are(
    gallery: Gallery, photos: Path
) -> None:
    with gallery.decisions() as decisions:
        decisions.set_apart(ids(gallery, photos, "original.png", "saved.jpg", "small.jpg"))
    assert together(gallery.duplicates()) == [{"saved.jpg", "same.jpg"}]  # the very same bytes
    moved = photos / "moved"
    moved.mkdir()
    for name in ("original.png", "small.jpg"):
        (photos / name).rename(moved / f"new {name}")
    gallery.add(photos)
    try:
        assert together(gallery.duplicates()) == [{"saved.jpg", "same.jpg"}]
    finally:
        for path in moved.iterdir():
            path.rename(photos / path.name.removeprefix("new "))
        moved.rmdir()
        gallery.add(photos)


def test_what_a_person_keeps_stays_and_is_never_spare(gallery: Gallery, photos: Path) -> None:
    with gallery.decisions() as decisions:
        decisions.set_stays(*ids(gallery, photos, "small.jpg"))
    (group,) = gallery.duplicates()
    assert (group.kept.name, group.images[0].reason) == ("small.jpg", "you decided to keep it")
    assert next(rows(group)).action is Action.KEEP
    assert spare(gallery.duplicates()) <= {"saved.jpg", "same.jpg"}
    with gallery.decisions() as decisions:
        decisions.set_stays(*ids(gallery, photos, "saved.jpg"))
        decisions.set_stays(*ids(gallery, photos, "original.png"))
    (group,) = gallery.duplicates()
    assert {image.path.name for image in group.images if image.chosen} >= {
        "small.jpg",
        "original.png",
    }
    assert len(spare(gallery.duplicates())) == 1  # of two files with the same bytes one stays
    with gallery.decisions() as decisions:
        assert decisions.unset_stays(decisions.stays()) == 3
    assert gallery.duplicates()[0].kept.name == "original.png"


def test_where_nothing_is_clear_no_file_is_proposed_to_be_kept(
    gallery: Gallery, photos: Path, tmp_path: Path
) -> None:
    """Each has something that the other lacks: one is larger, one has colours."""
    scene(2, 640, 480).convert("L").save(tmp_path / "large.png")
    scene(2, 640, 480).resize((448, 336), Image.Resampling.LANCZOS).save(tmp_path / "coloured.jpg")
    gallery.add(tmp_path)
    try:
        (group,) = (group for group in gallery.duplicates() if group.kept.parent == tmp_path)
        assert group.undecided
        assert {row.action for row in rows(group)} == {Action.DECIDE}
    finally:
        gallery.remove(tmp_path)


def test_files_with_the_same_bytes_cannot_be_told_apart(gallery: Gallery, photos: Path) -> None:
    with pytest.raises(QueryError, match="same bytes"):
        duplicate_actions.decide(gallery, [photos / "saved.jpg", photos / "same.jpg"], [], [])
    with gallery.decisions() as decisions:
        assert not decisions.apart()
