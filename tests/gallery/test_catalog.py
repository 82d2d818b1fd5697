"""The catalogue by itself: numbers, lineages, transactions, and many at once.

What it promises is the same in an SQLite file and in a PostgreSQL server, so each of these tests is
for both, where a server is installed. What is only SQLite's own comes at the end.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from catalog_places import Places, opened
from glocal.errors import GalleryDamagedError, GalleryError, GalleryLockedError
from glocal.gallery.catalog import Catalog, Content, FileState
from glocal.gallery.database import ALL, Database, engine_at
from glocal.gallery.records import SEVERAL
from glocal.gallery.rows import SCHEMA as ROWS_SCHEMA
from glocal.gallery.texts import Texts


@pytest.fixture
def catalog(places: Places) -> Iterator[Catalog]:
    with closing(opened(places.new())) as made:
        yield made


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
@given(rows=st.lists(st.tuples(paths, names, st.integers(0, 5)), max_size=10), asked=paths)
def test_folders_and_files_agree_with_paths(
    places: Places, rows: list[tuple[list[bytes], bytes, int]], asked: list[bytes]
) -> None:
    """Names are any bytes; what lies below what is told from the paths alone, slowly."""

    def path_of(parts: list[bytes]) -> Path:
        return Path("/", *(part.decode("utf-8", "surrogateescape") for part in parts))

    with closing(opened(places.new())) as catalog:
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


def test_damage_and_trouble_are_told_apart(tmp_path: Path) -> None:
    """Only damage may lead to a repair, which sets the catalogue aside."""
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"no database" * 1000)
    with pytest.raises(GalleryDamagedError, match="check --repair"):
        Catalog(damaged)
    with pytest.raises(GalleryError) as not_there:
        Catalog(tmp_path / "none" / "catalog")
    assert not isinstance(not_there.value, GalleryDamagedError)


def test_a_writer_waits_for_another_and_not_for_ever(places: Places) -> None:
    place = places.new()
    with closing(opened(place)) as first, closing(opened(place, 0)) as second:
        with first.change(), pytest.raises(GalleryLockedError):
            second.set_state("a", "b")
        second.set_state("a", "c")
        assert first.get_state("a") == "c"
    for ask in (second.roots, lambda: second.set_state("a", "b")):
        with pytest.raises(GalleryError, match="closed") as closed:
            ask()
        assert not isinstance(closed.value, GalleryDamagedError)


def test_a_reader_sees_one_moment(places: Places) -> None:
    place = places.new()
    with closing(opened(place)) as one, closing(opened(place)) as other:
        one.set_state("a", "before")
        with one.snapshot() as db:
            asked = "SELECT value FROM state WHERE key = ?", ("a",)
            assert db.execute(*asked).fetchone() == ("before",)
            other.set_state("a", "after")
            assert db.execute(*asked).fetchone() == ("before",)
        assert one.get_state("a") == "after"
        with one.change():
            one.set_state("a", "seen by itself alone")
            assert one.get_state("a") == "seen by itself alone"
            assert other.get_state("a") == "after"


def test_the_stamp_changes_with_every_change(places: Places) -> None:
    place = places.new()
    with closing(opened(place)) as one, closing(opened(place)) as other:
        seen = [other.stamp()]
        for value in "abc":
            one.set_state("key", value)
            seen.append(other.stamp())
        assert len(set(seen)) == 4
        assert other.stamp() == seen[-1]


def test_what_is_there_is_replaced_or_kept(catalog: Catalog) -> None:
    assert catalog.get_state("a") is None
    catalog.set_state("a", "1")
    catalog.set_state("a", "2")
    assert catalog.set_state_once("a", "3") == "2"
    assert catalog.set_state_once("b", "4") == "4"
    content = Content(number(1), 1, 2, 3, None, "a camera", 4.5, -6.25)
    at = catalog.folder(Path("/p"), lambda _: 2**63 + 5)
    assert catalog.folder_device(at) == 2**63 + 5
    assert catalog.folder(Path("/p")) == at
    assert catalog.folder(Path("/p"), lambda _: 7) == at
    assert catalog.folder_device(at) == 7
    first = FileState(b"x", 1, 2**62, content.id, None, None, 2**62 + 1)
    with catalog.change():
        catalog.put_contents([content], [(content.id, b"old")])
        catalog.put_contents([replace(content, taken=-7)], [(content.id, b"\0new")])
        catalog.put_files([(at, first), (at, replace(first, size=9)), (at, first)])
        catalog.put_truncated([(content.id, 0.5), (content.id, 0.75)])
    assert catalog.contents([content.id]) == {content.id: replace(content, taken=-7)}
    assert catalog.local_features([content.id]) == {content.id: b"\0new"}
    assert catalog.files_in(at) == {b"x": first}
    assert catalog.truncated() == {content.id: 0.75}
    assert catalog.counts() == {
        "images": 1,
        "files": 1,
        "failed": 0,
        "with_local_features": 1,
        "local_feature_bytes": 4,
    }
    assert catalog.image_count() == catalog.counts()["images"]


def test_contents_that_no_file_holds_any_more_are_lost(catalog: Catalog) -> None:
    for name in (b"x", b"y", b"z"):
        put(catalog, Path("/p"), name, ord(name))
    at = catalog.find_folder(Path("/p"))
    assert at is not None
    assert catalog.lost(ALL) == []
    put(catalog, Path("/p"), b"x", 1)  # another one in its place
    put(catalog, Path("/p"), b"y", ord("y"))  # the same one
    with catalog.change():
        catalog.put_files([(at, FileState(b"z", 1, 1, None, "no image"))])
    assert set(catalog.lost(ALL)) == {number(ord("x")), number(ord("z"))}
    assert len(catalog.lost(1)) == 1
    with catalog.change():
        catalog.drop_files([(at, b"x")])
        catalog.drop_files([(at, b"x")])
    assert set(catalog.lost(ALL)) == {number(ord("x")), number(ord("z")), number(1)}
    with catalog.change():
        catalog.settle(catalog.lost(ALL))
    assert catalog.lost(ALL) == []
    assert set(catalog.unreferenced()) == {number(ord("x")), number(ord("z")), number(1)}


def test_words_are_marked_whoever_writes(catalog: Catalog) -> None:
    """By the database itself, so that the index of words can follow."""
    texts = Texts(catalog)
    begins = texts.moment()
    assert (begins.last, begins.settled) == (0, 0)

    def marked(change: Callable[[], None]) -> set[UUID]:
        before = texts.moment().last
        with catalog.change():
            change()
        return set(texts.marked(before))

    put(catalog, Path("/p"), b"x", 1)
    put(catalog, Path("/p"), b"y", 2)
    at = catalog.find_folder(Path("/p")) or 0
    file = FileState(b"x", 1, 1, number(1))
    assert texts.marked(0) == [number(1), number(2)]
    assert marked(lambda: catalog.put_files([(at, replace(file, content=number(2)))])) == {
        number(1),
        number(2),
    }
    assert marked(lambda: catalog.note_changed([(at, b"x", 5)])) == set()
    assert marked(lambda: catalog.put_files([(at, replace(file, content=None))])) == {number(2)}
    assert marked(lambda: catalog.drop_files([(at, b"x")])) == set()
    assert marked(lambda: catalog.drop_files([(at, b"y")])) == {number(2)}
    assert marked(lambda: texts.put("caption", [(number(1), "a")])) == {number(1)}
    assert marked(lambda: texts.put("caption", [(number(1), "b"), (number(2), "")])) == {
        number(1),
        number(2),
    }
    assert texts.of([number(1), number(2)]) == {number(1): {"caption": "b"}}
    assert marked(lambda: texts.drop("caption")) == {number(1), number(2)}
    last = texts.moment().last
    texts.settle(last)
    assert (texts.moment().last, texts.moment().settled) == (last, last)
    assert texts.marked(0) == []
    assert texts.moment().catalog == begins.catalog
    put(catalog, Path("/p"), b"z", 3)
    assert texts.moment().last > last


def test_names_and_texts_are_whatever_they_are(catalog: Catalog) -> None:
    long = Path("/", *["n" * 255] * 15)
    for n in (1, 2):
        catalog.add_root(long, ("*.tif",))
        catalog.leave_out(long / str(n))
    assert catalog.roots() == [long]
    assert catalog.left_out().globs == {long: ("*.tif",)}
    assert catalog.left_out().removed == {long / "1", long / "2"}
    catalog.let_in([long / "1"])
    assert catalog.left_out().removed == {long / "2"}
    at = catalog.folder(long)
    assert catalog.find_folder(long) == at
    every = bytes(b for b in range(1, 256) if b != 47)
    camera = "c" * 5000
    content = Content(number(1), 1, 1, 1, None, camera, None, None)
    with catalog.change():
        catalog.put_contents([content], [])
        catalog.put_files([(at, FileState(every, 1, 1, None, "a reason\n'%s' ? $1 \\"))])
        Texts(catalog).put("caption", [(number(1), "with \0 in it")])
    assert catalog.cameras_like("ccc") == (camera,)
    ((path, reason),) = catalog.failures()
    assert (os.fsencode(path.name), reason) == (every, "a reason\n'%s' ? $1 \\")
    assert Texts(catalog).of([number(1)])[number(1)]["caption"].startswith("with ")
    wide = [number(n) for n in (5, 6)]
    with catalog.change():
        for i, size in zip(wide, ((10, 31), (31, 11)), strict=True):
            catalog.put_contents([Content(i, *size, 1, None, None, None, None)], [])
    assert catalog.long_ids(3.0) == [number(5)]
    assert set(catalog.long_ids(2.5)) == set(wide)


def test_a_table_may_come_later(catalog: Catalog) -> None:
    assert not catalog.has_table("another")
    with catalog.change() as db:
        catalog.make("CREATE TABLE IF NOT EXISTS another (a BLOB PRIMARY KEY) WITHOUT ROWID")
        catalog.make("ALTER TABLE another ADD COLUMN b INTEGER")
        db.executemany("INSERT INTO another VALUES (?, ?)", [(b"x", 1), (b"y", None)])
    assert catalog.columns("another") == {"a", "b"}
    assert catalog.rows("SELECT a, b FROM another ORDER BY a") == [(b"x", 1), (b"y", None)]
    assert catalog.problems() == []


def test_another_process_finds_it_by_its_address(catalog: Catalog) -> None:
    catalog.set_state("a", "b")
    address = catalog.engine.address
    with closing(Database(engine_at(address), ROWS_SCHEMA)) as other:
        assert other.value("SELECT value FROM state WHERE key = ?", ("a",)) == "b"
    assert "password" not in address


def test_many_rows_come_one_after_the_other(catalog: Catalog) -> None:
    with catalog.change() as db:
        terms = [(f"{n:05}",) for n in range(3_000)]
        db.executemany("INSERT INTO terms (term) VALUES (?)", terms)
    with catalog.snapshot() as db:
        ordered = "SELECT term FROM terms WHERE term >= ? ORDER BY term"
        with closing(catalog.stream(db, ordered, ("00010",))) as cursor:
            assert cursor.fetchmany(2) == terms[10:12]
            assert cursor.fetchmany(5_000) == terms[12:]


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
