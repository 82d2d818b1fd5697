"""A gallery as its users meet it, on real files."""

from __future__ import annotations

import io
import os
import shutil
import socket
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from image_folders import image, pixels, write_images
from PIL import Image

import forked
import glocal
from glocal.errors import (
    DiskFullError,
    GalleryDamagedError,
    GalleryError,
    GalleryFormatError,
    GalleryLockedError,
    GalleryMissingError,
    ImageError,
    ImageMissingError,
    ModelMismatchError,
    QueryError,
)
from glocal.gallery import Gallery, layout, models
from glocal.gallery.batches import BatchWriter, ReadFile
from glocal.gallery.catalog import Catalog
from glocal.gallery.records import Attributes, Record
from glocal.gallery.walk import FoundFolder
from glocal.images import load
from glocal.ranking.evidence import IDENTICAL_FILE

Opener = Callable[..., Gallery]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_images(tmp_path / "photos", 12)
    return tmp_path / "photos"


def found(gallery: Gallery, query: Any, **options: Any) -> list[Path]:
    return [path for hit in gallery.search(query, **options) for path in hit.paths]


def assert_sound(gallery: Gallery) -> None:
    health = gallery.check(sample=None)
    assert health.sound, health.faults()
    assert not health.missing_files


# What a search takes and gives


@pytest.mark.parametrize("form", ["path", "text", "bytes", "file", "pil", "array"])
def test_an_image_may_be_many_things(open_gallery: Opener, photos: Path, form: str) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    path = photos / "p0006.png"
    forms: dict[str, Callable[[], Any]] = {
        "path": lambda: path,
        "text": lambda: str(path),
        "bytes": path.read_bytes,
        "file": lambda: io.BytesIO(path.read_bytes()),
        "pil": lambda: Image.open(io.BytesIO(path.read_bytes())),
        "array": lambda: pixels(6),
    }
    result = gallery.search(forms[form](), limit=3)
    assert [hit.rank for hit in result] == [1, 2, 3]
    assert result.hits[0].path == path
    # A file is decoded scaled, an array is not: close, but not to the last digit.
    assert 0.99 < result.hits[0].score <= 1
    assert result.model == gallery.model
    assert set(result.timings_ms) == {"decode", "encode", "search", "regions"}


@pytest.mark.parametrize("form", ["bytes", "file", "pil", "array"])
def test_what_has_no_file_gets_one(open_gallery: Opener, form: str, tmp_path: Path) -> None:
    gallery = open_gallery()
    forms: dict[str, Any] = {
        "bytes": image(5),
        "file": io.BytesIO(image(5)),
        "pil": Image.fromarray(pixels(5)),
        "array": pixels(5),
    }
    assert gallery.add(forms[form], name="five").added == 1
    (path,) = found(gallery, pixels(5))
    assert path.parent == gallery.folder / "kept"
    assert path.stem == "five"
    assert gallery.refresh().removed == 0
    assert gallery.repair().removed == 0
    assert_sound(gallery)
    assert gallery.remove(path) == 1
    assert not path.exists()
    with pytest.raises(ImageError):
        gallery.add(b"no image")
    for name in ("../up", "a/b", "", ".hidden", "x\0"):
        with pytest.raises(QueryError, match="cannot be the name"):
            gallery.add(image(1), name=name)


def test_a_region_is_searched_for(open_gallery: Opener, tmp_path: Path) -> None:
    wide = np.concatenate([pixels(1), pixels(2)], axis=1)
    Image.fromarray(wide).save(tmp_path / "query.png")
    write_images(tmp_path / "photos", 6)
    gallery = open_gallery()
    gallery.add(tmp_path / "photos")
    left = found(gallery, tmp_path / "query.png", region=(0, 0, 0.5, 1))
    right = found(gallery, tmp_path / "query.png", region=(32, 0, 32, 24))
    assert (left[0].stem, right[0].stem) == ("p0001", "p0002")
    for region in ((2, 2, 1, 1e9), (100, 0, 10, 10), (0, 0, 0, 1), (0, 0, float("nan"), 1)):
        if region != (2, 2, 1, 1e9):
            with pytest.raises(QueryError, match=r"query\.png"):
                gallery.search(tmp_path / "query.png", region=region)


