# ruff: noqa: S608 - the names of tables are ours
"""Galleries of format 1, made by the last version that wrote it, open and find the same."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
import tarfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from older_galleries import move

import forked
import glocal
from glocal.errors import GalleryLockedError, MissingExtraError
from glocal.gallery import migration
from glocal.gallery.locks import locked

DATA = Path(__file__).parent / "data" / "format1.tar.gz"
MADE_AT = "/glocal-fixture"
FILES = 20


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gallery as it was made, its folders moved to where it lies now."""
    home = tmp_path_factory.mktemp("format1")
    with tarfile.open(DATA) as packed:
        packed.extractall(home, filter="data")
    move(home / "gallery", Path(MADE_AT), home)
    return home


@pytest.fixture
def home(unpacked: Path) -> Path:
    """The same, each test with its own copy of the gallery; the photos are shared."""
    fresh = unpacked.parent / "gallery-of-a-test"
    shutil.rmtree(fresh, ignore_errors=True)
    shutil.copytree(unpacked / "gallery", fresh)
    move(fresh, unpacked / "gallery", fresh)
    return unpacked


def gallery_of(home: Path) -> Path:
    return home.parent / "gallery-of-a-test"


def assert_finds_the_same(home: Path, files: int = FILES) -> None:
    """The results that the version which made it gave, and nothing is read again."""
    expected: dict[str, Any] = json.loads((home / "expected.json").read_text())
    with glocal.open(gallery_of(home), create=False) as gallery:
        assert gallery.info().format == 2
        assert gallery.info().files == files
        health = gallery.check(sample=None)
        assert health.sound, health.faults()
        for query, hits in expected.items():
            result = gallery.search(home / query, limit=25, exact=True, verify=False)
            found = {os.path.relpath(p, home): hit.score for hit in result for p in hit.paths}
            right = {path.replace("gallery", f"../{gallery.folder.name}"): s for path, s in hits}
            assert found == pytest.approx(right, abs=2e-4)
        assert gallery.refresh().unchanged == files


def test_an_old_gallery_is_migrated_and_finds_the_same(
    home: Path, encoded: Callable[[], int]
) -> None:
    with glocal.open(gallery_of(home), create=False) as gallery:
        assert (gallery.folder / "vectors" / "current").exists()  # until the next sound opening
        assert gallery.refresh().unchanged == FILES
    assert encoded() == 0
    assert_finds_the_same(home)
    left = {p.name for p in gallery_of(home).rglob("*")}
    assert not left & {"current", "shard-000001", "vectors.lock", "vectors.lock.json"}
    stored = json.loads((gallery_of(home) / "gallery.json").read_text())
    assert stored["format"] == 2
    assert stored["store"] == {"kind": "flat", "version": 1}
    assert stored["written_by"].startswith("glocal ")
    assert stored["model"]["space"] == f"sha256:{stored['model']['sha256'][:16]}"


class Killed(BaseException):
    """Stands for a SIGKILL: nothing catches it, and what comes after never happens."""


STEPS = [
    *((step, 1) for step in ("open_shard", "rename_tables", "drop_contents", "write_description")),
    *((step, count) for step in ("upsert", "write_at") for count in (1, 3)),
]


@pytest.mark.parametrize(("step", "count"), STEPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_migration_that_is_cut_short_goes_on(
    home: Path, monkeypatch: pytest.MonkeyPatch, step: str, when: str, count: int
) -> None:
    """Cut at each step, once and again: each time with a little more done, never with less."""
    target = {
        "open_shard": "glocal.gallery.migration._open_shard",
        "rename_tables": "glocal.gallery.migration._rename_tables",
        "upsert": "glocal.gallery.stores.flat.FlatStore.upsert",
        "write_at": "glocal.gallery.stores.row_file.write_at",
        "drop_contents": "glocal.gallery.catalog.Catalog.drop_contents",
        "write_description": "glocal.gallery.migration.write_description",
    }[step]
    monkeypatch.setattr(migration, "_PAGE", 4)
    module, _, name = target.rpartition(".")
    owner: Any = sys.modules.get(module) or getattr(
        sys.modules[module.rpartition(".")[0]], module.rpartition(".")[2]
    )
    real = getattr(owner, name)
    calls = 0

    def cut(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == count and when == "before":
            raise Killed
        result = real(*args, **kwargs)
        if calls == count and when == "after":
            raise Killed
        return result

    for _ in range(2):
        calls = 0
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, cut)
            try:
                glocal.open(gallery_of(home), create=False).close()
            except Killed:
                continue
    assert_finds_the_same(home)


KILLED = """
import os, signal, sys, threading, time
import glocal
from glocal.gallery import migration
import qdrant_edge
migration._PAGE = 1
threading.Thread(
    target=lambda: (time.sleep(float(sys.argv[2])), os.kill(os.getpid(), signal.SIGKILL)),
    daemon=True,
).start()
glocal.open(sys.argv[1], create=False).close()
"""


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_real_kills_at_any_moment_lose_nothing(home: Path) -> None:
    kills = 0
    for attempt in range(8):
        run = forked.run([gallery_of(home), str(0.002 + attempt * 0.015)], code=KILLED)
        kills += run.returncode < 0
        assert run.returncode in (0, -9), run.stderr
    assert kills
    assert_finds_the_same(home)


def test_an_old_gallery_whose_last_change_was_cut_short(home: Path) -> None:
    """One image has a vector that no row names yet, one has a row whose vector never came."""
    import qdrant_edge

    folder = gallery_of(home)
    shard = qdrant_edge.EdgeShard.load(str(folder / "vectors" / "shard-000001"))
    with closing(sqlite3.connect(folder / "catalog.sqlite")) as db, db:
        db.execute("UPDATE state SET value = '1' WHERE key = 'changing'")
        (first,), (second,) = db.execute(
            "SELECT content FROM files WHERE CAST(name AS TEXT) LIKE 'p000_._%' "
            "AND content NOT IN (SELECT content FROM files GROUP BY content HAVING COUNT(*) > 1) "
            "ORDER BY name LIMIT 2"
        ).fetchall()
        for table, column in (("files", "content"), ("parts", "content"), ("contents", "id")):
            db.execute(f"DELETE FROM {table} WHERE {column} = ?", (first,))
    shard.update(qdrant_edge.UpdateOperation.delete_points([UUID(bytes=second)]))
    shard.flush()
    shard.close()
    with glocal.open(folder, create=False) as gallery:
        assert gallery.check(sample=None).sound
        report = gallery.refresh()
        assert report.added == 2
    assert_finds_the_same(home)


def test_without_the_package_the_error_says_what_to_install(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "qdrant_edge", None)
    with pytest.raises(MissingExtraError, match=r'pip install "glocal\[migrate\]"'):
        glocal.open(gallery_of(home), create=False)
    monkeypatch.undo()
    assert_finds_the_same(home)


@pytest.mark.parametrize("lock", ["write.lock", "vectors.lock"])
def test_a_gallery_in_use_by_the_old_version_is_not_migrated(home: Path, lock: str) -> None:
    open_old: Callable[[], Any] = lambda: glocal.open(  # noqa: E731
        gallery_of(home), create=False, timeout=0.1
    )
    with locked(gallery_of(home) / lock, "the old gallery", 1), pytest.raises(GalleryLockedError):
        open_old()
    assert_finds_the_same(home)
