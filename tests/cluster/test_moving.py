"""Vectors move into a cluster and back while the gallery is in use."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from image_folders import write_images
from milvus_server import LEAKS, RealServer, needs_milvus
from store_contract import number, unit

from catalog_places import PostgresPlaces
from glocal.cli.move import move
from glocal.cluster import moving
from glocal.cluster.arriving import Spool
from glocal.cluster.config import ClusterConfig
from glocal.cluster.moving import same_matches, to_cluster, to_folder
from glocal.cluster.server import Server
from glocal.errors import GalleryDamagedError, GalleryError
from glocal.gallery import Gallery
from glocal.gallery.layout import open_layout
from glocal.gallery.progress import Progress
from glocal.gallery.records import Match
from postgres_server import PostgresServer, needs_postgres
from tiny_model import write_model

pytestmark = LEAKS


def test_the_spool_goes_on_where_it_was_cut_off(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "arriving", 8)
    spool.append({number(n): unit(n) for n in range(5)})
    with (tmp_path / "arriving").open("ab") as file:
        file.write(b"torn")
    spool = Spool(tmp_path / "arriving", 8)
    assert spool.ids() == {number(n) for n in range(5)}
    spool.append({number(n): unit(n) for n in range(5, 7)})
    spool = Spool(tmp_path / "arriving", 8)
    found = spool.read([number(6), number(0)])
    assert found == pytest.approx(np.stack([unit(6), unit(0)]), abs=1e-3)
    spool.remove()
    assert not Spool(tmp_path / "arriving", 8).ids()


def test_matches_are_the_same_but_for_ties_and_rounding() -> None:
    def matches(*scores: float, first: int = 0) -> list[Match]:
        return [Match(number(first + n), score) for n, score in enumerate(scores)]

    assert same_matches([], [])
    assert same_matches(matches(0.9, 0.8), matches(0.9004, 0.7996))
    assert same_matches(matches(0.9, 0.8), matches(0.9, 0.8)[:1] + matches(0.8, first=9))
    assert not same_matches(matches(0.9, 0.8), matches(0.9))
    assert not same_matches(matches(0.9, 0.8), matches(0.9, 0.7))
    assert not same_matches(matches(0.9, 0.8), matches(0.9, 0.8, first=5))


@pytest.fixture(params=["folder", pytest.param("postgres", marks=needs_postgres)])
def postgres_too(request: pytest.FixtureRequest) -> PostgresServer | None:
    """The server that has the catalogue, where it is not in the gallery's folder."""
    return request.getfixturevalue("postgres") if request.param == "postgres" else None


@pytest.fixture
def config(milvus: RealServer, tmp_path: Path, postgres_too: PostgresServer | None) -> Path:
    path = tmp_path / "config.toml"
    if postgres_too is not None:
        postgres_too.config(tmp_path, milvus=milvus.uri, timeout=120)
    else:
        path.write_text(f'uri = "{milvus.uri}"\ntimeout = 120\n')
    path.write_text('prefix = "moved"\n' + path.read_text().replace('prefix = "test"\n', ""))
    return path


@pytest.fixture
def gallery(tmp_path: Path, postgres_too: PostgresServer | None) -> Iterator[Gallery]:
    write_images(tmp_path / "photos", 60)
    model = str(write_model(tmp_path / "tiny.onnx"))
    if postgres_too is not None:
        folder = tmp_path / "gallery"
        open_layout(folder, model=model, sha256=None, create=True, timeout=10)
        PostgresPlaces(tmp_path, postgres_too).use(folder)
    with Gallery(tmp_path / "gallery", model=model, detector="own") as opened:
        opened.add(tmp_path / "photos")
        yield opened


def hits(gallery: Gallery, photos: Path) -> list[dict[str, float]]:
    queries = sorted(photos.iterdir())[:6]
    return [{h.id: h.score for h in gallery.search(path, limit=15)} for path in queries]


def collections(milvus: RealServer) -> list[str]:
    server = Server(ClusterConfig(milvus.uri))
    found = server.repeat(lambda client, left: client.list_collections(timeout=left))
    server.close()
    return [name for name in found if name.startswith("moved")]


