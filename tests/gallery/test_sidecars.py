"""Files of XMP beside photos, which say what these do not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from image_folders import image

from glocal.gallery import Gallery

XMP = (
    '<rdf:Description exif:DateTimeOriginal="2019-05-03T10:30:00" '
    'exif:GPSLatitude="48,51.5N" exif:GPSLongitude="2,17.67E"/>'
)


@pytest.mark.parametrize("sidecar", ["a.xmp", "a.jpg.xmp"])
def test_a_sidecar_says_when_and_where(
    open_gallery: Callable[..., Gallery], tmp_path: Path, sidecar: str
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    (photos / "a.jpg").write_bytes(image(1))
    (photos / sidecar).write_text(XMP)
    (photos / "b.jpg").write_bytes(image(2, taken="2001:01:01 01:01:01"))
    (photos / "b.xmp").write_text(XMP)
    gallery = open_gallery()
    assert gallery.add(photos).added == 2
    (found,) = gallery.search(image(1), where="taken = 2019-05-03T10:30").hits
    assert found.path.name == "a.jpg"
    assert found.position == pytest.approx((48.858, 2.2945), abs=1e-3)
    (found,) = gallery.search(image(2), where="taken = 2001").hits
    assert found.position == pytest.approx((48.858, 2.2945), abs=1e-3)
