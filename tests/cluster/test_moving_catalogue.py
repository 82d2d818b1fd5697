"""A catalogue moves between a gallery's folder and a real PostgreSQL server, stopped on the way."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import psycopg
import pytest
from image_folders import image, write_images
from killed_runs import contents
from milvus_server import LEAKS, RealServer, needs_milvus

from catalog_places import PostgresPlaces
from forked import Program
from glocal.cluster import moving, moving_catalogue
from glocal.cluster.milvus import keep_config
from glocal.cluster.moving import to_cluster, to_folder
from glocal.cluster.postgres import Postgres
from glocal.errors import (
    GalleryDamagedError,
    GalleryError,
    GalleryMovedError,
    StoreUnavailableError,
)
from glocal.gallery import Gallery
from glocal.gallery.base import open_catalog
from glocal.gallery.catalog import Catalog
from glocal.gallery.layout import open_layout, read_description
from glocal.gallery.progress import Progress, quiet
from glocal.gallery.texts import Texts
from postgres_server import PostgresServer, needs_postgres
from tiny_model import write_model

pytestmark = [needs_postgres, *LEAKS]

SCHEMAS = "SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg_%' ORDER BY nspname"
OWN = ("words", "words_settled", "collection beside")
OWN += ("catalogue beside", "catalogue arriving", "catalogue left")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture
def gallery(model: Path, tmp_path: Path) -> Iterator[Gallery]:
    """With all kinds of rows; its vectors stay in the folder, where no Milvus is asked for."""
    photos = tmp_path / "photos"
    write_images(photos / "a", 30)
    write_images(photos / "b", 10, 25)
    (photos / "apple.jpg").write_bytes(image(99, taken="2019:05:17 10:30:00", camera="Canon"))
    (photos / "broken.jpg").write_bytes(b"no image")
    with Gallery(tmp_path / "gallery", model=str(model), detector="own") as made:
        made.add(photos)
        made.remove(photos / "a" / "p0001.jpg")
        some = next(iter(made._catalog.content_ids()))
        with made._catalog.change() as db:
            db.execute("INSERT INTO texts VALUES (?, ?, ?)", (some.bytes, "image", "a\0b"))
            db.execute("INSERT INTO cameras VALUES (?)", ("Can\0n",))
        yield made


def rows(catalog: Catalog) -> dict[str, list[str]]:
    """All that a catalogue says, as far as it moves."""
    found = {}
    for table in moving_catalogue._tables():
        if catalog.has_table(table.name):
            every = catalog.rows(f"SELECT {', '.join(table.columns)} FROM {table.name}")  # noqa: S608
            kept = [row for row in every if table.name != "state" or row[0] not in OWN]
            found[table.name] = sorted(repr(row).replace("\\x00", "\ufffd") for row in kept)
    return {name: said for name, said in found.items() if said}


def nothing(_: Catalog) -> None:
    pass


def there(gallery: Gallery, config: Path) -> int:
    context = gallery.opened().context
    return moving_catalogue.to_server(context, config, moving._Comparing(context), quiet)


def test_all_tables_move() -> None:
    tables = {table.name: table for table in moving_catalogue._tables()}
    assert tables.keys() >= {"state", "files", "contents", "rows", "blocks", "texts", "graphs"}
    assert "word_marks" not in tables
    assert tables["files"].columns[: tables["files"].key] == ("folder", "name")
    assert tables["files"].columns[-1] == "changed"
    assert all(table.key for table in tables.values())


@pytest.mark.parametrize("page", [3, 500])
def test_there_and_back_all_rows_are_the_same(
    gallery: Gallery,
    postgres: PostgresServer,
    tmp_path: Path,
    page: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(moving_catalogue, "_PAGE", page)
    folder, config = gallery.folder, postgres.config(tmp_path)
    before, hits = rows(gallery._catalog), [h.id for h in gallery.search(image(7), limit=9)]
    with Gallery(folder) as other, Gallery(folder) as third:
        browser = third.browse()
        words = [hit.path for hit in other.search(text="apple")]
        assert there(gallery, config) == sum(map(len, before.values()))
        name = read_description(folder)["store"]["catalogue"]
        for each in (gallery, other):  # which had the old one open
            assert [h.id for h in each.search(image(7), limit=9)] == hits
            assert rows(each._catalog) == before
        assert [hit.path for hit in other.search(text="apple")] == words
        assert browser.counts().images == other.info().images
        assert other.info().catalogue == name
        assert (folder / "catalog.sqlite").stat().st_size < 100_000
        # Numbers that the server gives go on behind those that came.
        photos = tmp_path / "photos"
        (photos / "c" / "d").mkdir(parents=True)
        (photos / "c" / "d" / "new.jpg").write_bytes(image(200))
        assert other.refresh().added == 1
        assert third.search(image(200)).hits[0].path.name == "new.jpg"
        before = rows(other._catalog)
        report = to_folder(other)
        assert (report.rows, report.compared) == (sum(map(len, before.values())), 5)
        assert third.info().catalogue is None
        assert rows(third._catalog) == before
        assert Texts(third._catalog).moment().last == 0
        assert third.refresh().unchanged == 41
        assert third.check().sound
        assert [hit.path for hit in third.search(text="apple")] == words
    assert not (folder / "cluster.toml").exists()
    assert contents(folder)["files"]
    with psycopg.connect(postgres.uri) as db:
        assert db.execute("SELECT to_regnamespace(%s)", (name,)).fetchone() == (None,)
    with pytest.raises(GalleryError, match="in its folder already"):
        to_folder(gallery)


def test_a_stop_anywhere_changes_nothing_and_what_came_counts(
    gallery: Gallery, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving_catalogue, "_PAGE", 5)
    config = postgres.config(tmp_path)
    before = rows(gallery._catalog)
    with psycopg.connect(postgres.uri) as db:
        others = db.execute(SCHEMAS).fetchall()

    def stop(progress: Progress) -> None:
        if progress.done >= (progress.total or 0) // 2:
            raise KeyboardInterrupt

    def refuse(_: Catalog) -> None:
        raise GalleryDamagedError("finds others")

    def go(compare: moving_catalogue.Compare, listen: moving_catalogue.Listen) -> None:
        context = gallery.opened().context
        if context.layout.store.catalogue:
            moving_catalogue.to_file(context, compare, listen)
        else:
            moving_catalogue.to_server(context, config, compare, listen)

    agree, inserted = moving_catalogue._insert, []
    monkeypatch.setattr(
        moving_catalogue,
        "_insert",
        lambda target, table, lines: (inserted.extend(lines), agree(target, table, lines)),
    )
    every = sum(map(len, before.values()))
    for is_there in (True, False):
        for compare, listen in ((nothing, stop), (refuse, quiet)):
            with suppress(KeyboardInterrupt, GalleryDamagedError):
                go(compare, listen)
            with Gallery(gallery.folder) as other:
                assert bool(other.info().catalogue) is not is_there
                assert rows(other._catalog) == before
            assert len(inserted) <= every + 1
        inserted.clear()
        go(nothing, quiet)
        assert not inserted
        assert bool(gallery.info().catalogue) is is_there
        assert rows(gallery._catalog) == before
    context = gallery.opened().context
    assert moving_catalogue.drop_left(context.layout, context.catalog)
    with psycopg.connect(postgres.uri) as db:
        assert db.execute(SCHEMAS).fetchall() == others


def test_what_changes_on_the_way_arrives_as_it_is_then(
    gallery: Gallery, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving_catalogue, "_PAGE", 5)
    config = postgres.config(tmp_path)
    photos = tmp_path / "photos"
    changed: list[int] = []
    wanted = [50]

    def change(progress: Progress) -> None:
        if progress.done > (progress.total or 0) // 2 and len(changed) < len(wanted):
            changed.append(wanted[len(changed)])
            with Gallery(gallery.folder) as other:
                write_images(photos / "c", 3, changed[-1])
                for path in (photos / "a").glob("p0003.*"):
                    path.unlink()
                other.refresh()

    context = gallery.opened().context
    moving_catalogue.to_server(context, config, nothing, change)
    assert gallery.refresh().unchanged == 42
    assert gallery.check(sample=None).sound
    next((photos / "c").glob("p0051.*")).unlink()
    wanted.append(60)
    moving_catalogue.to_file(gallery.opened().context, nothing, change)
    assert gallery.check(sample=None).sound
    assert gallery.refresh().unchanged == 44
    assert not gallery.search(text="p0051").hits


def test_whoever_still_has_the_old_one_can_write_nothing(
    gallery: Gallery, postgres: PostgresServer, tmp_path: Path
) -> None:
    config = postgres.config(tmp_path)
    layout = gallery.opened().context.layout
    with closing(open_catalog(layout, 10)) as old:
        old.set_state("a", "b")
        there(gallery, config)
        with pytest.raises(GalleryMovedError, match="was moved by another process"):
            old.set_state("a", "lost")
    assert gallery.info().catalogue
    assert gallery._catalog.get_state("a") == "b"
    shutil.copytree(gallery.folder, tmp_path / "copy")
    with (
        closing(open_catalog(gallery.opened().context.layout, 10)) as old,
        Gallery(tmp_path / "copy") as copy,
    ):
        copy.browse().counts()
        context = gallery.opened().context
        moving_catalogue.to_file(context, nothing, quiet)
        with pytest.raises(GalleryMovedError, match="was moved by another process"):
            old.set_state("a", "lost")
        # On another machine, whose gallery.json says nothing of it.
        with pytest.raises(GalleryMovedError, match="use the one into which it was moved"):
            copy._catalog.set_state("a", "lost")
        assert copy.browse().counts().files == 40
        assert moving_catalogue.drop_left(layout, gallery.opened().context.catalog)
        with pytest.raises(GalleryDamagedError, match="if it was moved into the gallery's folder"):
            copy.browse().counts()
        with pytest.raises(GalleryDamagedError, match="if it was moved into the gallery's folder"):
            Gallery(tmp_path / "copy")
    assert gallery._catalog.get_state("a") == "b"


def test_of_two_copies_that_move_back_one_is_refused(
    gallery: Gallery, postgres: PostgresServer, tmp_path: Path
) -> None:
    there(gallery, postgres.config(tmp_path))
    shutil.copytree(gallery.folder, tmp_path / "copy")
    moving_catalogue.to_file(gallery.opened().context, nothing, quiet)
    gallery.refresh()
    with (
        Gallery(tmp_path / "copy") as copy,
        pytest.raises(GalleryMovedError, match="use the one into which it was moved"),
    ):
        to_folder(copy)
    assert read_description(tmp_path / "copy")["store"]["catalogue"]
    assert gallery.check().sound


def test_a_lock_that_was_lost_on_the_way_back_is_noticed(
    gallery: Gallery, postgres: PostgresServer, tmp_path: Path
) -> None:
    """With its connection; others may have written since."""
    there(gallery, postgres.config(tmp_path))

    def lose(_: Catalog) -> None:
        with psycopg.connect(postgres.uri, autocommit=True) as db:
            (pid,) = db.execute("SELECT pid FROM pg_locks WHERE locktype = 'advisory'").fetchone()
            db.execute("SELECT pg_terminate_backend(%s)", (pid,))

    with pytest.raises(StoreUnavailableError, match="was lost"):
        moving_catalogue.to_file(gallery.opened().context, lose, quiet)
    assert gallery.info().catalogue
    to_folder(gallery)
    assert gallery.refresh().unchanged == 40
    assert gallery.check().sound


def test_a_stop_right_before_the_end_is_mended_by_the_same_command(
    gallery: Gallery, postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between what the server is told and what the folder says, both ways."""

    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    config = postgres.config(tmp_path)
    before = rows(gallery._catalog)
    context = gallery.opened().context
    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(moving_catalogue, "write_description", stop)
        moving_catalogue.to_server(context, config, nothing, quiet)
    assert gallery.refresh().unchanged == 40
    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(moving_catalogue, "empty", stop)
        moving_catalogue.to_server(context, config, nothing, quiet)
    assert gallery.info().catalogue
    assert rows(gallery._catalog) == before
    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(moving_catalogue, "write_description", stop)
        to_folder(gallery)
    with Gallery(gallery.folder) as other:
        assert other.search(image(7)).hits
        with pytest.raises(GalleryMovedError, match="if that was stopped, run it again"):
            other.add(tmp_path / "photos")
    with monkeypatch.context() as patched, suppress(KeyboardInterrupt):
        patched.setattr(moving_catalogue, "drop_left", stop)
        to_folder(gallery)
    assert gallery.refresh().unchanged == 40
    assert to_folder(gallery).rows == 0  # only removes what is left
    assert rows(gallery._catalog) == before
    assert not (gallery.folder / "cluster.toml").exists()


