"""Galleries of images at URLs: what is unchanged is not read again, and nothing is lost."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from image_folders import write_images

from glocal.cli.index import index
from glocal.cli.remove import remove
from glocal.cli.search import search
from glocal.errors import ImageError, ImageMissingError, QueryError
from glocal.gallery import Gallery
from glocal.gallery.leaving_out import LeftOut
from glocal.gallery.trash import Trash
from glocal.gallery.url_walk import walk_url
from glocal.images import Limits, urls
from glocal.images.url_paths import UrlPath, as_path
from tiny_model import write_model

fsspec = pytest.importorskip("fsspec")
ROOT = "memory://album"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Any]:
    """Twelve images in memory, of which ``photos`` in the test's folder has the same."""
    system = fsspec.filesystem("memory")
    write_images(tmp_path / "photos" / "a", 6)
    write_images(tmp_path / "photos" / "b", 6, 6)
    for path in (tmp_path / "photos").rglob("*.*"):
        system.pipe(f"/album/{path.parent.name}/{path.name}", path.read_bytes())
    system.pipe("/album/a/notes.txt", b"none")
    system.pipe("/album/.hidden/x.jpg", b"none")
    yield system
    system.store.clear()


@pytest.fixture
def gallery(model: str, tmp_path: Path) -> Iterator[Gallery]:
    with Gallery(tmp_path / "gallery", model=model, detector="own") as opened:
        yield opened


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The URLs that are read."""
    read, found = urls.read_url, list[str]()

    def counted(path: UrlPath, limits: Any) -> bytes:
        found.append(path.name)
        return read(path, limits)

    monkeypatch.setattr(urls, "read_url", counted)
    return found


def test_a_gallery_of_urls_is_that_of_the_files(
    memory: Any, gallery: Gallery, model: str, tmp_path: Path
) -> None:
    report = gallery.add(ROOT)
    assert (report.added, report.failed) == (12, ())
    with Gallery(tmp_path / "other", model=model, detector="own") as files:
        files.add(tmp_path / "photos")
        for path in sorted((tmp_path / "photos").rglob("*.*"))[::5]:
            right, found = files.search(path), gallery.search(path)
            assert [(h.id, h.score) for h in found.hits] == [(h.id, h.score) for h in right.hits]
            assert found.hits[0].evidence.verdict == right.hits[0].evidence.verdict
    hit = gallery.search(path).hits[0]
    assert str(hit.path) == f"{ROOT}/{path.parent.name}/{path.name}"
    assert gallery.search(hit.path).hits[0].id == hit.id
    assert len(gallery.search(path, limit=20, where=f"folder = '{ROOT}/b'").hits) == 6
    assert gallery.check(read_files=True).sound
    assert gallery.check(read_files=True).changed_files == ()


def test_only_what_has_changed_is_read_again(
    memory: Any, gallery: Gallery, reads: list[str]
) -> None:
    gallery.add(ROOT)
    assert len(reads) == 12
    reads.clear()
    assert gallery.refresh().unchanged == 12
    assert reads == []
    changed, gone, new = "/album/a/p0001.jpg", "/album/a/p0002.jpg", "/album/c/new.jpg"
    data = memory.cat_file(gone)
    memory.pipe(changed, memory.cat_file("/album/b/p0007.jpg"))
    memory.rm_file(gone)
    memory.pipe(new, data)
    report = gallery.refresh()
    assert (report.added, report.updated, report.removed, report.unchanged) == (1, 1, 1, 10)
    assert sorted(reads) == ["new.jpg", "p0001.jpg"]
    assert gallery.check().sound
    memory.rm("/album/b", recursive=True)
    assert gallery.refresh().removed == 6


def test_a_server_that_is_away_costs_nothing(
    memory: Any, gallery: Gallery, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.add(ROOT)

    def fails(*_: object) -> Any:
        raise ImageError("not readable: the server answers 503")

    with monkeypatch.context() as away:
        away.setattr(urls, "look", fails)
        report = gallery.refresh()
    assert report.unreachable == (as_path(ROOT),)
    assert "503; what the gallery knows of it is kept" in report.failed[0].reason
    real = urls.entries
    with monkeypatch.context() as away:
        away.setattr(urls, "entries", lambda p: fails() if p.name == "b" else real(p))
        report = gallery.refresh()
    assert (report.unchanged, report.removed) == (6, 0)
    memory.store.clear()
    assert gallery.refresh().removed == 0
    assert gallery.info().images == 12


def test_what_cannot_be_used_is_named(memory: Any, gallery: Gallery) -> None:
    memory.pipe("/album/a/bad.jpg", b"none")
    memory.pipe("/album/a/empty.jpg", b"")
    report = gallery.add(ROOT)
    reasons = {str(failure.path): failure.reason for failure in report.failed}
    assert reasons.keys() == {f"{ROOT}/a/bad.jpg", f"{ROOT}/a/empty.jpg"}
    assert reasons[f"{ROOT}/a/empty.jpg"] == "empty file (0 bytes)"
    assert report.added == 12
    with pytest.raises(QueryError, match="would be kept in the gallery"):
        gallery.add("https://me:secret@host/photos")
    assert all("secret" not in str(root) for root in gallery.roots())


def test_folders_that_never_end_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(urls, "entries", lambda _: iter([urls.Listed("more", True, -1, 0, 0)]))
    root = as_path("https://host/endless")
    assert isinstance(root, UrlPath)
    found = list(walk_url(root, LeftOut()))
    assert len(found) == 65
    assert "more than 64 folders" in found[-1].refused[0][1]


def test_the_trash_leaves_urls_alone(memory: Any, gallery: Gallery, tmp_path: Path) -> None:
    memory.pipe("/album/copy.jpg", memory.cat_file("/album/a/p0001.jpg"))
    gallery.add(ROOT)
    path = as_path(f"{ROOT}/copy.jpg")
    content = gallery.content_of(path)
    assert content is not None
    moved, left = Trash(tmp_path / "trash.jsonl").move([(path, content)])
    assert (moved, left) == ([], [(path, "it lies at a URL; remove it there")])
    assert memory.exists("/album/copy.jpg")


def test_commands(memory: Any, model: str, tmp_path: Path) -> None:
    folder = str(tmp_path / "gallery")
    run = CliRunner().invoke
    done = run(index, ["-g", folder, "--model", model, ROOT], catch_exceptions=False)
    assert "12 added" in done.output
    done = run(search, ["-g", folder, f"{ROOT}/a/p0001.jpg"], catch_exceptions=False)
    assert f"{ROOT}/a/p0001.jpg" in done.output
    run(remove, ["-g", folder, f"{ROOT}/b"], catch_exceptions=False)
    done = run(index, ["-g", folder], catch_exceptions=False)
    assert "6 unchanged" in done.output
    shutil.rmtree(folder)


def test_the_server_reads_originals_at_urls(memory: Any, gallery: Gallery) -> None:
    originals = pytest.importorskip("glocal.web.originals")
    gallery.add(ROOT)
    path = as_path(f"{ROOT}/a/p0001.jpg")
    content = gallery.content_of(path)
    assert content is not None
    read = partial(originals.read_original, content, [path], limits=Limits())
    assert read(gallery.roots()) == (memory.cat_file("/album/a/p0001.jpg"), path)
    for roots in ([], [as_path("memory://other")], [Path("/")]):
        with pytest.raises(Exception, match="missing, unreachable, or has changed"):
            read(roots)
    memory.pipe("/album/a/p0001.jpg", memory.cat_file("/album/b/p0007.jpg"))
    with pytest.raises(Exception, match="missing, unreachable, or has changed"):
        read(gallery.roots())


def test_a_missing_url_is_told(memory: Any, gallery: Gallery) -> None:
    report = gallery.add("memory://nothing")
    assert report.unreachable == (as_path("memory://nothing"),)
    assert as_path("memory://nothing") not in gallery.roots()
    with pytest.raises(ImageMissingError, match=r"memory://nothing/a\.jpg: no such file"):
        gallery.search(as_path("memory://nothing/a.jpg"))
