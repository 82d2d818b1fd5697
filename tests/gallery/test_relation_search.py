"""Two things that stand to each other so, found in photos by their places."""

from __future__ import annotations

import numpy as np
import pytest
from image_folders import scene
from PIL import Image

from glocal.errors import ImageError, QueryError
from glocal.gallery.relation_search import fractions
from glocal.images import Limits

BOXES = {  # of the first thing and of the second one, in 640x640
    "above": ((60, 20, 270, 270), (80, 340, 270, 270)),
    "below": ((60, 350, 270, 270), (40, 30, 270, 270)),
    "left-of": ((10, 150, 270, 270), (340, 190, 280, 280)),
}


def photo(first: Image.Image, second: Image.Image, name: str, back: int) -> Image.Image:
    image = scene(back, 640, 640)
    for thing, (x, y, w, h) in zip((first, second), BOXES[name], strict=True):
        image.paste(thing.resize((w, h)), (x, y))
    return image


@pytest.fixture(scope="module")
def things() -> tuple[Image.Image, Image.Image]:
    return scene(901, 300, 300), scene(902, 300, 300)


@pytest.fixture
def gallery(open_gallery, tmp_path, things):
    folder = tmp_path / "photos"
    folder.mkdir()
    for at, name in enumerate(BOXES):
        photo(*things, name, at).save(folder / f"{name}.jpg", quality=92)
    scene(50).save(folder / "other.jpg")
    opened = open_gallery(model="glocal-lite0", detector="xfeat")
    opened.add(folder)
    return opened


def test_the_photo_with_the_things_in_that_relation_comes_first(gallery, things):
    query = photo(*things, "above", 7)
    found = gallery.search_relation(np.asarray(query), *BOXES["above"], limit=3)
    best = found.hits[0]
    assert best.path.name == "above.jpg"
    assert (found.found, found.matches) == (True, 1)
    for box, wanted in zip((best.box, best.second_box), BOXES["above"], strict=True):
        assert np.allclose(np.array(box) * 640, wanted, atol=20)
    assert best.score > 0.9 > found.hits[1].score
    assert best.score == best.scores["relation"]
    turned = gallery.search_relation(np.asarray(query), *reversed(BOXES["above"]), limit=1)
    assert turned.hits[0].path.name == "above.jpg"
    named = gallery.search_relation(np.asarray(query), *BOXES["above"], relation="left-of")
    assert named.hits[0].path.name == "left-of.jpg"
    none = gallery.search_relation(np.asarray(query), *BOXES["above"], where="width < 600")
    assert {hit.path.name for hit in none} == {"other.jpg"}
    assert none.found is False


def test_what_is_no_pair_of_things_is_refused(open_gallery, tmp_path, things):
    opened = open_gallery()
    with pytest.raises(QueryError, match="the two regions are the same"):
        opened.search_relation(np.asarray(things[0]), (0, 0, 1, 1), (0, 0, 1, 1))
    with pytest.raises(QueryError, match="no relation 'on'"):
        opened.search_relation(
            np.asarray(things[0]), (0, 0, 0.5, 1), (0.5, 0, 0.5, 1), relation="on"
        )
    with pytest.raises(QueryError, match="the limit is 0"):
        opened.search_relation(np.asarray(things[0]), (0, 0, 0.5, 1), (0.5, 0, 0.5, 1), limit=0)


def test_regions_in_pixels_and_in_fractions_are_the_same():
    assert fractions((10, 20, 50, 60), (100, 200)) == fractions((0.1, 0.1, 0.5, 0.3), (100, 200))
    assert fractions((90, 0, 50, 200), (100, 200)) == (0.9, 0.0, 0.1, 1.0)


def test_a_stream_is_read_once_and_within_the_gallery_s_limits(open_gallery, tmp_path):
    scene(1, 64, 64).save(tmp_path / "a.png")
    halves = (0, 0, 0.5, 1), (0.5, 0, 0.5, 1)
    opened = open_gallery()
    opened.add(tmp_path / "a.png")
    with (tmp_path / "a.png").open("rb") as stream:
        assert len(opened.search_relation(stream, *halves)) == len(
            opened.search_relation(tmp_path / "a.png", *halves)
        )
    narrow = open_gallery(limits=Limits(max_pixels=100))
    with pytest.raises(ImageError, match="pixels"):
        narrow.search_relation(tmp_path / "a.png", *halves)