def test_examples_draw_and_push_away(open_gallery: Opener, photos: Path) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    a, b = photos / "p0001.jpg", photos / "p0002.jpg"
    assert set(found(gallery, a, like=[b], limit=2)) == {a, b}
    plain = {hit.path: hit.score for hit in gallery.search(a, limit=12)}
    pushed = {hit.path: hit.score for hit in gallery.search(a, unlike=[b], limit=12)}
    assert pushed[b] < plain[b]
    assert max(pushed, key=pushed.__getitem__) == a
    assert found(gallery, a, like=[a], unlike=[a, a])[0] == a
    assert found(gallery, a, unlike=[a], limit=1)  # half of itself is left


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_limits_are_bounded(open_gallery: Opener, photos: Path, limit: int) -> None:
    with pytest.raises(QueryError, match="limit"):
        open_gallery().search(photos / "p0001.jpg", limit=limit)


def test_hits_are_as_many_as_asked_for_though_some_images_go_in_this_moment(
    open_gallery: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    before = gallery.search(photos / "p0001.jpg", limit=6, verify=False)
    gone = {before.hits[0].id, before.hits[2].id}
    read = Catalog.contents
    monkeypatch.setattr(
        Catalog,
        "contents",
        lambda self, ids: {i: c for i, c in read(self, ids).items() if i.hex not in gone},
    )
    after = gallery.search(photos / "p0001.jpg", limit=4, verify=False)
    assert [hit.id for hit in after] == [hit.id for hit in before if hit.id not in gone]
    assert [hit.rank for hit in after] == [1, 2, 3, 4]


def test_searches_of_many_threads_have_one_core_each(
    open_gallery: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(models, "worker_count", lambda: 3)
    opened = []
    real = models.OnnxEncoder

    def recorded(path: Path, *, threads: int, sessions: int, budget_ms: float | None) -> Any:
        opened.append((threads, sessions))
        return real(path, threads=threads, sessions=sessions, budget_ms=budget_ms)

    monkeypatch.setattr(models, "OnnxEncoder", recorded)
    open_gallery().query(photos / "p0001.jpg")
    open_gallery(side_by_side=True).query(photos / "p0001.jpg")
    assert opened == [(3, 1), (1, 3)]


def test_an_empty_gallery_answers(open_gallery: Opener, photos: Path) -> None:
    gallery = open_gallery()
    assert found(gallery, photos / "p0001.jpg") == []
    assert found(gallery, photos / "p0001.jpg", where="width > 1") == []
    assert_sound(gallery)


def test_conditions_narrow_a_search(open_gallery: Opener, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    (folder / "sub").mkdir(parents=True)
    (folder / "old.jpg").write_bytes(image(1, taken="2001:05:06 07:08:09", camera="Old Box"))
    (folder / "sub" / "new.jpg").write_bytes(image(2, taken="2021:01:01 00:00:00"))
    (folder / "big.png").write_bytes(image(3, "PNG", size=(64, 48)))
    gallery = open_gallery()
    gallery.add(folder)
    asked = {
        "taken < 2010": {"old.jpg"},
        "taken = 2021-01-01": {"new.jpg"},
        "camera = BOX": {"old.jpg"},
        "width > 32": {"big.png"},
        f"folder = {folder}/sub": {"new.jpg"},
        f"not folder = {folder}/sub and not taken < 2010": {"big.png"},
        f"folder = {folder}": {"old.jpg", "new.jpg", "big.png"},
    }
    for where, names in asked.items():
        assert {path.name for path in found(gallery, pixels(1), where=where)} == names, where
    with pytest.raises(QueryError, match="nothing in a folder /nowhere"):
        found(gallery, pixels(1), where="folder = /nowhere")


# Files that come, go, move and repeat


def test_only_what_changed_is_encoded(
    open_gallery: Opener, photos: Path, encoded: Callable[[], int]
) -> None:
    gallery = open_gallery()
    report = gallery.add(photos)
    assert (report.added, report.unchanged, encoded()) == (12, 0, 12)
    report = gallery.add(photos)
    assert (report.added, report.unchanged, encoded()) == (0, 12, 0)
    # renamed, moved, touched: read, but not encoded
    (photos / "p0001.jpg").rename(photos / "renamed.jpg")
    (photos / "sub").mkdir()
    (photos / "p0002.jpg").rename(photos / "sub" / "moved.jpg")
    os.utime(photos / "p0004.jpg", (1, 1))
    report = gallery.refresh()
    assert (report.added, report.removed, report.updated, report.unchanged) == (2, 2, 0, 10)
    assert encoded() == 0
    (photos / "p0005.jpg").write_bytes(image(99))
    report = gallery.refresh()
    assert (report.updated, encoded()) == (1, 1)
    (photos / "p0007.jpg").unlink()
    shutil.rmtree(photos / "sub")
    report = gallery.refresh()
    assert (report.removed, gallery.info().images) == (2, 10)
    assert_sound(gallery)


def test_copies_share_a_vector_and_are_all_listed(
    open_gallery: Opener, photos: Path, encoded: Callable[[], int]
) -> None:
    original = photos / "p0003.png"
    for place in (photos, photos / "a", photos / "b"):
        place.mkdir(exist_ok=True)
        shutil.copy(original, place / "copy.png")
    gallery = open_gallery()
    gallery.add(photos)
    assert encoded() <= 15  # two threads may meet the same content at the same time
    assert gallery.info().images == 12
    everywhere = {original, *(photos / f / "copy.png" for f in (".", "a", "b"))}
    result = gallery.search(original, limit=4)
    assert len(result) == 4
    assert set(result.hits[0].paths) == everywhere
    assert result.hits[0].path == result.hits[0].paths[0]
    assert result.hits[0].evidence == IDENTICAL_FILE
    assert not everywhere.intersection(*(hit.paths for hit in result.hits[1:]))
    assert found(gallery, original, limit=1, where=f"folder = {photos}/a")[0].parent.name == "a"
    outside = found(gallery, original, limit=3, where=f"folder != {photos}/a")
    assert {p for p in outside if p in everywhere} == everywhere - {photos / "a" / "copy.png"}
    (photos / "a" / "copy.png").unlink()
    gallery.refresh()
    assert found(gallery, original, where=f"folder = {photos}/a") == []
    assert_sound(gallery)


def test_bad_files_are_named_once_and_left_until_they_change(
    open_gallery: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "text.jpg").write_text("hello")
    (photos / "half.jpg").write_bytes(image(1)[:300])
    (photos / "notes.txt").write_text("no image by its name")
    gallery = open_gallery()
    report = gallery.add(photos)
    reasons = {f.path.name: f.reason for f in report.failed}
    assert set(reasons) == {"empty.jpg", "text.jpg", "half.jpg"}
    assert "0 bytes" in reasons["empty.jpg"]
    monkeypatch.setattr("glocal.gallery.reading_files.read_bytes", None)  # nothing may be read
    report = gallery.refresh()
    assert (report.unchanged, {f.path.name: f.reason for f in report.failed}) == (12, reasons)
    monkeypatch.undo()
    (photos / "text.jpg").write_bytes(image(50))
    (photos / "p0001.jpg").write_bytes(b"turned bad")
    report = gallery.refresh()
    assert report.added == 1
    assert "p0001.jpg" in {f.path.name for f in report.failed}
    assert photos / "p0001.jpg" not in found(gallery, pixels(1))
    assert_sound(gallery)


def test_other_limits_are_a_reason_to_try_again(open_gallery: Opener, photos: Path) -> None:
    strict = glocal.Limits(max_pixels=500)
    assert len(open_gallery(limits=strict).add(photos).failed) == 12
    assert open_gallery().add(photos).added == 12
    # and a file that grew too large is no longer what it was
    assert len(open_gallery(limits=glocal.Limits(max_bytes=10)).refresh().failed) == 0


@posix
def test_odd_things_in_a_folder_are_answered(open_gallery: Opener, photos: Path) -> None:
    os.mkfifo(photos / "pipe.jpg")
    (photos / "loop.jpg").symlink_to("loop.jpg")
    (photos / "broken.jpg").symlink_to("nowhere")
    (photos / "good.jpg").symlink_to("p0001.jpg")
    (photos / "up").symlink_to("..")
    (photos / "folder.jpg").mkdir()
    (photos / ".hidden.jpg").write_bytes(image(70))
    (photos / ".git").mkdir()
    (photos / ".git" / "x.jpg").write_bytes(image(71))
    with socket.socket(socket.AF_UNIX) as sock:
        os.chdir(photos)
        sock.bind("socket.jpg")
    odd = os.fsencode(photos) + b"/na\xffme.jpg"
    with open(odd, "wb") as file:
        file.write(image(72))
    gallery = open_gallery()
    report = gallery.add(photos)
    assert report.added == 14  # the link and the odd name too
    names = {f.path.name for f in report.failed}
    assert names == {"pipe.jpg", "loop.jpg", "broken.jpg", "socket.jpg"}
    assert os.fsencode(found(gallery, pixels(72))[0]) == odd
    assert gallery.refresh().unchanged == 14
    assert_sound(gallery)


@posix
def test_what_one_root_does_not_reach_it_does_not_forget(
    open_gallery: Opener, photos: Path, tmp_path: Path
) -> None:
    (photos / ".secret").mkdir()
    (photos / ".secret" / "x.jpg").write_bytes(image(40))
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "y.jpg").write_bytes(image(41))
    (photos / "link").symlink_to(tmp_path / "far")
    (photos / "scan.dat").write_bytes(image(42))
    gallery = open_gallery()
    for root in (photos / ".secret", photos / "link", photos / "scan.dat"):
        assert gallery.add(root).added == 1
    assert gallery.add(photos).removed == 0
    report = gallery.refresh()
    assert (report.removed, report.unchanged) == (0, 15)


def test_a_root_that_is_away_is_kept(open_gallery: Opener, photos: Path) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    away = photos.rename(photos.with_name("away"))
    report = gallery.refresh()
    assert report.removed == 0
    assert report.unreachable == (photos,)
    assert "kept" in report.failed[0].reason
    assert gallery.info().files == 12
    away.rename(photos)
    assert gallery.refresh().unchanged == 12


@pytest.mark.parametrize("emptied", [True, False])
def test_an_unmounted_disk_is_no_emptied_folder(
    open_gallery: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch, emptied: bool
) -> None:
    """Below the root lies a folder that is another file system's, and then is not mounted."""
    disk = photos / "disk" / "album"
    write_images(disk, 4, first=20)
    real = os.stat(photos).st_dev

    def device(path: Path) -> int | None:
        return 4711 if photos / "disk" in (path, *path.parents) and disk.exists() else real

    monkeypatch.setattr("glocal.gallery.batches._device", device)
    gallery = open_gallery()
    gallery.add(photos)
    shutil.rmtree(photos / "disk")
    if emptied:
        (photos / "disk").mkdir()
    report = gallery.refresh()
    assert report.removed == 0
    assert report.unreachable == (photos / "disk",)
    assert "not mounted" in report.failed[0].reason
    assert gallery.remove(photos / "disk") == 4
    assert_sound(gallery) if emptied else None


def test_a_folder_that_cannot_be_listed_keeps_its_images(
    open_gallery: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(photos / "sub" / "deep", 3, first=20)
    gallery = open_gallery()
    gallery.add(photos)
    real = os.scandir

    def scandir(path: Any) -> Any:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    report = gallery.refresh()
    assert report.removed == 0
    assert "permission denied" in report.failed[0].reason
    monkeypatch.undo()
    assert gallery.refresh().unchanged == 15


def test_a_file_unreadable_for_the_moment_is_kept(
    open_gallery: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    (photos / "p0001.jpg").write_bytes(image(60))

    def unreadable(path: Path, limits: Any) -> bytes:
        raise ImageError("not readable: input/output error")

    monkeypatch.setattr("glocal.gallery.reading_files.read_bytes", unreadable)
    assert len(gallery.refresh().failed) == 1
    assert gallery.info().files == 12
    monkeypatch.undo()
    assert gallery.refresh().updated == 1


def test_changes_that_are_known_are_all_that_is_looked_at(
    open_gallery: Opener, photos: Path
) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    (photos / "new").mkdir()
    (photos / "new" / "n.jpg").write_bytes(image(30))
    (photos / "note.txt").write_text("x")
    (photos / ".tmp.jpg").write_bytes(image(31))
    (photos / "p0001.jpg").unlink()
    changed = [photos / n for n in ("new", "new/n.jpg", "note.txt", ".tmp.jpg", "p0001.jpg")]
    report = gallery.update(changed)
    assert (report.added, report.removed, len(report.failed)) == (1, 1, 0)
    shutil.rmtree(photos / "new")
    assert gallery.update([photos / "new", photos / "new" / "n.jpg"]).removed == 1
    assert gallery.update([photos.parent / "elsewhere.jpg"]).added == 0


def test_files_and_folders_are_removed(open_gallery: Opener, photos: Path) -> None:
    write_images(photos / "sub", 3, first=20)
    gallery = open_gallery()
    gallery.add(photos)
    assert gallery.remove(photos / "p0001.jpg", photos / "sub") == 4
    with pytest.raises(QueryError, match="nothing at"):
        gallery.remove(photos / "p0002.jpg", photos / "no-such.jpg")
    assert gallery.info().files == 11
    assert gallery.refresh().added == 0  # though they are still in a folder that is indexed
    assert gallery.remove(photos) == 11
    assert gallery.refresh().added == 0
    assert gallery.add(photos).added == 15
    assert_sound(gallery)


def test_the_gallery_may_lie_in_what_it_indexes(open_gallery: Opener, photos: Path) -> None:
    gallery = open_gallery(photos / "gallery")
    gallery.add(image(80), name="kept")
    assert gallery.add(photos).added == 12
    assert gallery.refresh().removed == 0
    assert gallery.info().files == 13


# Which model, which format, which folder


def test_two_models_are_never_mixed(
    open_gallery: Opener, photos: Path, model: Path, other_model: Path
) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    with pytest.raises(ModelMismatchError, match="another"):
        open_gallery(model=str(other_model))
    with pytest.raises(ModelMismatchError):
        open_gallery(model=None, sha256="0" * 64)
    again = open_gallery(model=None, sha256=gallery.model.sha256)
    assert found(again, photos / "p0001.jpg")[0].name == "p0001.jpg"


def test_a_gallery_keeps_its_model(open_gallery: Opener, photos: Path, tmp_path: Path) -> None:
    from tiny_model import write_model

    path = write_model(tmp_path / "mine.onnx", seed=3)
    open_gallery(model=str(path)).add(photos)
    path.unlink()
    gallery = open_gallery(create=False)
    assert found(gallery, photos / "p0001.jpg")[0].name == "p0001.jpg"
    (kept,) = gallery.folder.glob("model-*.onnx")
    kept.write_bytes(kept.read_bytes() + b"\0")
    assert "damaged" in str(gallery.check().model_problem)


def test_formats_are_told_apart(open_gallery: Opener, photos: Path) -> None:
    gallery = open_gallery()
    gallery.close()
    note = gallery.folder / "gallery.json"
    sound = note.read_text()
    for text, error, said in (
        (sound.replace('"format": 2', '"format": 4'), GalleryFormatError, "upgrade"),
        (sound.replace('"format": 2', '"format": 3'), GalleryDamagedError, "cannot be read"),
        (sound.replace('"version": 5\n', '"version": 6\n'), GalleryFormatError, "upgrade"),
        (sound.replace('"version": 5\n', '"version": 0\n'), GalleryDamagedError, "cannot be read"),
        (sound.replace('"flat"', '"steep"'), GalleryFormatError, "upgrade"),
        (sound.replace('"format": 2', '"format": 0'), GalleryFormatError, "index the images"),
        ("{", GalleryDamagedError, "cannot be read"),
        ("[]", GalleryDamagedError, "cannot be read"),
    ):
        note.write_text(text)
        with pytest.raises(error, match=said):
            open_gallery()
    note.unlink()
    (gallery.folder / "vectors").mkdir(exist_ok=True)
    with pytest.raises(GalleryDamagedError, match=r"lost its gallery\.json"):
        open_gallery()


def test_a_folder_that_is_something_else_is_left_alone(open_gallery: Opener, photos: Path) -> None:
    before = sorted(photos.iterdir())
    with pytest.raises(GalleryFormatError, match="neither empty nor a gallery"):
        open_gallery(photos)
    assert sorted(photos.iterdir()) == before
    with pytest.raises(GalleryMissingError, match="glocal index"):
        open_gallery(photos.parent / "none", create=False)
    with pytest.raises(GalleryError):
        open_gallery(photos / "p0001.jpg")


def test_a_gallery_half_made_is_made(open_gallery: Opener, tmp_path: Path) -> None:
    (tmp_path / "gallery").mkdir()
    (tmp_path / "gallery" / "model-0123.onnx").write_bytes(b"half")
    (tmp_path / "gallery" / ".model.77").write_bytes(b"half")
    assert open_gallery().info().images == 0


# Trouble


def test_a_closed_gallery_says_so(open_gallery: Opener, photos: Path) -> None:
    gallery = open_gallery()
    gallery.close()
    gallery.close()
    for use in (gallery.info, gallery.refresh, lambda: gallery.search(photos / "p0001.jpg")):
        with pytest.raises(GalleryError, match="closed"):
            use()


def test_query_errors_name_the_image(open_gallery: Opener, photos: Path) -> None:
    gallery = open_gallery()
    with pytest.raises(ImageMissingError, match=r"none\.jpg: no such file"):
        gallery.search(photos / "none.jpg")
    (photos / "bad.jpg").write_text("x")
    with pytest.raises(ImageError, match=r"bad\.jpg: unsupported format"):
        gallery.search(photos / "p0001.jpg", like=[photos / "bad.jpg"])
    with pytest.raises(ImageError, match="<bytes>"):
        gallery.search(b"")


def test_many_threads_search_while_one_adds(open_gallery: Opener, tmp_path: Path) -> None:
    write_images(tmp_path / "a", 20)
    write_images(tmp_path / "b", 150, first=100)
    gallery = open_gallery()
    gallery.add(tmp_path / "a")
    errors: list[Exception] = []
    done = threading.Event()

    def search(seed: int) -> None:
        try:
            while not done.is_set():
                assert found(gallery, pixels(seed), limit=1)[0].stem == f"p{seed:04d}"
        except Exception as error:  # noqa: BLE001 - it fails the test, in its own thread
            errors.append(error)

    threads = [threading.Thread(target=search, args=(3 * seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    assert gallery.add(tmp_path / "b").added == 150
    done.set()
    for thread in threads:
        thread.join()
    assert not errors


def test_a_second_writer_waits_for_a_batch_and_no_longer(
    open_gallery: Opener, photos: Path
) -> None:
    first, second = open_gallery(), open_gallery(timeout=0.3)
    with first._catalog.change():
        with pytest.raises(GalleryLockedError, match="try again"):
            second.add(photos)
        assert found(second, photos / "p0001.jpg") == []
    patient = open_gallery(timeout=20)
    entered = threading.Event()

    def hold() -> None:
        with first._catalog.change():
            entered.set()
            time.sleep(0.5)

    holding = threading.Thread(target=hold)
    holding.start()
    entered.wait()
    assert patient.add(photos).added == 12
    holding.join()


def test_two_runs_over_one_folder_and_removals_go_on_at_once(
    open_gallery: Opener, photos: Path, tmp_path: Path
) -> None:
    write_images(tmp_path / "many", 150, first=200)
    write_images(tmp_path / "gone", 40, first=400)
    galleries = [open_gallery() for _ in range(3)]
    galleries[0].add(tmp_path / "gone")
    errors: list[Exception] = []

    def add(gallery: Gallery) -> None:
        try:
            gallery.add(photos, tmp_path / "many")
        except Exception as error:  # noqa: BLE001 - it fails the test, in its own thread
            errors.append(error)

    runs = [threading.Thread(target=add, args=(gallery,)) for gallery in galleries[:2]]
    for run in runs:
        run.start()
    for path in sorted((tmp_path / "gone").iterdir()):
        assert galleries[2].remove(path) == 1
    for run in runs:
        run.join()
    assert errors == []
    info = galleries[2].info()
    assert (info.files, info.images) == (162, 162)
    assert_sound(galleries[2])


def test_an_image_that_is_removed_while_it_is_read_is_read_again(
    open_gallery: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch, encoded: Callable[[], int]
) -> None:
    """Its content was known when the file was read, and is not when the batch is written."""
    gallery, other = open_gallery(), open_gallery()
    gallery.add(photos / "p0001.jpg")
    (photos / "copy").mkdir()
    shutil.copy(photos / "p0001.jpg", photos / "copy" / "again.jpg")
    write, removed = BatchWriter.write, []

    def remove_first(writer: BatchWriter, batch: list[ReadFile]) -> list[ReadFile]:
        if not removed:
            removed.append(other.remove(photos / "p0001.jpg"))
        return write(writer, batch)

    monkeypatch.setattr(BatchWriter, "write", remove_first)
    encoded()
    assert gallery.add(photos / "copy").added == 1
    assert removed == [1]
    assert encoded() == 1
    assert gallery.info().files == 1
    assert_sound(gallery)


def test_what_contradicts_is_found_and_mended(open_gallery: Opener, photos: Path) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    store, catalog = gallery._store(), gallery._catalog
    ids = sorted(catalog.content_ids())
    stray = UUID(int=5)
    store.delete(ids[:2])
    vector = np.eye(gallery.model.dim, dtype=np.float32)[0]
    store.upsert([Record(stray, vector, Attributes((1,), 1, 1, 1))])
    store.set_folders({ids[3]: (77,)})
    health = gallery.check(sample=None)
    assert set(health.without_vector) == set(ids[:2])
    assert health.stray_vectors == (stray,)
    assert health.misplaced == (ids[3],)
    assert len(health.faults()) == 3
    assert found(gallery, pixels(9))[0].stem == "p0009"  # a stray vector is never shown
    assert gallery.repair().added == 2
    assert_sound(gallery)


def test_images_that_lost_their_files_go_with_the_next_run(
    open_gallery: Opener, photos: Path
) -> None:
    """A run that is killed between its last batch and its end leaves images that no file holds."""
    gallery = open_gallery()
    gallery.add(photos)
    with gallery._catalog.change():
        gallery._catalog.drop_files([(gallery._catalog.find_folder(photos) or 0, b"p0001.jpg")])
    (photos / "p0001.jpg").unlink()
    assert gallery.info().images == 12
    gallery.refresh()
    assert gallery.info().images == 11
    assert_sound(gallery)


def test_too_little_space_is_a_clear_error(
    open_gallery: Opener, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery = open_gallery()
    monkeypatch.setattr(layout, "RESERVE", 2**62)
    with pytest.raises(DiskFullError, match="MB are left"):
        gallery.add(photos)
    monkeypatch.undo()
    assert_sound(gallery)
    assert gallery.add(photos).added == 12


def test_features_come_back_as_they_were(open_gallery: Opener, photos: Path) -> None:
    gallery = open_gallery()
    gallery.add(photos)
    features = gallery.features(photos / "p0003.png")
    assert features is not None
    encoder = gallery._models.encoder(side_by_side=True)
    array = load(photos / "p0003.png", min_pixels=encoder.card.area).array
    expected = encoder.encode([array])[0]
    assert features.vector == pytest.approx(expected.vector, abs=2e-3)
    assert features.keypoints == pytest.approx(expected.keypoints, abs=1e-4)
    assert features.descriptors == pytest.approx(expected.descriptors, abs=0.02)
    assert features.scores == pytest.approx(expected.scores, rel=1e-3)
    assert gallery.features(photos / "none.png") is None


@pytest.mark.skipif(sys.platform == "win32", reason="mounts a file system")
def test_a_small_disk_fills_up_without_harm(
    open_gallery: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import subprocess

    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=120m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system can only be mounted by root")
    try:
        monkeypatch.setattr(layout, "RESERVE", 60 * 2**20)
        write_images(tmp_path / "photos", 200)
        gallery = open_gallery(disk / "gallery")
        gallery.add(tmp_path / "photos" / "p0001.jpg")
        filler = disk / "filler"
        filler.write_bytes(b"\1" * max(0, shutil.disk_usage(disk).free - 59 * 2**20))
        with pytest.raises(DiskFullError):
            gallery.add(tmp_path / "photos")
        assert_sound(gallery)
        filler.unlink()
        assert gallery.add(tmp_path / "photos").added == 199
        assert_sound(gallery)
        gallery.close()
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_many_processes_make_and_fill_one_gallery(
    photos: Path, model: Path, tmp_path: Path
) -> None:
    for number in range(4):
        write_images(tmp_path / f"more{number}", 10, first=100 * (number + 1))
    where = ("--gallery", tmp_path / "shared", "--model", model, "--wait", "60")
    runs = [["index", tmp_path / f"more{n}", *where, "--detector", "own"] for n in range(4)]
    with ThreadPoolExecutor() as pool:
        for done in pool.map(forked.run, runs):
            assert done.returncode == 0, done.stderr
    with Gallery(tmp_path / "shared") as gallery:
        assert gallery.info().files == 40
        assert_sound(gallery)


def test_the_walk_knows_devices(photos: Path) -> None:
    from glocal.gallery.walk import walk

    folders = list(walk(photos, photos / "none"))
    assert [type(f) for f in folders] == [FoundFolder]
    assert folders[0].device == photos.stat().st_dev
    assert len(folders[0].files) == 12
