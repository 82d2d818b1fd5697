"""Galleries whose catalogue is in a real PostgreSQL server, which is killed like its clients.

Their vectors lie in the folder here, so that nothing else takes part; with a Milvus server too, see
``test_cluster_gallery.py``. What a catalogue promises by itself is in ``tests/gallery``.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import psycopg
import pytest
from image_folders import image, write_images
from killed_runs import SMALL_BATCHES, contents

import glocal
from catalog_places import PostgresPlaces, opened
from forked import Program
from glocal.cluster.config import ClusterConfig
from glocal.cluster.milvus import Milvus
from glocal.cluster.moving import to_cluster, to_folder
from glocal.cluster.postgres import PASSWORD, Postgres
from glocal.errors import (
    GalleryDamagedError,
    GalleryError,
    GalleryFormatError,
    StoreUnavailableError,
)
from glocal.gallery import Gallery, store_place
from glocal.gallery.layout import (
    open_layout,
    read_description,
    write_description,
)
from glocal.gallery.model_id import ModelId
from glocal.gallery.store_place import StorePlace
from postgres_server import PostgresServer, needs_postgres
from tiny_model import write_model

pytestmark = needs_postgres


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """One that is killed."""
    server = PostgresServer()
    yield server
    server.stop()


def made(folder: Path, model: Path, server: PostgresServer) -> Path:
    """An empty gallery with its catalogue in a server."""
    open_layout(folder, model=str(model), sha256=None, create=True, timeout=10)
    PostgresPlaces(folder.parent, server).use(folder)
    return folder


def hits(gallery: Gallery, query: bytes, **more: object) -> dict[str, float]:
    return {hit.id: round(hit.score, 5) for hit in gallery.search(query, limit=20, **more)}


def test_a_gallery_answers_as_an_embedded_one(
    postgres: PostgresServer, model: Path, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    write_images(photos / "a", 40)
    write_images(photos / "b", 20, 30)
    (photos / "dated apple.jpg").write_bytes(image(99, taken="2019:05:17 10:30:00", camera="Canon"))
    (photos / "broken.jpg").write_bytes(b"no image")
    made(tmp_path / "server", model, postgres)
    with (
        Gallery(tmp_path / "embedded", model=str(model), detector="own") as embedded,
        Gallery(tmp_path / "server", detector="own") as gallery,
        Gallery(tmp_path / "server") as other,
    ):
        for each in (embedded, gallery):
            assert (each.add(photos).added, each.add(photos).unchanged) == (61, 61)
        assert not (tmp_path / "server" / "catalog.sqlite").exists()
        assert str(gallery.info().catalogue).startswith("test_")

        def same() -> None:
            assert contents(tmp_path / "server") == contents(tmp_path / "embedded")
            for seed in (3, 35, 99, 1000):
                for more in (
                    {},
                    {"where": f"folder = '{photos / 'b'}'"},
                    {"where": "camera = canon or taken > 2020"},
                    {"exact": True},
                ):
                    assert hits(other, image(seed), **more) == hits(embedded, image(seed), **more)
            for text in ("apple", "aple", "p003 b", "nothing"):
                found = [[h.path for h in g.search(text=text)] for g in (embedded, other)]
                assert found[0] == found[1]
            for order in ("taken", "path", "name", "added"):
                pages = [g.browse().page(limit=500, order=order) for g in (embedded, other)]
                assert {s.paths for s in pages[0].images} == {s.paths for s in pages[1].images}

        same()
        (photos / "a" / "p0007.jpg").unlink()
        shutil.rmtree(photos / "b")
        (photos / "a" / "p0008.jpg").rename(photos / "moved.jpg")
        for each in (embedded, gallery):
            assert each.refresh().removed == 22
        same()
        for each in (embedded, gallery):
            assert each.remove(photos / "a" / "p0004.jpg", photos / "dated apple.jpg") == 2
            assert each.refresh().added == 0
        same()


@pytest.mark.skipif(
    os.environ.get("GLOCAL_POSTGRES_TESTS") != "1",
    reason="takes a minute: GLOCAL_POSTGRES_TESTS=1",
)
def test_two_runs_at_once_and_kills_lose_and_double_nothing(
    server: PostgresServer, model: Path, tmp_path: Path
) -> None:
    """One run is killed, then the server in the midst of the others, who wait until it is back."""
    photos = [tmp_path / "photos" / name for name in "abc"]
    for number, folder in enumerate(photos):
        write_images(folder, 60, 40 * number)  # a third of them are in two folders
    gallery = made(tmp_path / "server", model, server)

    def run(folder: Path) -> Program:
        return Program(["index", folder, "--gallery", gallery], code=SMALL_BATCHES, text=True)

    def wait_for(count: int) -> None:
        ends = time.monotonic() + 60
        with psycopg.connect(server.uri, autocommit=True) as db:
            while (db.execute(counted).fetchone() or (0,))[0] < count:
                assert time.monotonic() < ends
                time.sleep(0.005)

    glocal.open(gallery).close()
    schema = read_description(gallery)["store"]["catalogue"]
    counted = f"SELECT count(*) FROM {schema}.files".encode()  # noqa: S608
    with run(photos[0]) as first, run(photos[1]) as second, run(photos[2]) as third:
        wait_for(10)
        first.kill()
        wait_for(40)
        server.kill()
        server.start()
        assert second.wait(300) == 0, second.stderr.read()
        assert third.wait(300) == 0, third.stderr.read()
    with run(photos[0]) as again:
        assert again.wait(300) == 0
    with Gallery(tmp_path / "embedded", model=str(model)) as embedded:
        for folder in photos:
            embedded.add(folder)
    assert contents(gallery) == contents(tmp_path / "embedded")
    assert len(contents(gallery)["files"]) == 180


def test_a_change_during_which_the_server_dies_is_not_kept(
    server: PostgresServer, tmp_path: Path
) -> None:
    place = PostgresPlaces(tmp_path, server).new()
    with closing(opened(place)) as catalog:
        catalog.set_state("a", "before")
        tries = []

        def change() -> None:
            with catalog.change():
                catalog.set_state("a", "after")
                tries.append(catalog.get_state("a"))
                if len(tries) == 1:
                    server.kill()
                    server.start()

        with pytest.raises(StoreUnavailableError, match="run the same command again"):
            change()
        assert catalog.get_state("a") == "before"  # by a new connection
        tries.clear()
        catalog.repeat(change)
        assert tries == ["after", "after"]
        assert catalog.get_state("a") == "after"


def test_a_server_that_is_away_is_waited_for_and_not_for_ever(
    server: PostgresServer, tmp_path: Path
) -> None:
    config = server.config(tmp_path, timeout=1)
    name = Postgres.create(config)
    with closing(opened(lambda _: Postgres(config, name))) as catalog:
        catalog.set_state("a", "b")
        server.kill()
        for ask in (
            catalog.roots,
            lambda: catalog.set_state("a", "c"),
            lambda: Postgres.create(config),
        ):
            began = time.monotonic()
            with pytest.raises(StoreUnavailableError, match="has not answered for 1 s") as away:
                ask()
            assert time.monotonic() - began < 30
            assert str(server.folder) in str(away.value)
        server.start()
        assert catalog.get_state("a") == "b"
        server.kill()
        later = threading.Timer(0.3, server.start)
        later.start()
        patient = server.config(tmp_path, timeout=60)
        with closing(opened(lambda _: Postgres(patient, name))) as other:
            assert other.get_state("a") == "b"
        later.join()


def test_what_cannot_be_used_is_told_at_once(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(uri: str) -> str:
        path = tmp_path / "other.toml"
        path.write_text(f'uri = "http://a"\n[catalogue]\nuri = "{uri}"\n')
        began = time.monotonic()
        with pytest.raises(GalleryError) as error:
            Postgres.create(path)
        assert time.monotonic() - began < 20  # far less than the limit for a server that is away
        return str(error.value)

    place = f"host={postgres.folder}"
    assert "does not exist" in refused(f"postgresql://glocal@/nowhere?{place}")
    assert "does not exist" in refused(f"postgresql://nobody@/postgres?{place}")
    for secret in ("postgresql://me:secret@a/b", "postgresql://me@a/b?password=secret"):
        assert "GLOCAL_POSTGRES_PASSWORD" in refused(secret)
        assert "secret" not in refused(secret)
    assert "mysql" in refused("mysql://a/b")
    assert "names no server" in refused("")
    monkeypatch.setenv(PASSWORD, "of the environment")  # a server that asks for none takes it
    assert "does not exist" in refused(f"postgresql://glocal@/nowhere?{place}")
    assert "of the environment" not in refused(f"postgresql://glocal@/nowhere?{place}")
    with psycopg.connect(postgres.uri, autocommit=True) as db:
        db.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
        db.execute("CREATE ROLE reader LOGIN")
    assert "UTF8" in refused(f"postgresql://glocal@/ascii?{place}")
    assert "CREATE on the database" in refused(f"postgresql://reader@/postgres?{place}")


def test_a_schema_that_is_gone_is_told_and_not_made_anew(
    postgres: PostgresServer, model: Path, tmp_path: Path
) -> None:
    gallery = made(tmp_path / "gallery", model, postgres)
    glocal.open(gallery).close()
    name = read_description(gallery)["store"]["catalogue"]
    Postgres(gallery / "cluster.toml", name).drop()
    for _ in range(2):
        with pytest.raises(GalleryDamagedError, match=f"no schema {name} any more"):
            glocal.open(gallery)


def test_an_older_glocal_refuses_it(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would make an empty catalogue in the folder."""
    model = ModelId("some", 1, "0" * 64, 4, "some")
    place = StorePlace("milvus", version=2, collection="a", catalogue="b")
    write_description(tmp_path, model, store=place)
    monkeypatch.setitem(store_place.STORES, "milvus", 1)
    with pytest.raises(GalleryFormatError, match="upgrade it"):
        read_description(tmp_path)