def test_back_takes_away_what_a_stopped_move_has_begun(
    gallery: Gallery, postgres: PostgresServer, tmp_path: Path
) -> None:
    context = gallery.opened().context
    name = moving_catalogue.begin(context.catalog, postgres.config(tmp_path))
    keep_config(gallery.folder, tmp_path / "config.toml")
    assert to_folder(gallery).rows == 0
    assert not (gallery.folder / "cluster.toml").exists()
    with psycopg.connect(postgres.uri) as db:
        assert db.execute("SELECT to_regnamespace(%s)", (name,)).fetchone() == (None,)
    with pytest.raises(GalleryError, match="in its folder already"):
        to_folder(gallery)


def test_what_was_lost_on_its_way_is_noticed(
    gallery: Gallery, postgres: PostgresServer, tmp_path: Path
) -> None:
    """A trigger of the server that keeps a row out stands for whatever may."""
    config = postgres.config(tmp_path)
    before = rows(gallery._catalog)
    name = moving_catalogue.begin(gallery._catalog, config)
    with closing(Catalog(Postgres(config, name))):
        pass
    with psycopg.connect(postgres.uri, autocommit=True) as db:
        db.execute(
            f"CREATE FUNCTION {name}.lose() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RETURN NULL; END $$; CREATE TRIGGER lose BEFORE INSERT ON {name}.contents "
            f"FOR EACH ROW WHEN (NEW.width > 0) EXECUTE FUNCTION {name}.lose()".encode()
        )
    with pytest.raises(GalleryDamagedError, match="table contents do not arrive"):
        there(gallery, config)
    assert rows(gallery._catalog) == before
    assert gallery.info().catalogue is None
    with psycopg.connect(postgres.uri, autocommit=True) as db:
        db.execute(f"DROP TRIGGER lose ON {name}.contents".encode())
    there(gallery, config)
    assert gallery.info().catalogue == name
    assert rows(gallery._catalog) == before


