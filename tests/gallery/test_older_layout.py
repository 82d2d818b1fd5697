"""Galleries of version 1 of the store: float16 and 8 bits. They stay as they were made."""

from __future__ import annotations

import json
import os
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from image_folders import write_images
from older_galleries import move

import glocal
from default_before import write_version_3
from glocal.encoders import DEFAULT_MODEL
from glocal.errors import GalleryError, GalleryFormatError
from glocal.gallery import layout, store_place
from tiny_model import write_model

DATA = Path(__file__).parent / "data" / "flat1.tar.gz"
STORE = {"kind": "flat", "version": 1}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A gallery as the last version that made such ones left it, where it lies now."""
    with tarfile.open(DATA) as packed:
        packed.extractall(tmp_path, filter="data")
    move(tmp_path / "gallery", Path("/glocal-fixture"), tmp_path)
    return tmp_path


def description(home: Path) -> dict[str, object]:
    return dict(json.loads((home / "gallery" / "gallery.json").read_text()))


def versions_of_local_features(gallery: glocal.Gallery) -> set[int]:
    pages = gallery.opened().context.catalog.all_local_features()
    return {packed[0] for page in pages for packed in page.values()}


def finds_the_same(home: Path, gallery: glocal.Gallery) -> None:
    expected = json.loads((home / "expected.json").read_text())
    for name, hits in expected.items():
        found = gallery.search(home / "photos" / name, limit=12, exact=True, verify=False)
        assert {hit.path.name: hit.score for hit in found} == pytest.approx(dict(hits), abs=2e-4)


def test_it_opens_and_finds_the_same(home: Path) -> None:
    with glocal.open(home / "gallery", create=False) as gallery:
        finds_the_same(home, gallery)
        health = gallery.check(sample=None)
        assert health.sound, health.faults()
        assert gallery.refresh().unchanged == 12
        assert versions_of_local_features(gallery) == {2}


def test_what_is_added_is_kept_as_the_rest(home: Path) -> None:
    """Earlier versions go on reading it: no row and no image in a way that they do not know."""
    write_images(home / "photos", 5, first=200)
    with glocal.open(home / "gallery", create=False) as gallery:
        assert gallery.refresh().added == 5
        assert versions_of_local_features(gallery) == {2}
        assert gallery.check(sample=None).sound
        store = gallery.opened().context.store
        ids = [i for i, _ in store.scan()]
        (file,) = (home / "gallery" / "vectors").glob("*.f16")
        written = np.fromfile(file, "<f2").reshape(-1, 16).astype(np.float32)
        kept = np.stack([store.vectors([i])[i] for i in ids])
        assert np.array_equal(written, kept)
        gallery.remove(home / "photos" / "p0003.png")
        store.rewrite()  # type: ignore[attr-defined]
        assert gallery.check(sample=None).sound
    assert description(home)["store"] == STORE
    assert not [p for p in (home / "gallery" / "vectors").glob("*.i8") if "%2F" not in p.name]


def test_an_upgrade_leaves_it_as_it_was_made(home: Path) -> None:
    model = write_model(home / "other.onnx", seed=5)
    with glocal.open(home / "gallery", create=False) as gallery:
        upgrade = gallery.upgrade()
        upgrade.begin(upgrade.propose(str(model), anchors=12))
        assert description(home)["store"] == STORE
        upgrade.carry_on(keep_old=True)
        upgrade.back()
        assert description(home)["store"] == STORE
        gallery.add_local_features()
        finds_the_same(home, gallery)
        upgrade.begin(upgrade.propose(str(model), anchors=12))
        assert upgrade.carry_on().finished
        assert gallery.check(sample=None).sound
        assert versions_of_local_features(gallery) == {2}
    assert description(home)["store"] == STORE
    assert len([*(home / "gallery" / "vectors").glob("*.f16")]) == 1


@pytest.mark.parametrize(("compact", "version", "packed"), [(False, 5, 2), (True, 4, 3)])
def test_a_new_gallery_is_smaller_and_an_earlier_version_refuses_it(
    home: Path, monkeypatch: pytest.MonkeyPatch, *, compact: bool, version: int, packed: int
) -> None:
    model = write_model(home / "new.onnx")
    with glocal.open(home / "fresh", model=str(model), compact=compact) as gallery:
        gallery.add(home / "photos")
        finds = gallery.search(home / "photos" / "p0001.jpg")
        assert finds.hits[0].path.name == "p0001.jpg"
        assert versions_of_local_features(gallery) == {packed}
        assert gallery.check(sample=None).sound
    stored = json.loads((home / "fresh" / "gallery.json").read_text())
    assert stored["store"] == {"kind": "flat", "version": version}
    names = {p.name.partition(".")[2] for p in (home / "fresh" / "vectors").iterdir()}
    assert "f16" not in names
    write_images(home / "photos", 2, first=300)
    with glocal.open(home / "fresh", create=False) as gallery:
        assert gallery.refresh().added == 2
        assert versions_of_local_features(gallery) == {packed}
    monkeypatch.setitem(store_place.STORES, "flat", 1)  # as an earlier version has it
    with pytest.raises(GalleryFormatError, match="upgrade"):
        glocal.open(home / "fresh", create=False)


@pytest.mark.parametrize(("before", "after", "packed"), [(1, 1, 2), (2, 5, 4), (4, 4, 4)])
def test_an_upgrade_to_many_local_features_keeps_them_so_that_who_opens_it_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int, packed: int
) -> None:
    """An earlier version opens galleries of the first two versions of the store, and no codes."""
    monkeypatch.setattr(layout, "NEW", before)
    write_images(tmp_path / "photos", 3)
    old = write_version_3(tmp_path / "old.onnx")
    with glocal.open(tmp_path / "gallery", model=str(old)) as gallery:
        gallery.add(tmp_path / "photos")
        first = sorted((tmp_path / "photos").iterdir())[0]
    monkeypatch.undo()
    with glocal.open(tmp_path / "gallery", create=False) as gallery:
        gallery.upgrade().begin(gallery.upgrade().propose(DEFAULT_MODEL, anchors=2))
        assert description(tmp_path)["store"] == {"kind": "flat", "version": after}
        assert gallery.upgrade().carry_on().finished
        assert versions_of_local_features(gallery) == {packed}
        assert gallery.search(first).hits[0].path == first
        assert gallery.check(sample=None).sound
    assert description(tmp_path)["store"] == {"kind": "flat", "version": after}


def test_a_gallery_does_not_become_compact(home: Path) -> None:
    with pytest.raises(GalleryError, match="into a new gallery"):
        glocal.open(home / "gallery", create=False, compact=True)


def test_it_can_be_read_where_nothing_can_be_written(home: Path) -> None:
    frozen = home / "frozen"
    shutil.copytree(home / "gallery", frozen)
    for path in [frozen, *frozen.rglob("*")]:
        os.chmod(path, 0o555 if path.is_dir() else 0o444)
    try:
        with glocal.open(frozen, create=False) as gallery:
            finds_the_same(home, gallery)
    finally:
        for path in [frozen, *frozen.rglob("*")]:
            os.chmod(path, 0o755 if path.is_dir() else 0o644)