def test_a_lock_ends_with_whoever_has_it(postgres: PostgresServer, tmp_path: Path) -> None:
    """Also where the client does not say goodbye: its transaction is rolled back."""
    place = PostgresPlaces(tmp_path, postgres).new()
    with closing(opened(place)) as one, closing(opened(place, 20)) as other:

        def change() -> None:
            with one.change() as db:
                one.set_state("a", "lost")
                pid = db.raw.info.backend_pid  # type: ignore[attr-defined]
                with psycopg.connect(postgres.uri) as admin:
                    admin.execute("SELECT pg_terminate_backend(%s)", (pid,))
                other.set_state("a", "kept")
                one.get_state("a")

        with pytest.raises(StoreUnavailableError):
            change()
        assert one.get_state("a") == "kept"


def test_the_config_keeps_no_password(tmp_path: Path) -> None:
    path = tmp_path / "cluster.toml"
    path.write_text(
        'uri = "http://a"\n[catalogue]\nuri = "postgresql://me@b:5433/c?sslmode=require"'
    )
    read = ClusterConfig.read(path)
    path.write_text(read.text())
    assert ClusterConfig.read(path) == read
    assert read.catalogue.uri.endswith("sslmode=require")


def vectors(gallery: Gallery) -> dict[str, np.ndarray]:
    ids = sorted(gallery._catalog.content_ids())
    return {i.hex: v for i, v in gallery._store().vectors(ids).items()}


