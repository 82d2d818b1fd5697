"""Local features as they are kept, and the small images behind them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glocal.encoders import LocalFeatures
from glocal.errors import GalleryDamagedError
from glocal.gallery import Gallery
from glocal.gallery.packed_features import MOST_BYTES, pack, small_image, unpack
from glocal.gallery.small_images import from_jpeg, shrink, to_jpeg
from glocal.gallery.thumbnails import Thumbnails
from glocal.images import Limits


def some_parts(count: int = 5, dim: int = 8) -> LocalFeatures:
    random = np.random.default_rng(0)
    descriptors = random.normal(size=(count, dim)).astype(np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    scores = np.arange(count, 0, -1, np.float32)
    return LocalFeatures(random.random((count, 2), np.float32), descriptors, scores)


def busy(height: int = 300, width: int = 400) -> np.ndarray:
    random = np.random.default_rng(1)
    coarse = random.integers(0, 256, (height // 10, width // 10, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height)))


def test_a_small_image_stands_behind_the_parts() -> None:
    small = to_jpeg(shrink(busy()))
    packed = pack(some_parts(), small)
    assert small_image(packed) == small
    assert small_image(pack(some_parts())) == b""
    for bytes_ in (packed, pack(some_parts())):
        np.testing.assert_allclose(unpack(bytes_).keypoints, some_parts().keypoints, atol=1e-4)


def test_parts_of_older_galleries_are_read() -> None:
    older = b"\x01" + pack(some_parts(), bits=8)[1:]
    assert len(unpack(older)) == 5
    assert small_image(older) == b""
    with pytest.raises(GalleryDamagedError, match="glocal check"):
        unpack(older + b"more")  # they had nothing behind them


@pytest.mark.parametrize("cut", [0, 3, 5, 30])
def test_parts_that_were_cut_short_are_damaged(cut: int) -> None:
    with pytest.raises(GalleryDamagedError, match="glocal check"):
        unpack(pack(some_parts())[:cut])
    with pytest.raises(GalleryDamagedError, match="glocal check"):
        small_image(pack(some_parts())[:cut])


def test_no_image_takes_more_than_it_may() -> None:
    noise = np.random.default_rng(2).integers(0, 256, (128, 128), dtype=np.uint8)
    assert small_image(pack(some_parts(128, 64), to_jpeg(noise))) == b""
    assert len(pack(some_parts(128, 48), to_jpeg(shrink(busy())))) <= MOST_BYTES


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (2000, 2), (300, 400)])
def test_any_shape_is_small(shape: tuple[int, int]) -> None:
    small = shrink(np.full((*shape, 3), 77, np.uint8))
    assert small.ndim == 2
    assert small.size <= 2.1 * 128 * 128
    back = from_jpeg(to_jpeg(small))
    assert back is not None
    np.testing.assert_allclose(back, 77, atol=1)


def test_damaged_bytes_are_no_image() -> None:
    good = to_jpeg(shrink(busy()))
    assert from_jpeg(b"") is None
    assert from_jpeg(b"no image") is None
    assert from_jpeg(good[: len(good) // 2]) is None
    large = to_jpeg(np.zeros((3000, 3000), np.uint8))
    assert from_jpeg(large) is None


def test_the_gallery_keeps_them_and_older_ones_read_the_file(tmp_path: Path) -> None:
    Image.fromarray(busy()).save(tmp_path / "a.png")
    with Gallery(tmp_path / "gallery") as gallery:
        gallery.add(tmp_path / "a.png")
        catalog = gallery._catalog
        (content,) = catalog.content_ids()
        packed = catalog.local_features([content])[content]
        kept = from_jpeg(small_image(packed))
        assert kept is not None
        expected = shrink(busy()).astype(np.float32)
        assert np.abs(kept - expected).mean() < 4
        found = Thumbnails(catalog, Limits()).of(content)
        np.testing.assert_array_equal(found, kept)
        with catalog.change():
            catalog.put_contents([], [(content, pack(unpack(packed)))])
        read = Thumbnails(catalog, Limits()).of(content)
        assert read is not None
        assert np.abs(read - expected).mean() < 4
        (tmp_path / "a.png").unlink()
        assert Thumbnails(catalog, Limits()).of(content) is None
