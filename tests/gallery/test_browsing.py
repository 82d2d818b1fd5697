"""Browsing gives what looking at every image gives."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy_store import matches

from catalog_places import Places
from glocal.errors import QueryError
from glocal.gallery import browsing
from glocal.gallery.browsing import Browser, Order
from glocal.gallery.catalog import Catalog, Content, FileState
from glocal.gallery.conditions import (
    AllOf,
    AnyOf,
    Between,
    CameraIn,
    Condition,
    InFolder,
    Near,
    NotThis,
)
from glocal.gallery.facets import read_facets
from glocal.gallery.records import Record
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.flat import FlatStore

FOLDERS = [Path("/a"), Path("/a/b"), Path("/a/b/c"), Path("/d"), Path("/a b")]
IMAGES = 60


@pytest.fixture(scope="module")
def catalog(places: Places, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Catalog]:
    """Sixty images, some undated, some without a place, a third with copies elsewhere."""
    random = np.random.default_rng(0)
    opened = Catalog(places.new()(30))
    numbers = [opened.folder(path) for path in FOLDERS]
    contents, files = [], []
    for number in range(IMAGES):
        content = UUID(bytes=random.bytes(16))
        dated, placed = random.random(2) < 0.7
        contents.append(
            Content(
                content,
                width=int(random.integers(1, 5)) * 1000,
                height=int(random.integers(1, 5)) * 1000,
                bytes=int(random.integers(1, 10**7)),
                taken=int(random.integers(0, 20)) * 5_000_000 if dated else None,
                camera=[None, "Canon", "Nikon"][int(random.integers(3))],
                latitude=float(random.integers(-80, 80)) if placed else None,
                longitude=float(random.integers(-180, 180)) if placed else None,
            )
        )
        for copy in range(1 + (number % 3 == 0) * 2):
            folder = numbers[int(random.integers(len(numbers)))]
            name = f"{int(random.integers(1000)):03}-{number}-{copy}.jpg".encode()
            files.append((folder, FileState(name, 1, 1, content)))
    files.append((numbers[0], FileState(b"broken.jpg", 1, 1, None, "broken")))
    with opened.change():
        opened.put_contents(contents, [])
        opened.put_files(files)
        above = opened.folders_of(content.id for content in contents)
        store = FlatStore(tmp_path_factory.mktemp("vectors"), 4, RowTable(opened, "space"))
        store.upsert(
            [Record(c.id, np.ones(4, np.float32), c.attributes(above[c.id])) for c in contents]
        )
    opened.add_root(Path("/a"))
    opened.add_root(Path("/d"))
    opened.add_root(Path("/a b"))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def browser(catalog: Catalog) -> Browser:
    rows = RowTable(catalog, "space")
    return Browser(lambda: catalog, lambda: rows)


def conditions() -> st.SearchStrategy[Condition]:
    bounds = st.one_of(st.none(), st.integers(0, 5000))
    leaves: st.SearchStrategy[Any] = st.one_of(
        st.builds(InFolder, st.lists(st.integers(1, 6), max_size=2).map(tuple)),
        st.builds(CameraIn, st.lists(st.sampled_from(["Canon", "Nikon"])).map(tuple)),
        st.builds(Between, st.sampled_from(["width", "height"]), bounds, bounds),
        st.builds(Between, st.just("taken"), st.integers(0, 10**8), st.none()),
        st.builds(Near, st.integers(-80, 80), st.integers(-180, 180), st.integers(1, 9000)),
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.builds(NotThis, inner),
            st.builds(AllOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
            st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        ),
        max_leaves=6,
    )


def by_looking(catalog: Catalog, where: Condition | None) -> dict[UUID, list[Path]]:
    """The slow way: every copy of every image against the condition."""
    found: dict[UUID, list[Path]] = {}
    ids = catalog.content_ids()
    contents = catalog.contents(ids)
    for content, copies in catalog.files_of(ids).items():
        for folder, path in copies:
            attributes = contents[content].attributes(catalog.lineage(folder))
            if where is None or matches(where, attributes):
                found.setdefault(content, []).append(path)
    return found


def in_order(
    catalog: Catalog, found: dict[UUID, list[Path]], order: Order, reverse: bool
) -> list[UUID]:
    if order in ("path", "name"):

        def first(i: UUID) -> tuple[bytes, bytes]:
            # As bytes of folder and of name, the order that an index has.
            files = [(bytes(path.parent), path.name.encode()) for path in found[i]]
            return min(files if order == "path" else [file[::-1] for file in files])

        return sorted(found, key=first, reverse=reverse)
    contents = catalog.contents(found)
    rows = dict(catalog.rows("SELECT content, row FROM rows"))

    def key(i: UUID) -> tuple[bool, int, bytes]:
        number = {"taken": contents[i].taken, "bytes": contents[i].bytes, "added": rows[i.bytes]}[
            order
        ]
        return (number is None, (number or 0) * (1 if reverse else -1), i.bytes)

    return sorted(found, key=key)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    where=st.one_of(st.none(), conditions()),
    named=st.sampled_from([None, None, "1", "-2.JPG", "-3", "_", "%", "ä"]),
    way=st.tuples(st.sampled_from(["taken", "path", "name", "bytes", "added"]), st.booleans()),
    walked=st.booleans(),
    size=st.integers(6, 30),
    offset=st.integers(0, 20),
)
def test_pages_are_what_looking_gives(
    catalog: Catalog,
    browser: Browser,
    where: Condition | None,
    named: str | None,
    way: tuple[Order, bool],
    walked: bool,
    size: int,
    offset: int,
) -> None:
    order, reverse = way
    expected = by_looking(catalog, where)
    if named is not None:
        expected = {
            i: fitting
            for i, paths in expected.items()
            if (fitting := [path for path in paths if named.lower() in path.name.lower()])
        }
    wanted = in_order(catalog, expected, order, reverse)
    assert browser.count(where, named) == len(wanted)
    seen: list[UUID] = []
    cursor = None
    options: dict[str, Any] = {
        "limit": size, "order": order, "reverse": reverse, "where": where, "named": named
    }  # fmt: skip
    with pytest.MonkeyPatch.context() as patched:
        if walked:  # as in galleries of more images than are looked up one by one
            patched.setattr(browsing, "_FEW", 7)
        while True:
            page = browser.page(**options, cursor=cursor)
            for shown in page.images:
                seen.append(shown.content.id)
                assert list(shown.paths) == sorted(expected[shown.content.id])
            cursor = page.following
            if cursor is None:
                break
        assert seen == wanted
        later = browser.page(**options, offset=offset)
    assert [one.content.id for one in later.images] == wanted[offset : offset + size]


def test_names_are_compared_whatever_their_case_and_accents(places: Places, tmp_path: Path) -> None:
    with closing(Catalog(places.new()(30))) as catalog:
        content = Content(UUID(int=1), 10, 10, 10, None, None, None, None)
        with catalog.change():
            catalog.put_contents([content], [])
            name = unicodedata.normalize("NFD", "Café 100%.jpg").encode()
            catalog.put_files([(catalog.folder(Path("/a")), FileState(name, 1, 1, content.id))])
            rows = RowTable(catalog, "space")
            store = FlatStore(tmp_path / "vectors", 4, rows)
            store.upsert([Record(content.id, np.ones(4, np.float32), content.attributes((1,)))])
        browser = Browser(lambda: catalog, lambda: rows)
        for text, there in (("café", 1), ("CAFÉ", 1), ("0%", 1), ("1%0", 0), ("fe", 0), ("\\", 0)):
            assert browser.count(named=text) == there, text


def test_what_is_asked_badly_is_refused(browser: Browser) -> None:
    asked: list[dict[str, Any]] = [
        {"limit": 0}, {"limit": 501}, {"limit": 1, "offset": -1}, {"limit": 1, "cursor": ""},
        {"limit": 1, "cursor": "ä"}, {"limit": 1, "cursor": "e30"}, {"limit": 1, "cursor": "WzFd"},
        {"limit": 1, "cursor": "x" * 30_000},
    ]  # fmt: skip
    for options in asked:
        with pytest.raises(QueryError):
            browser.page(**options)
    cursor = browser.page(limit=1, order="taken").following
    with pytest.raises(QueryError):
        browser.page(limit=1, order="path", cursor=cursor)


def test_copies_are_those_with_several_files(catalog: Catalog, browser: Browser) -> None:
    several = {i for i, paths in by_looking(catalog, None).items() if len(paths) > 1}
    first = browser.copies(7)
    rest = browser.copies(1000, first[-1])
    assert len(first) == 7
    assert [*first, *rest] == sorted(several)


def test_files_are_known_by_their_path(catalog: Catalog) -> None:
    for content, paths in by_looking(catalog, None).items():
        for path in paths:
            assert catalog.content_of(path) == content
    assert catalog.content_of(Path("/a/nothing.jpg")) is None
    assert catalog.content_of(Path("/a/broken.jpg")) is None


def test_facets_are_what_counting_gives(catalog: Catalog, browser: Browser) -> None:
    facets = read_facets(browser)
    found = by_looking(catalog, None)
    paths = [path for copies in found.values() for path in copies]
    for folder in facets.folders:
        assert folder.files == sum(path.is_relative_to(folder.path) for path in paths)
    assert {folder.path for folder in facets.folders} == set(FOLDERS)
    parents = {folder.path: folder.parent for folder in facets.folders}
    assert parents[Path("/a/b/c")] == Path("/a/b")
    assert parents[Path("/a b")] is None
    contents = catalog.contents(found).values()
    assert sum(count for _, count in facets.months) == sum(c.taken is not None for c in contents)
    assert facets.undated == sum(c.taken is None for c in contents)
    assert dict(facets.cameras) == {
        name: sum(c.camera == name for c in contents) for name in ("Canon", "Nikon")
    }
    assert sum(p.images for p in facets.places) == sum(c.latitude is not None for c in contents)


def test_the_state_changes_with_the_catalogue(
    open_gallery: Callable[..., Any], tmp_path: Path
) -> None:
    from image_folders import write_images

    gallery = open_gallery()
    browser = gallery.browse()
    before = browser.state()
    assert browser.state() == before
    write_images(tmp_path / "images", 2)
    gallery.add(tmp_path / "images")
    assert browser.state() != before
    assert browser.counts().images == 2