def test_a_gallery_is_upgraded_with_a_kill_and_a_restart_on_the_way(
    server: PostgresServer, model: Path, tmp_path: Path
) -> None:
    """Its vectors in the folder; from a cluster they are moved back first."""
    photos = tmp_path / "photos"
    write_images(photos, 130)
    newer = write_model(tmp_path / "newer.onnx", seed=1, near=0.8, space="newer")
    with Gallery(tmp_path / "fresh", model=str(newer), detector="own") as fresh:
        fresh.add(photos)
        right = vectors(fresh)
    folder = made(tmp_path / "server", model, server)
    with Gallery(folder, detector="own") as gallery, Gallery(folder) as other:
        gallery.add(photos)
        name, before = gallery.info().catalogue, vectors(gallery)
        upgrade = gallery.upgrade()
        upgrade.begin(upgrade.propose(str(newer), anchors=100))
        assert gallery.info().upgrade is not None
        assert other.search(photos / "p0100.jpg", limit=1).hits[0].path.stem == "p0100"
        upgrade.back()
        assert {i: v.tobytes() for i, v in vectors(other).items()} == {
            i: v.tobytes() for i, v in before.items()
        }
        upgrade.begin(upgrade.propose(str(newer), anchors=100))
        assert upgrade.carry_on(most=10).left == 20
    with Program(["upgrade", "--gallery", folder, "-y"], code=SMALL_BATCHES, text=True) as run:
        ends = time.monotonic() + 60
        with psycopg.connect(server.uri, autocommit=True) as db:
            counted = f"SELECT count(*) FROM {name}.rows WHERE space = 'newer'".encode()  # noqa: S608
            while (db.execute(counted).fetchone() or (0,))[0] < 114:
                assert time.monotonic() < ends
                time.sleep(0.005)
        run.kill()
    server.kill()
    server.start()
    with Gallery(folder) as gallery:
        report = gallery.upgrade().carry_on()
        assert report.finished
        assert gallery.info().catalogue == name
        assert gallery.check(sample=None).sound
        found = vectors(gallery)
        assert found.keys() == right.keys()
        assert all(np.array_equal(found[i], right[i]) for i in right)


def test_what_cannot_be_is_refused(postgres: PostgresServer, model: Path, tmp_path: Path) -> None:
    config = postgres.config(tmp_path, timeout=1)
    with glocal.open(tmp_path / "embedded", model=str(model)) as gallery:
        with pytest.raises(StoreUnavailableError, match="has not answered for 1 s"):
            to_cluster(gallery, config)
        assert (gallery.info().store, gallery.info().catalogue) == ("flat", None)
        with pytest.raises(GalleryError, match="in its folder already"):
            to_folder(gallery)
    with pytest.raises(GalleryError, match=r"is in its folder, and .* move it there"):
        Milvus.place(tmp_path, config, StorePlace("milvus", collection="a"))
    folder = made(tmp_path / "server", model, postgres)
    config.write_text('uri = "http://127.0.0.1:1"')
    with pytest.raises(GalleryError, match=r"in PostgreSQL, and .* names no \[catalogue\]"):
        Milvus.place(tmp_path, config, StorePlace("milvus", 2, "a", "b"))
    with (
        glocal.open(folder) as gallery,
        pytest.raises(GalleryError, match=r"in PostgreSQL, and .* names no \[catalogue\]"),
    ):
        to_cluster(gallery, config)
