"""A process is killed as it commits: its transaction lies in the log, and nobody has seen it.

SQLite completes such a transaction when the database is next opened after everybody has left,
unless something else was committed. Until then other processes go on as if it had never been; what
they do to the files of vectors must not hurt it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from store_contract import many, number
from test_stores import opened

from glocal.errors import DiskFullError, GalleryLockedError, GlocalError
from glocal.gallery.rows import Extent
from glocal.gallery.stores import files, row_file
from glocal.gallery.stores.flat import FlatStore

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="puts the files of an open database together"
)
LOG = "catalog.sqlite-wal"


class KilledError(Exception):
    """Ends a change."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "gallery").mkdir()
    return tmp_path / "gallery"


def copy(*paths: Path) -> None:
    # By another process: to close a file here would release SQLite's locks on it.
    subprocess.run(["cp", "-r", *paths], check=True)


def begun_to_commit(store: FlatStore, change: Callable[[FlatStore], object]) -> None:
    """Leave behind what a process does that is killed when the log has its transaction."""
    folder, elsewhere = store.folder.parent, store.folder.parent.with_name("elsewhere")
    before = store.rows.extent()
    copy(folder, elsewhere)
    with opened(elsewhere) as other:
        change(other)
        copy(elsewhere / LOG, *elsewhere.joinpath("v").iterdir(), folder.parent)
    copy(folder.parent / LOG, folder)
    for path in folder.parent.glob("space*"):
        copy(path, store.folder)
    assert store.rows.extent() == before


def after_everybody_has_left(store: FlatStore) -> Path:
    """The folder as whoever opens it next finds it."""
    left = store.folder.parent.with_name("left")
    shutil.rmtree(left, ignore_errors=True)
    copy(store.folder.parent, left)
    left.joinpath("catalog.sqlite-shm").unlink()
    return left


def check(folder: Path, count: int) -> Extent:
    """Make sure that so many images are there with the vectors that they were given."""
    with opened(folder) as store:
        assert store.damaged() == []
        found = store.vectors([number(i) for i in range(10_000)])
        assert len(found) == count
        for record in [*many(200), *many(200, 500)]:
            if record.id in found:
                assert found[record.id] @ record.vector > 0.99
        return store.rows.extent()


def test_a_batch_half_committed_is_not_written_over(folder: Path) -> None:
    with opened(folder) as store:
        store.upsert(many(50))
        begun_to_commit(store, lambda other: other.upsert(many(30, 50)))
        with suppress(KilledError), store.rows.database.change():
            store.upsert(many(20, 500))
            raise KilledError
        check(after_everybody_has_left(store), 80)


def test_a_batch_half_committed_is_undone_by_the_next_commit(folder: Path) -> None:
    with opened(folder) as store:
        store.upsert(many(50))
        begun_to_commit(store, lambda other: other.upsert(many(30, 50)))
        store.upsert(many(20, 500))
        extent = check(after_everybody_has_left(store), 70)
        assert (extent.rows, extent.dead) == (100, 30)
        store.rewrite()
        extent = check(after_everybody_has_left(store), 70)
        assert (extent.rows, extent.dead) == (70, 0)


def test_the_file_of_a_compaction_half_committed_stays_until_it_is_undone(folder: Path) -> None:
    with opened(folder) as store:
        store.upsert(many(50))
        store.delete([number(i) for i in range(10)])
        begun_to_commit(store, FlatStore.rewrite)
        assert len([*store.folder.glob("*.i8")]) == 2
        store.sweep()
        assert len([*store.folder.glob("*.i8")]) == 1
        assert check(after_everybody_has_left(store), 40).generation == 1


def test_a_compaction_half_committed_is_not_mixed_with_the_next_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folder) as store:
        store.upsert(many(50))

        def compact_as_images_go(other: FlatStore) -> None:
            copying = other._copy

            def copy_and_delete(*given: object) -> None:
                copying(*given)  # type: ignore[arg-type]
                other.delete([number(i) for i in range(10)])

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(other, "_copy", copy_and_delete)
                other.rewrite()

        begun_to_commit(store, compact_as_images_go)

        def killed(*_: object) -> None:
            raise KilledError

        monkeypatch.setattr(store.rows, "replace", killed)
        with suppress(KilledError):
            store.rewrite()
        check(after_everybody_has_left(store), 50)


def test_a_batch_that_fails_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(folder) as store:
        store.upsert(many(50))
        size = store.file(1).stat().st_size
        writing = files.write_at

        def written_in_part(path: Path, offset: int, data: bytes) -> None:
            writing(path, offset, data[: len(data) // 2])
            raise OSError

        monkeypatch.setattr(row_file, "write_at", written_in_part)
        for _ in range(3):
            with suppress(OSError):
                store.upsert(many(20, 500))
            assert store.file(1).stat().st_size == size


def test_what_was_left_in_part_is_passed_over(folder: Path) -> None:
    with opened(folder) as store:
        store.upsert(many(50))
        with store.file(1).open("ab") as file:
            file.write(b"x" * (store.row_bytes * 600 + 3))  # more than a block
        store.upsert(many(20, 500))
        extent = check(after_everybody_has_left(store), 70)
        assert (extent.rows, extent.dead) == (50 + 601 + 20, 601)
        assert [match.id for match in store.search(many(1, 505)[0].vector, 1)] == [number(505)]


def test_clearing_ends_a_compaction(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(folder) as store, opened(folder) as other:
        store.upsert(many(50))
        copying = store._copy

        def copy_and_clear(*given: object) -> None:
            copying(*given)  # type: ignore[arg-type]
            other.clear()
            other.upsert(many(20, 500))

        monkeypatch.setattr(store, "_copy", copy_and_clear)
        store.rewrite()
        store.sweep()
        check(folder, 20)


def test_removing_looks_for_the_rows_inside_the_change(folder: Path) -> None:
    with opened(folder) as store, opened(folder) as other:
        store.upsert(many(50))
        store.delete([number(0)])
        finding = store.rows.find

        def find_and_compact(ids: object) -> object:
            found = finding(ids)  # type: ignore[arg-type]
            if not store.rows.database.changing:
                other.rewrite()  # rows have other numbers now
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(store.rows, "find", find_and_compact)
            store.delete([number(20)])
            store.set_folders({number(30): (7,)})
        assert {i for i, _ in store.scan()} == {number(i) for i in range(50)} - {
            number(0),
            number(20),
        }
        assert dict(store.scan())[number(30)] == (7,)


@pytest.mark.parametrize("error", [DiskFullError, GalleryLockedError])
def test_where_nothing_can_be_committed_files_stay_until_the_next_time(
    folder: Path, monkeypatch: pytest.MonkeyPatch, error: type[GlocalError]
) -> None:
    with opened(folder) as store:
        store.upsert(many(50))
        store.rewrite()
        assert len([*store.folder.glob("*.i8")]) == 2

        def refused() -> None:
            raise error

        with monkeypatch.context() as patch:
            patch.setattr(store.rows, "settle", refused)
            store.sweep()
        assert len([*store.folder.glob("*.i8")]) == 2
        store.sweep()
        assert len([*store.folder.glob("*.i8")]) == 1
        check(folder, 50)