@needs_milvus
def test_there_and_back_with_stops_and_changes_on_the_way(
    gallery: Gallery,
    config: Path,
    milvus: RealServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    photos, folder = tmp_path / "photos", gallery.folder
    monkeypatch.setattr(moving, "_PAGE", 10)
    before = hits(gallery, photos)

    def stop(progress: Progress) -> None:
        if progress.done >= 30:
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        to_cluster(gallery, config, stop)
    assert gallery.info().store == "flat"
    write_images(photos, 5, 60)
    (photos / "p0001.jpg").unlink()
    gallery.refresh()
    report = to_cluster(gallery, config)
    assert (report.vectors, report.copied) == (64, 34)
    assert report.compared == 30
    assert gallery.info().store == "milvus"
    assert not [p for p in (folder / "vectors").glob("*.i8") if "%2F" not in p.name]
    assert gallery.check().sound
    with pytest.raises(GalleryError, match="in a cluster already"):
        to_cluster(gallery, config)
    write_images(photos, 1, 1)
    (photos / "p0002.jpg").unlink()
    gallery.refresh()

    with suppress(KeyboardInterrupt):
        to_folder(gallery, stop)
    assert gallery.info().store == "milvus"
    write_images(photos, 1, 2)
    for n in range(60, 65):
        next(photos.glob(f"p{n:04d}.*")).unlink()
    gallery.refresh()
    report = to_folder(gallery)
    assert report.vectors == 60
    assert report.copied < 60 or report.rows  # it was the catalogue that was stopped
    assert (gallery.info().store, gallery.info().catalogue) == ("flat", None)
    assert not (folder / "cluster.toml").exists()
    assert (folder / "catalog.sqlite").exists()
    assert not collections(milvus)
    assert gallery.check().sound
    for mine, right in zip(hits(gallery, photos), before, strict=True):
        assert mine == pytest.approx(right, abs=1e-3)
    with pytest.raises(GalleryError, match="in its folder already"):
        to_folder(gallery)


@needs_milvus
def test_there_again_after_a_way_back_that_was_stopped_at_its_end(
    gallery: Gallery, config: Path, milvus: RealServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    to_cluster(gallery, config)
    (left,) = collections(milvus)
    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(moving, "_drop_beside", stop)
        to_folder(gallery)
    assert (gallery.info().store, collections(milvus)) == ("flat", [left])
    assert to_cluster(gallery, config).copied == 60
    (now,) = collections(milvus)
    assert now != left
    assert gallery.check().sound
    to_folder(gallery)
    assert not collections(milvus)


@needs_milvus
def test_who_has_an_old_copy_of_the_folder_is_told(
    gallery: Gallery, config: Path, tmp_path: Path
) -> None:
    """On another machine, as galleries whose catalogue is in a server may have it."""
    if gallery.info().catalogue is None:
        pytest.skip("a copy has a catalogue of its own")
    to_cluster(gallery, config)
    shutil.copytree(gallery.folder, tmp_path / "copy")
    query = next((tmp_path / "photos").iterdir())
    with Gallery(tmp_path / "copy") as copy:
        assert copy.search(query).hits
        to_folder(gallery)
        write_images(tmp_path / "photos", 1, 90)
        for ask in (lambda: copy.search(query), lambda: copy.add(tmp_path / "photos")):
            with pytest.raises(GalleryError, match="use that folder"):
                ask()
        assert gallery.info().images == 60
        assert gallery.add(tmp_path / "photos").added == 1
        assert gallery.check(sample=None).sound


@needs_milvus
def test_vectors_that_the_cluster_has_lost_stop_the_way_back(
    gallery: Gallery, config: Path
) -> None:
    run = CliRunner().invoke
    done = run(move, [str(gallery.folder), str(config)], catch_exceptions=False)
    assert "60 vectors moved in" in done.output, done.output
    store = gallery._store()
    lost = next(i for i, _ in store.scan())
    store.vectors_there.delete([lost])  # type: ignore[attr-defined]
    with pytest.raises(GalleryDamagedError, match="lost the vectors of 1 images"):
        to_folder(gallery)
    gallery.repair()
    done = run(move, [str(gallery.folder), "--back"], catch_exceptions=False)
    assert "60 vectors moved back in" in done.output, done.output
    assert run(move, [str(gallery.folder)]).exit_code == 2
