"""Drawings as queries of a gallery, before and after it has learnt from its photos."""

from __future__ import annotations

import numpy as np
import pytest
from image_folders import write_images
from PIL import Image

from glocal.errors import GalleryError, ImageError, QueryError
from glocal.images import Limits
from glocal.query.drawings import line_drawing


@pytest.fixture
def gallery(open_gallery, tmp_path):
    write_images(tmp_path / "photos", 24)
    opened = open_gallery()
    opened.add(tmp_path / "photos")
    return opened


def test_a_drawing_is_compared_as_it_is_until_the_gallery_has_learnt(gallery, tmp_path):
    drawing = line_drawing(np.asarray(Image.open(tmp_path / "photos" / "p0003.png")))
    plain = gallery.search_sketch(drawing, limit=24)
    assert (len(plain), plain.found, plain.query) == (24, None, "<sketch>")
    assert not gallery.knows_sketches()
    with pytest.raises(QueryError, match=r"any view has to be learnt first.*glocal sketches"):
        gallery.search_sketch(drawing, any_view=True)
    told = []
    assert gallery.learn_sketches(told.append) == 24
    assert [(each.done, each.total) for each in told] == [(at, 24) for at in range(24)]
    assert gallery.knows_sketches()
    learnt = gallery.search_sketch(drawing, limit=24)
    other = gallery.search_sketch(drawing, any_view=True, limit=24)
    scores = [{hit.id: hit.score for hit in each} for each in (plain, learnt, other)]
    assert scores[0] != scores[1] != scores[2]
    inside = gallery.search_sketch(drawing, where="width < 10")
    assert len(inside) == 0


def test_what_was_learnt_is_used_by_the_next_who_opens_the_gallery(gallery, open_gallery, tmp_path):
    gallery.learn_sketches()
    Image.fromarray(line_drawing(np.zeros((24, 32, 3), np.uint8) + 255)).save(tmp_path / "d.png")
    again = open_gallery(create=False)
    assert again.knows_sketches()
    with pytest.raises(QueryError, match="the sketch is empty"):
        again.search_sketch(tmp_path / "d.png")
    (gallery.folder / "sketches.npz").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(GalleryError, match=r"damaged; to learn .* glocal sketches"):
        again.knows_sketches()
    gallery.learn_sketches()
    assert again.knows_sketches()


def test_too_few_photos_to_learn_from_are_refused(open_gallery, tmp_path):
    write_images(tmp_path / "few", 3)
    opened = open_gallery()
    opened.add(tmp_path / "few")
    with pytest.raises(GalleryError, match="3 photos of the gallery can be read, too few"):
        opened.learn_sketches()


def test_errors_name_the_drawing_and_limits_hold(gallery, open_gallery, tmp_path):
    with pytest.raises(ImageError, match=r"none\.png: no such file"):
        gallery.search_sketch(tmp_path / "none.png")
    narrow = open_gallery(limits=Limits(max_pixels=100))
    with pytest.raises(ImageError, match=r"p0003\.png: .*pixels"):
        narrow.search_sketch(tmp_path / "photos" / "p0003.png")
    with pytest.raises(GalleryError, match="0 photos of the gallery can be read"):
        narrow.learn_sketches()
