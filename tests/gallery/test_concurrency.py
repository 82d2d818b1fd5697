"""Threads and processes that use one gallery at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from image_folders import image, write_images
from killed_runs import SMALL_BATCHES

import forked
import glocal
from glocal.errors import GalleryDamagedError, GalleryError
from glocal.gallery import Gallery, Progress

Opener = Callable[..., Gallery]


def test_closing_under_many_searches(open_gallery: Opener, tmp_path: Path) -> None:
    """Each search ends well or says that the gallery is closed; none speaks of damage."""
    write_images(tmp_path / "photos", 10)
    for _ in range(5):
        gallery = open_gallery()
        gallery.add(tmp_path / "photos")
        query, errors, searched = image(1), [], threading.Barrier(5)

        def search(
            gallery: Gallery = gallery,
            query: bytes = query,
            errors: list[Exception] = errors,
            searched: threading.Barrier = searched,
        ) -> None:
            gallery.search(query)
            searched.wait()
            try:
                while True:
                    gallery.search(query)
            except Exception as raised:  # noqa: BLE001 - looked at below
                errors.append(raised)

        threads = [threading.Thread(target=search) for _ in range(4)]
        for thread in threads:
            thread.start()
        searched.wait()
        gallery.close()
        for thread in threads:
            thread.join()
        assert len(errors) == 4
        for error in errors:
            assert isinstance(error, GalleryError), repr(error)
            assert not isinstance(error, GalleryDamagedError), repr(error)
            assert "closed" in str(error)


def test_searches_beside_a_run_never_fail(tmp_path: Path, model: Path) -> None:
    """Short-lived processes that search, from before the gallery's first image to the end."""
    photos = tmp_path / "photos"
    write_images(photos, 64)
    where = ["--gallery", str(tmp_path / "gallery")]
    search = ["search", str(photos / "p0001.jpg"), *where]
    Gallery(tmp_path / "gallery", model=str(model), detector="own").close()
    with ThreadPoolExecutor() as pool:
        run = pool.submit(forked.run, ["index", str(photos), *where], code=SMALL_BATCHES)
        searched = 0
        while not run.done() or searched < 3:
            for done in pool.map(forked.run, [search, search]):
                assert done.returncode == 0, done.stderr
                searched += 1
    assert run.result().returncode == 0, run.result().stderr
    with glocal.open(tmp_path / "gallery") as gallery:
        assert gallery.info().files == 64
        assert gallery.check(sample=None).sound


def test_files_are_removed_while_a_run_goes_on(
    open_gallery: Opener, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run holds the gallery for the moment of a batch only, so a removal does not wait for it."""
    photos = tmp_path / "photos"
    write_images(photos, 12)
    other = open_gallery()
    first = write_images(tmp_path / "before", 1, first=50)[0]
    other.add(first)
    monkeypatch.setattr("glocal.gallery.batches.BATCH", 2)
    removed: list[int] = []

    def during(progress: Progress) -> None:
        if progress.stage == "encode" and progress.done >= 6 and not removed:
            with open_gallery(timeout=1.0) as beside:
                removed.append(beside.remove(first))

    report = open_gallery().add(photos, listen=during)
    assert (removed, report.added, other.info().files) == ([1], 12, 12)