MOVE = """
import sys
from pathlib import Path
from glocal.cluster import moving, moving_catalogue
from glocal.gallery import Gallery

moving_catalogue._PAGE = 20
with Gallery(sys.argv[1], create=False) as gallery:
    context = gallery.opened().context
    if sys.argv[2] == "back":
        moving.to_folder(gallery)
    else:
        compare = moving._Comparing(context)
        moving_catalogue.to_server(context, Path(sys.argv[2]), compare, lambda _: None)
"""

WRITE = """
import sys, time
from glocal.errors import GalleryLockedError
from glocal.gallery import Gallery

with Gallery(sys.argv[1], create=False) as gallery:
    number = 0
    while True:
        try:
            gallery._catalog_now().set_state(f"written {number}", str(number))
        except GalleryLockedError:
            continue  # closed, until the move goes on
        print(number, flush=True)
        number += 1
        time.sleep(0.01)
"""


def test_killed_at_random_moments_while_another_writes_nothing_is_lost(
    gallery: Gallery, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Five times each way; the writer has the gallery open all the time."""
    config, folder = postgres.config(tmp_path), gallery.folder
    before = rows(gallery._catalog)
    chance = random.Random(0)
    took = 1.0
    with Program([folder], code=WRITE, text=True) as writer:
        for left in (0, 5, 5):
            kills = left
            at_server = gallery.info().catalogue is not None
            target = "back" if at_server else str(config)
            while (gallery.info().catalogue is not None) is at_server:
                with Program([folder, target], code=MOVE, text=True) as move:
                    began = time.monotonic()
                    if kills:
                        kills -= 1
                        time.sleep(chance.uniform(0, took))
                        move.kill()
                        move.wait()
                    elif move.wait(60):
                        raise AssertionError(move.stderr.read())
                    else:
                        took = time.monotonic() - began
        writer.kill()
        writer.wait()
        written = [int(line) for line in writer.stdout if line.endswith("\n")]
        assert not writer.stderr.read()
    assert len(written) > 20
    with suppress(GalleryError):
        to_folder(gallery)  # what a kill has left
    now = rows(gallery._catalog)
    found = {row for row in now["state"] if row.startswith("('written ")}
    assert {f"('written {n}', '{n}')" for n in written} <= found
    assert len(found) <= len(written) + 1  # one that was not told any more
    now["state"] = [row for row in now["state"] if row not in found]
    if gallery.info().catalogue is None:
        assert now == before
    assert gallery.check(sample=None).sound
    assert gallery.refresh().unchanged == 40


def test_a_gallery_that_is_being_upgraded_stays_where_it_is(
    model: Path, postgres: PostgresServer, tmp_path: Path
) -> None:
    write_images(tmp_path / "photos", 110)
    newer = write_model(tmp_path / "newer.onnx", seed=1, near=0.8, space="newer")
    folder = tmp_path / "gallery"
    open_layout(folder, model=str(model), sha256=None, create=True, timeout=10)
    PostgresPlaces(tmp_path, postgres).use(folder)
    config = tmp_path / "config.toml"
    with Gallery(folder, detector="own") as gallery:
        gallery.add(tmp_path / "photos")
        upgrade = gallery.upgrade()
        upgrade.begin(upgrade.propose(str(newer), anchors=100))
        for move in (lambda: to_folder(gallery), lambda: to_cluster(gallery, config)):
            with pytest.raises(GalleryError, match="finish that first"):
                move()


@needs_milvus
def test_a_whole_gallery_moves_with_its_catalogue_and_back(
    gallery: Gallery, milvus: RealServer, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Stopped between the vectors and the catalogue; nothing is encoded again."""
    config = postgres.config(tmp_path, milvus=milvus.uri, timeout=120)
    before, sound = rows(gallery._catalog), {h.id: h.score for h in gallery.search(image(7))}

    def stop(progress: Progress) -> None:
        if (progress.total or 0) > 60:  # rows of the catalogue
            raise KeyboardInterrupt

    with suppress(KeyboardInterrupt):
        to_cluster(gallery, config, stop)
    assert (gallery.info().store, gallery.info().catalogue) == ("milvus", None)
    (tmp_path / "other").mkdir()
    other = postgres.config(tmp_path / "other", milvus="http://127.0.0.1:1", timeout=1)
    kept = (gallery.folder / "cluster.toml").read_text()
    with pytest.raises(GalleryError, match=r"the file names http://127\.0\.0\.1:1;"):
        to_cluster(gallery, other)
    assert (gallery.folder / "cluster.toml").read_text() == kept
    report = to_cluster(gallery, config)
    assert (report.copied, report.compared) == (0, 5)
    assert report.rows >= sum(map(len, before.values()))
    assert gallery.info().catalogue
    assert gallery.check().sound
    assert gallery.refresh().added == 0
    assert {h.id: h.score for h in gallery.search(image(7))} == pytest.approx(sound, abs=1e-3)
    with pytest.raises(GalleryError, match="in a cluster already"):
        to_cluster(gallery, config)
    report = to_folder(gallery)
    assert (gallery.info().store, gallery.info().catalogue) == ("flat", None)
    assert report.compared == 35
    assert {h.id: h.score for h in gallery.search(image(7))} == pytest.approx(sound, abs=1e-3)
    assert rows(gallery._catalog)["files"] == before["files"]
    assert not (gallery.folder / "cluster.toml").exists()
    assert json.loads((gallery.folder / "gallery.json").read_text())["store"]["kind"] == "flat"
    assert gallery.check().sound
