"""What a power cut can leave: a run is recorded, and the disk rebuilt as of every sync point.

After a cut the disk has of each file what was synced, and of each folder the names that were; what
was written since is there, or not, or in part. The catalogue is as of its last commit, which SQLite
has synced (``synchronous=FULL``).
"""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from image_folders import image, write_images

from glocal.gallery import Gallery, batches, layout
from glocal.gallery.database import Database
from glocal.gallery.stores import files, flat, graph_builder, row_file

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="finds names of open files in /proc"
)

SQLITE = ("catalog.sqlite", "catalog.sqlite-wal", "catalog.sqlite-shm")
KEPT = image(500)


@dataclass
class Disk:
    """What would be left of a folder, and of what it was recorded as."""

    folder: Path
    contents: dict[int, bytes] = field(default_factory=dict)  # by inode, as synced
    names: dict[Path, int] = field(default_factory=dict)
    catalog: bytes = b""
    states: list[Disk] = field(default_factory=list)

    def sync(self, descriptor: int) -> None:
        path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))
        if path.is_dir():
            here = {p: p.stat().st_ino for p in path.iterdir() if p.is_file()}
            self.names = {p: i for p, i in self.names.items() if p.parent != path} | here
        else:
            self.contents = self.contents | {path.stat().st_ino: path.read_bytes()}
        self.cut()

    def committed(self, database: Database) -> None:
        if database.path.parent == self.folder:
            with closing(sqlite3.connect(database.path)) as db:
                self.catalog = db.serialize()
            self.cut()

    def cut(self) -> None:
        """Remember this moment, and what lies in the page cache now."""
        now = {p: p.read_bytes() for p in self.folder.rglob("*") if p.is_file()}
        state = Disk(self.folder, self.contents, dict(self.names), self.catalog)
        state.cached = now  # type: ignore[attr-defined]
        self.states.append(state)

    def rebuild(self, target: Path, unsynced: str) -> None:
        """Write what is left: unsynced bytes are ``lost``, ``there``, or ``torn``."""
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        left = {p: self.contents.get(i, b"") for p, i in self.names.items()}
        cached: dict[Path, bytes] = self.cached  # type: ignore[attr-defined]
        for path, data in cached.items():
            synced = left.get(path, b"")
            if unsynced == "there":
                left[path] = data
            elif unsynced == "torn" and path in left and data != synced:
                middle = (len(synced) + len(data)) // 2
                left[path] = data[:middle] + b"\0" * (len(data) - middle)
        for path, data in left.items():
            if path.name not in SQLITE:
                place = target / path.relative_to(self.folder)
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
        if self.catalog:
            (target / SQLITE[0]).write_bytes(self.catalog)


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Disk:
    recorded = Disk(tmp_path / "gallery")
    fsync = os.fsync

    def sync(descriptor: int) -> None:
        fsync(descriptor)
        recorded.sync(descriptor)

    change = Database.change

    @contextmanager
    def recorded_change(self: Database) -> Iterator[Any]:
        with change(self) as db:
            yield db
        if self._writing_thread is None:
            recorded.committed(self)

    for module in (files, row_file, graph_builder, layout):
        monkeypatch.setattr(module, "sync", sync)
    monkeypatch.setattr(Database, "change", recorded_change)
    monkeypatch.setattr(batches, "BATCH", 5)
    monkeypatch.setattr(flat, "_WALK", 0)
    monkeypatch.setattr(flat, "_LOADING", 0)
    return recorded


def test_whatever_a_power_cut_leaves_is_sound_and_has_all_that_was_acknowledged(
    disk: Disk, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_images(tmp_path / "photos", 14)
    acknowledged: list[tuple[int, set[str]]] = []

    def note(gallery: Gallery) -> None:
        """From this moment on the files that the gallery has now may not be lost."""
        names = {path.name for path, _ in gallery._catalog.all_files()}
        acknowledged.append((len(disk.states), names))

    with Gallery(disk.folder, model=str(model), detector="own") as gallery:
        gallery.add(tmp_path / "photos")
        note(gallery)
        gallery.add(KEPT, name="kept")
        note(gallery)
        gallery.remove(tmp_path / "photos" / "p0001.jpg")
        note(gallery)
        store = gallery._context.store
        assert isinstance(store, flat.FlatStore)
        graph_builder.extend(store, gallery.model.dim)
        assert store.status().in_graph == 14
        store.rewrite()
        note(gallery)
        store.sweep()
        graph_builder.extend(store, gallery.model.dim)
    monkeypatch.undo()
    assert len(disk.states) > 30
    opened = kept = 0
    for number, state in enumerate(disk.states):
        least = [names for at, names in acknowledged if at <= number]
        for unsynced in ("lost", "there", "torn"):
            place = tmp_path / "left"
            state.rebuild(place, unsynced)
            with Gallery(place, model=str(model), detector="own") as gallery:
                health = gallery.check(sample=None)
                assert health.sound, (number, unsynced, health.faults())
                there = {path.name for path, _ in gallery._catalog.all_files()}
                # Of the two moments between which the cut came.
                following = [names for at, names in acknowledged if at > number]
                assert not least or there >= least[-1] & (following or least)[0]
                for path, _ in gallery._catalog.all_files():
                    if path.parent == disk.folder / "kept":
                        kept += 1
                        assert (place / "kept" / path.name).read_bytes() == KEPT
                opened += 1
    assert opened == 3 * len(disk.states)
    assert kept >= 3 * (len(disk.states) - acknowledged[1][0]) > 0


def test_without_the_sync_before_the_commit_a_power_cut_would_be_seen(
    disk: Disk, tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recording tells apart: a store that does not sync its vectors fails the test above."""
    write_images(tmp_path / "photos", 6)
    monkeypatch.setattr(files, "sync", lambda _: None)
    with Gallery(disk.folder, model=str(model), detector="own") as gallery:
        gallery.add(tmp_path / "photos")
        gallery.add(KEPT, name="kept")
    monkeypatch.undo()
    disk.states[-1].rebuild(tmp_path / "left", "lost")
    (tmp_path / "left" / "gallery.json").write_bytes((disk.folder / "gallery.json").read_bytes())
    with Gallery(tmp_path / "left", create=False) as gallery:
        assert len(gallery.check().damaged) == 7
    kept = tmp_path / "left" / "kept" / "kept.jpg"  # the only copy of what came as bytes
    assert not kept.exists() or kept.read_bytes() != KEPT


def test_on_macos_the_disk_itself_is_told_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Simulated: `fsync` leaves bytes in the disk's cache; not every volume has F_FULLFSYNC."""
    import fcntl

    told: list[tuple[str, int]] = []

    def control(descriptor: int, what: int) -> None:
        told.append(("fcntl", what))
        if len(told) > 1:
            raise OSError(errno.ENOTSUP, "Operation not supported")

    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(fcntl, "F_FULLFSYNC", 51, raising=False)
    monkeypatch.setattr(fcntl, "fcntl", control)
    monkeypatch.setattr(os, "fsync", lambda descriptor: told.append(("fsync", 0)))
    files.sync(7)
    assert told == [("fcntl", 51)]
    files.sync(7)
    assert told[1:] == [("fcntl", 51), ("fsync", 0)]
    with closing(Database(tmp_path / "catalog.sqlite", "")) as database:
        assert database.writer.execute("PRAGMA fullfsync").fetchone() == (1,)
