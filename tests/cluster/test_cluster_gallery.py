"""Whole galleries in a cluster, with a real server: the same as the embedded ones."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from image_folders import write_images
from milvus_server import LEAKS, RealServer, needs_milvus

from glocal.cli.index import index
from glocal.cli.info import info
from glocal.errors import GalleryError
from glocal.gallery import Gallery
from postgres_server import PostgresServer, needs_postgres
from tiny_model import write_model

pytestmark = [needs_milvus, *LEAKS]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(write_model(tmp_path_factory.mktemp("model") / "tiny.onnx"))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_images(folder / "a", 40)
    write_images(folder / "b", 40, 40)
    return folder


@pytest.fixture(params=["folder", pytest.param("postgres", marks=needs_postgres)])
def config(milvus: RealServer, tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """With the catalogue in the gallery's folder, and in a server too."""
    if request.param == "postgres":
        server: PostgresServer = request.getfixturevalue("postgres")
        return server.config(tmp_path, milvus=milvus.uri, timeout=120)
    path = tmp_path / "config.toml"
    path.write_text(f'uri = "{milvus.uri}"\ntimeout = 120\nprefix = "test"\n')
    return path


@pytest.fixture
def embedded(model: str, photos: Path, tmp_path: Path) -> Iterator[Gallery]:
    with Gallery(tmp_path / "embedded", model=model, detector="own") as gallery:
        gallery.add(photos)
        yield gallery


def same_hits(one: Gallery, other: Gallery, photos: Path) -> None:
    for path in sorted(photos.rglob("*.*"))[::9]:
        for more in ({}, {"where": f"folder = '{photos / 'b'}'"}, {"exact": True}):
            right = one.search(path, limit=20, **more).hits
            found = other.search(path, limit=20, **more).hits
            assert {h.id: h.score for h in found} == pytest.approx(
                {h.id: h.score for h in right}, abs=1e-3
            )
            assert found[0].id == right[0].id


def test_it_gives_the_hits_of_an_embedded_one(
    embedded: Gallery, model: str, config: Path, photos: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "photos"
    shutil.copytree(photos, mine)
    folder = tmp_path / "cluster"
    with Gallery(folder, model=model, detector="own", cluster=config) as gallery:
        assert gallery.add(photos).added == 80
        assert (folder / "cluster.toml").stat().st_mode & 0o077 == 0
        same_hits(embedded, gallery, photos)
        known = gallery.info()
        assert (known.store, known.images) == ("milvus", 80)
        assert str(known.collection).startswith("test_")
        assert gallery.check().sound
    with Gallery(folder) as gallery, Gallery(folder) as other:  # knows by itself where it is
        gallery.add(mine)
        (mine / "a" / "p0007.jpg").unlink()
        (photos / "b" / "p0047.jpg").rename(tmp_path / "p0047.jpg")
        shutil.rmtree(mine / "b")
        assert gallery.refresh().removed == 42
        hits = other.search(tmp_path / "p0047.jpg", limit=80).hits
        assert len(hits) == 79
        assert hits[0].path.name != "p0047.jpg"
        assert gallery.check().sound
        (tmp_path / "p0047.jpg").rename(photos / "b" / "p0047.jpg")
        assert gallery.refresh().added == 1
        assert other.search(photos / "b" / "p0047.jpg", limit=1).hits[0].score > 0.99
        with pytest.raises(GalleryError, match="where it cannot be upgraded"):
            gallery.upgrade().propose("any")


def test_the_death_of_the_server_during_a_run_loses_and_doubles_nothing(
    milvus: RealServer, model: str, config: Path, photos: Path, tmp_path: Path
) -> None:
    many = tmp_path / "many"
    write_images(many, 300)
    with Gallery(tmp_path / "cluster", model=model, detector="own", cluster=config) as gallery:
        gallery.add(photos)

        def interrupt() -> None:
            time.sleep(0.3)
            milvus.kill()
            milvus.start()

        killer = threading.Thread(target=interrupt)
        killer.start()
        gallery.add(many)
        killer.join()
        gallery.add(many)
        assert gallery.check().sound
        assert gallery.info().images == 300
        assert gallery._store().vectors_there.status().vectors == 300  # type: ignore[attr-defined]


def test_commands(model: str, config: Path, photos: Path, tmp_path: Path) -> None:
    folder, run = str(tmp_path / "gallery"), CliRunner().invoke
    arguments = ["-g", folder, "--model", model, "--cluster", str(config), str(photos)]
    for expected in ("80 added", "80 unchanged"):
        done = run(index, arguments, catch_exceptions=False)
        assert expected in done.output, done.output
    assert "in the cluster's collection test_" in run(info, ["-g", folder]).output
    other = ["-g", str(tmp_path / "other"), "--model", model, str(photos)]
    run(index, other, catch_exceptions=False)
    with pytest.raises(GalleryError, match="its vectors in its folder; move them: glocal move"):
        run(index, [*other, "--cluster", str(config)], catch_exceptions=False)
