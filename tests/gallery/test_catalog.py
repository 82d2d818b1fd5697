"""The catalogue by itself: numbers, lineages, transactions, and many at once."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import GalleryDamagedError, GalleryError, GalleryLockedError
from glocal.gallery import database
from glocal.gallery.catalog import Catalog, Content, FileState
from glocal.gallery.records import SEVERAL


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    with closing(Catalog(tmp_path / "catalog.sqlite")) as opened:
        yield opened


def number(i: int) -> UUID:
    return UUID(int=i + 1)


def put(catalog: Catalog, folder: Path, name: bytes, content: int) -> None:
    held = Content(number(content), 1, 1, 1, None, None, None, None)
    at = catalog.folder(folder)
    with catalog.change():
        catalog.put_contents([held], [])
        catalog.put_files([(at, FileState(name, 1, 1, held.id))])


names = st.binary(min_size=1, max_size=3).filter(lambda b: not {0, 47} & set(b) and b != b"..")
paths = st.lists(names.filter(lambda b: b != b"."), max_size=3)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(paths, names, st.integers(0, 5)), max_size=10), paths)
def test_folders_and_files_agree_with_paths(
    rows: list[tuple[list[bytes], bytes, int]], asked: list[bytes]
) -> None:
    """Names are any bytes; what lies below what is told from the paths alone, slowly."""

    def path_of(parts: list[bytes]) -> Path:
        return Path("/", *(part.decode("utf-8", "surrogateescape") for part in parts))

    with TemporaryDirectory() as place, closing(Catalog(Path(place) / "c.sqlite")) as catalog:
        files: dict[tuple[Path, bytes], int] = {}
        for folder, name, content in rows:
            put(catalog, path_of(folder), name, content)
            files[path_of(folder), name] = content
        known = {above for folder, _ in files for above in (folder, *folder.parents)}
        below = [p for p in known if path_of(asked) in (p, *p.parents)]
        assert {p for _, p, _ in catalog.folders_below(path_of(asked))} == set(below)
        numbers = {catalog.find_folder(p): p for p in known}
        assert None not in numbers
        homes: dict[UUID, set[Path]] = {}
        for (folder, _), content in files.items():
            homes.setdefault(number(content), set()).add(folder)
        found = catalog.folders_of(homes)
        for content, folders in homes.items():
            above = {p for folder in folders for p in (folder, *folder.parents)}
            told = set(found[content])
            assert {numbers[n] for n in told - {SEVERAL}} == above
            assert (SEVERAL in told) == (len(folders) > 1)
        assert {i: len(f) for i, f in catalog.files_of(homes).items()} == {
            i: sum(number(c) == i for c in files.values()) for i in homes
        }


def test_a_folder_may_lie_very_deep(catalog: Catalog) -> None:
    """Linux takes paths of 4095 bytes, which are two thousand folders."""
    small_objects = Path("/", *["d"] * 2000)
    assert catalog.folder(small_objects) == catalog.find_folder(small_objects)
    assert len(catalog.lineage(catalog.folder(small_objects))) == 2001


def test_a_change_is_whole_or_absent(catalog: Catalog) -> None:
    put(catalog, Path("/p"), b"x", 1)
    with contextlib.suppress(KeyboardInterrupt), catalog.change():
        catalog.drop_contents([number(1)])
        raise KeyboardInterrupt
    assert catalog.known(number(1))
    assert catalog.counts()["files"] == 1


def test_more_values_than_a_statement_takes(catalog: Catalog) -> None:
    many = [number(i) for i in range(1200)]
    contents = [Content(i, 1, 1, 1, None, None, None, None) for i in many]
    at = catalog.folder(Path("/p"))
    with catalog.change():
        catalog.put_contents(contents, [(i, i.bytes) for i in many])
        catalog.put_files([(at, FileState(i.hex.encode(), 1, 1, i)) for i in many])
    assert catalog.local_features(many) == {i: i.bytes for i in many}
    assert len(catalog.files_of(many)) == len(catalog.contents(many)) == 1200
    assert catalog.unreferenced() == []


def test_roots_below_go_with_a_root(catalog: Catalog) -> None:
    for root in ("/a", "/a/b", "/a-b", "/ab", "/c"):
        catalog.add_root(Path(root))
    catalog.drop_root(Path("/a"))
    assert catalog.roots() == [Path("/a-b"), Path("/ab"), Path("/c")]


def test_cameras_are_found_whatever_their_case(catalog: Catalog) -> None:
    cameras = ["Canon EOS 5D", "NIKON", "100% _wild_", "ÉCLAIR"]
    with catalog.change():
        catalog.put_contents(
            [Content(number(n), 1, 1, 1, None, c, None, None) for n, c in enumerate(cameras)], []
        )
    for text, meant in (("eos", 0), ("nikon", 1), ("%", 2), ("_WILD", 2), ("éclair", 3)):
        assert catalog.cameras_like(text) == (cameras[meant],)


def test_damage_and_trouble_are_told_apart(
    tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only damage may lead to a repair, which sets the catalogue aside."""
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"no database" * 1000)
    with pytest.raises(GalleryDamagedError, match="check --repair"):
        Catalog(damaged)
    with pytest.raises(GalleryError) as not_there:
        Catalog(tmp_path / "none" / "catalog")
    assert not isinstance(not_there.value, GalleryDamagedError)
    connect = sqlite3.connect
    impatient = {"timeout": 0}
    monkeypatch.setattr(
        database.sqlite3, "connect", lambda path, **more: connect(path, **more | impatient)
    )
    second = Catalog(tmp_path / "catalog.sqlite")
    with catalog.change(), pytest.raises(GalleryLockedError):
        second.set_state("a", "b")
    second.close()
    with pytest.raises(GalleryError, match="closed") as closed:
        second.roots()
    assert not isinstance(closed.value, GalleryDamagedError)


def test_any_thread_may_read_while_one_writes(catalog: Catalog) -> None:
    errors: list[Exception] = []

    def read() -> None:
        try:
            for _ in range(100):
                counts = catalog.counts()
                assert counts["images"] == counts["files"]
                catalog.files_of([number(1), number(2)])
        except Exception as error:  # noqa: BLE001 - it fails the test, in its own thread
            errors.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for i in range(100):
        put(catalog, Path("/p"), b"%d" % i, i)
    for thread in threads:
        thread.join()
    assert errors == []


OPEN = """
import sys
from pathlib import Path
from glocal.gallery.catalog import Catalog
print("ready", flush=True)
for name in sys.stdin:
    Catalog(Path(name.strip())).close()
    print("opened", flush=True)
"""


def test_many_processes_may_make_one_catalogue(tmp_path: Path) -> None:
    """The switch of a new file to write-ahead logging does not wait for others by itself."""
    openers = [
        subprocess.Popen([sys.executable, "-c", OPEN], stdin=-1, stdout=-1, stderr=-1, text=True)
        for _ in range(4)
    ]
    try:
        for opener in openers:
            assert opener.stdout is not None
            assert opener.stdout.readline() == "ready\n"
        for attempt in range(25):
            for opener in openers:
                assert opener.stdin is not None
                opener.stdin.write(f"{tmp_path / f'{attempt}.sqlite'}\n")
                opener.stdin.flush()
            for opener in openers:
                assert opener.stdout is not None
                if opener.stdout.readline() != "opened\n":
                    pytest.fail(opener.communicate()[1])
    finally:
        for opener in openers:
            opener.kill()
            opener.communicate()
