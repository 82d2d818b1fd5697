"""Queries that are made once and searched with, and vectors without an image."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from image_folders import pixels, write_images

from glocal.errors import ModelMismatchError, QueryError
from glocal.gallery import Gallery, Hit, Query
from glocal.gallery.query import combine
from glocal.gallery.results import plain

Opener = Callable[..., Gallery]


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    write_images(tmp_path / "photos", 8)
    return tmp_path / "photos"


@pytest.fixture
def gallery(open_gallery: Opener, photos: Path) -> Gallery:
    opened = open_gallery()
    opened.add(photos)
    return opened


def ids(result: object) -> list[str]:
    return [hit.id for hit in result]  # type: ignore[attr-defined]


def test_a_finished_query_finds_what_its_image_finds(gallery: Gallery, photos: Path) -> None:
    path = photos / "p0003.png"
    query = gallery.query(path)
    assert query.name == str(path)
    assert query.pixels is not None
    assert query.size == query.pixels.shape[1::-1]
    first = gallery.search(query)
    assert [plain(hit) for hit in first] == [plain(hit) for hit in gallery.search(path)]
    assert gallery.search(query).hits == first.hits  # any number of times


def test_a_vector_alone_is_searched_with(gallery: Gallery, photos: Path) -> None:
    query = gallery.query(photos / "p0005.jpg")
    result = gallery.search_vector(query.vector * 7)
    assert ids(result) == ids(gallery.search(query, verify=False, regions=False))
    assert result.hits[0].score == pytest.approx(1, abs=1e-3)
    assert all(hit.evidence is None for hit in result)


def test_later_stages_run_on_what_a_query_has(gallery: Gallery, photos: Path) -> None:
    query = gallery.query(photos / "p0002.jpg")
    bare = dataclasses.replace(query, features=None, size=None, pixels=None, identity=None)
    assert ids(gallery.search(bare, verify=False)) == ids(gallery.search(query, verify=False))
    assert all(hit.evidence is None for hit in gallery.search(bare))
    with pytest.raises(QueryError, match="search for small objects"):
        gallery.search(bare, small_objects=True)


def test_a_hit_is_searched_with(gallery: Gallery, photos: Path) -> None:
    hit = gallery.search(photos / "p0001.jpg").hits[1]
    again = gallery.search(hit)
    assert again.hits[0].id == hit.id
    assert again.query == str(hit.path)


def test_examples_belong_to_the_making_of_a_query(gallery: Gallery, photos: Path) -> None:
    query = gallery.query(photos / "p0001.jpg", like=[photos / "p0002.jpg"])
    both = gallery.search(photos / "p0001.jpg", like=[photos / "p0002.jpg"], verify=False)
    assert ids(gallery.search(query, verify=False)) == ids(both)
    with pytest.raises(QueryError, match=r"Gallery\.query"):
        gallery.search(query, unlike=[photos / "p0003.png"])


@pytest.mark.parametrize("bad", [np.zeros(8), np.ones(3), np.full(8, np.nan), "text", None])
def test_a_vector_that_is_none_is_refused(gallery: Gallery, bad: object) -> None:
    if isinstance(bad, np.ndarray) and bad.shape == (8,):
        bad = np.resize(bad, gallery.model.dim)
    with pytest.raises(QueryError, match="the query vector"):
        gallery.search_vector(bad)  # type: ignore[arg-type]


def test_vectors_of_another_space_are_refused(gallery: Gallery) -> None:
    with pytest.raises(ModelMismatchError, match="belongs to the space 'other'"):
        gallery.search_vector(np.ones(gallery.model.dim), space="other")


def test_limit_counts_images_however_many_files_hold_them(
    gallery: Gallery, photos: Path, tmp_path: Path
) -> None:
    data = (photos / "p0004.jpg").read_bytes()
    for number in range(300):
        path = tmp_path / "copies" / str(number) / "again.png"
        path.parent.mkdir(parents=True)
        path.write_bytes(data)
    gallery.add(tmp_path / "copies")
    result = gallery.search(photos / "p0004.jpg", limit=3)
    assert len(result) == 3
    assert len(result.hits[0].paths) == 301
    assert len({hit.id for hit in result}) == 3
    assert [hit.rank for hit in result] == [1, 2, 3]


def test_a_hit_says_all_that_the_catalogue_knows(gallery: Gallery, photos: Path) -> None:
    hit = gallery.search(photos / "p0006.png").hits[0]
    path = photos / "p0006.png"
    assert (hit.path, hit.paths, hit.bytes) == (path, (path,), path.stat().st_size)
    assert (hit.width, hit.height) == (32, 24)
    assert hit.space == gallery.space
    assert hit.scores["vector"] == hit.score
    content = UUID(hit.id)
    assert gallery._catalog.files_of([content])[content][0][1] == path
    assert json.loads(json.dumps(plain(hit))).keys() == {f.name for f in dataclasses.fields(Hit)}


@pytest.mark.parametrize(("positive", "total"), [(1, 1), (2, 2), (1, 3), (3, 5)])
def test_examples_are_combined_as_rocchio_says(positive: int, total: int) -> None:
    rng = np.random.default_rng(total)
    vectors = rng.normal(size=(total, 6)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    expected = np.zeros(6)
    for row in vectors[:positive]:
        expected += row / positive
    for row in vectors[positive:]:
        expected -= 0.5 * row / (total - positive)
    np.testing.assert_allclose(
        combine(vectors, positive), expected / np.linalg.norm(expected), atol=1e-6
    )


def test_examples_that_cancel_out_leave_the_query(gallery: Gallery) -> None:
    one = np.array([[1, 0], [-1, 0]], np.float32)
    np.testing.assert_array_equal(combine(one, 2), [1, 0])
    image = pixels(3)
    assert isinstance(gallery.query(image), Query)
