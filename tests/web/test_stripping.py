"""Taking metadata out leaves every pixel where it was."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from running import exif, photo

from glocal.images import load
from glocal.web.stripping import media_type, strip

SECRET = b"a secret that must not leave"


def jpeg(**more: object) -> bytes:
    return photo(1, exif=exif(place=True, camera="Secret 1"), comment=SECRET, **more)


@pytest.mark.parametrize("more", [{}, {"progressive": True}, {"quality": 100, "subsampling": 0}])
@pytest.mark.parametrize("held", range(1, 9))
def test_jpeg(more: dict[str, object], held: int) -> None:
    whole = jpeg(icc_profile=b"profile" * 20_000, **more) + b"trailer" + SECRET
    plain = strip(whole, held)
    assert plain is not None
    assert SECRET not in plain
    assert b"Secret 1" not in plain
    with Image.open(io.BytesIO(plain)) as image, Image.open(io.BytesIO(whole)) as before:
        np.testing.assert_array_equal(np.asarray(image), np.asarray(before))
        assert image.info["icc_profile"] == before.info["icc_profile"]
        assert image.getexif().get(0x0112, 1) == held


def test_jpeg_with_restarts_and_padding() -> None:
    whole = jpeg(restart_marker_blocks=2)
    padded = whole[:2] + b"\xff\xff" + whole[2:]
    plain = strip(padded, 1)
    assert plain is not None
    np.testing.assert_array_equal(load(plain).array, load(whole).array)


@pytest.mark.parametrize("held", [1, 6])
def test_png(held: int) -> None:
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", SECRET.decode())
    text.add_itxt("XML:com.adobe.xmp", SECRET.decode())
    whole = photo(1, kind="PNG", pnginfo=text, exif=exif(place=True, held=held), dpi=(72, 72))
    plain = strip(whole, held)
    assert plain is not None
    assert SECRET not in plain
    np.testing.assert_array_equal(load(plain).array, load(whole).array)
    assert load(plain).facts.latitude is None


@pytest.mark.parametrize("held", [1, 6])
@pytest.mark.parametrize("lossless", [True, False])
def test_webp(held: int, lossless: bool) -> None:
    block = exif(place=True, held=held)
    whole = photo(1, kind="WEBP", exif=block, xmp=SECRET, lossless=lossless)
    plain = strip(whole, held)
    assert plain is not None
    assert SECRET not in plain
    np.testing.assert_array_equal(load(plain).array, load(whole).array)
    assert load(plain).facts.latitude is None


def test_other_formats_are_left_to_others() -> None:
    for kind in ("GIF", "TIFF", "BMP"):
        assert strip(photo(1, kind=kind), 1) is None
    assert media_type(photo(1, kind="GIF")) == "image/gif"
    assert media_type(photo(1, kind="TIFF")) is None


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["JPEG", "PNG", "WEBP"]), st.data())
def test_damage_is_refused_or_harmless(kind: str, data: st.DataObject) -> None:
    whole = bytearray(photo(1, kind=kind))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] = data.draw(st.integers(0, 255))
    cut = bytes(whole[: data.draw(st.integers(0, len(whole)))])
    plain = strip(cut, 6)
    assert plain is None or len(plain) <= len(cut) + 60
