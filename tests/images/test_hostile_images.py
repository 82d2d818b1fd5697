from __future__ import annotations

import io
import os
import struct
import sys
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_samples import DATA, FORMATS, encode, pattern, sample
from mutated_files import MUTATED, SMALL, fuzz
from PIL import Image, WebPImagePlugin

from glocal.errors import ImageError
from glocal.images import load
from glocal.images.faults import as_image_error
from glocal.images.jpeg import _starts_of_scans, count_scans


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("keep", [0.1, 0.4, 0.9])
def test_truncated_is_an_image_error(format_name: str, keep: float) -> None:
    data = sample(format_name)
    if keep > 0.5 and format_name in ("JPEG", "PNG"):
        assert 0.8 <= load(data[: int(len(data) * keep)]).share < 1
        return
    with pytest.raises(ImageError, match=r"truncated|damaged") as caught:
        load(data[: int(len(data) * keep)])
    assert "BytesIO" not in str(caught.value)


@pytest.mark.parametrize("min_side", [None, 16])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_truncated_jpeg_says_so_on_every_path(
    min_side: int | None, mode: str, progressive: bool
) -> None:
    image = Image.fromarray(pattern()).convert(mode)
    data = encode(image, "JPEG", quality=95, progressive=progressive)
    with pytest.raises(ImageError, match=r"^truncated JPEG"):
        load(data[: data.index(b"\xff\xda") + 40], min_side=min_side)


def test_stray_bytes_between_markers_are_read_past() -> None:
    data = sample("JPEG")
    assert np.array_equal(load(data[:-2] + b"\x13\x37" + data[-2:]).array, load(data).array)


def bomb(format_name: str) -> bytes:
    """A small file whose header claims far more pixels than there are."""
    data = bytearray(sample(format_name))
    if format_name == "PNG":
        data[16:24] = struct.pack(">II", 60_000, 60_000)
        data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    elif format_name == "GIF":
        data[6:10] = struct.pack("<HH", 65_535, 65_535)
    elif format_name == "BMP":
        data[18:26] = struct.pack("<ii", 60_000, 60_000)
    elif format_name == "JPEG":
        at = data.index(b"\xff\xc0")
        data[at + 5 : at + 9] = struct.pack(">HH", 65_500, 65_500)
    elif format_name == "PPM":
        data = bytearray(b"P6 60000 60000 255\n" + bytes(100))
    elif format_name == "TIFF":
        data = bytearray(encode(Image.new("1", (60, 60)), "TIFF", compression="group4"))
        start = struct.unpack_from("<I", data, 4)[0]
        for at in range(start + 2, start + 2 + 12 * data[start], 12):
            if struct.unpack_from("<H", data, at)[0] in (256, 257):
                data[at + 2 : at + 12] = struct.pack("<HII", 4, 1, 60_000)
    return bytes(data)


@pytest.mark.parametrize("format_name", ["PNG", "GIF", "BMP", "JPEG", "PPM", "TIFF"])
def test_bomb_is_refused_by_its_header(format_name: str) -> None:
    with pytest.raises(ImageError, match=r"too large: 6\d,?\d{3} x 6.*--max-pixels"):
        load(bomb(format_name))


def test_a_negative_or_empty_size_is_refused() -> None:
    with pytest.raises(ImageError):
        load(b"P6 0 0 255\n")
    data = bytearray(sample("PNG"))
    data[16:20] = bytes(4)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    with pytest.raises(ImageError):
        load(bytes(data))


@pytest.mark.parametrize("kind", [b"Exi\xff", b"\xc1\xb1xf", b"mime\xff"])
def test_heif_items_whose_type_is_not_text_are_refused(kind: bytes) -> None:
    data = (DATA / "orientation6.heic").read_bytes()
    at = data.index(b"infe", data.index(b"infe") + 4) + 12
    assert data[at : at + 4] == b"Exif"
    with pytest.raises(ImageError, match="type isn't text"):
        load(data[:at] + kind + data[at + len(kind) :])


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"zTXt", b"Comment\x00\x00" + zlib.compress(bytes(80_000_000))),
        chunk(b"iCCP", b"bomb\x00\x00" + zlib.compress(bytes(80_000_000))),
        chunk(b"iTXt", b"Comment\x00\x01\x00\x00\x00" + zlib.compress(bytes(80_000_000))),
        chunk(b"tEXt", b"Raw profile type exif\x00" + b"\nexif\n99999999\n" + b"zz" * 100),
        chunk(b"eXIf", b"MM\x00*\x00\x00\x00\x08\xff\xff" + b"\x01" * 1000),
    ],
    ids=["zTXt", "iCCP", "iTXt", "raw-exif", "eXIf"],
)
def test_bombs_in_png_chunks_give_the_image_or_an_error(extra: bytes) -> None:
    data = sample("PNG")
    if extra[4:8] in (b"zTXt", b"iTXt", b"iCCP"):
        with pytest.raises(ImageError, match=r"damaged PNG: Decompressed data too large"):
            load(data[:33] + extra + data[33:])
    else:
        assert np.array_equal(load(data[:33] + extra + data[33:]).array, pattern())


def test_thousands_of_scans_are_refused_and_counted_right() -> None:
    data = encode(pattern(), "JPEG", progressive=True)
    scans = count_scans(data)
    assert 6 <= scans <= 20
    assert count_scans(sample("JPEG")) == 1
    assert count_scans(data + b"\xff\xda" * 1000) == scans  # a video behind the end
    thumbnail = b"\xff\xe2" + struct.pack(">H", 3002) + b"\xff\xda" * 1500
    assert count_scans(data[:2] + thumbnail + data[2:]) == scans
    assert np.array_equal(load(data[:2] + thumbnail + data[2:]).array, load(data).array)
    last = data.rindex(b"\xff\xda")
    with pytest.raises(ImageError, match="more than 500 scans"):
        load(data[:-2] + data[last:-2] * 500 + data[-2:])


def test_the_callers_own_pillow_limit_is_neither_used_nor_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9000)  # 128 x 96 is above it: a warning
    for format_name in FORMATS:
        assert load(sample(format_name)).facts.width == 128
    assert Image.MAX_IMAGE_PIXELS == 9000
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)  # above twice the limit: Pillow refuses
    for format_name in ("JPEG", "PNG", "BMP", "PPM", "HEIF", "AVIF"):
        assert load(sample(format_name), region=(0, 0, 0.5, 0.5)).facts.width == 128
    with pytest.raises(ImageError, match="MAX_IMAGE_PIXELS"):
        load(sample("TIFF"))


@pytest.mark.parametrize("name", ["EPS", "PDF", "ICNS", "PCX", "SGI", "TGA", "ICO"])
def test_formats_outside_the_list_are_not_opened(name: str) -> None:
    with pytest.raises(ImageError, match="unsupported format"):
        load(encode(pattern(), name))


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (OSError("image file is truncated (3 bytes not processed)"), "truncated X: image file is"),
        (EOFError(), "truncated X: EOFError"),
        (KeyError(273), "damaged X: KeyError 273"),
        (ValueError("bad <_io.BytesIO object at 0x7f00> here"), "damaged X: bad here"),
        (OSError("cannot open '/tmp/abc/secret.png'"), "damaged X: cannot open"),
        (RuntimeError("a\nb\x1b[0m"), "damaged X: RuntimeError a b"),
        (MemoryError(), "too large: there isn't enough memory"),
        (ZeroDivisionError("division by zero"), "damaged X: ZeroDivisionError division by zero"),
        (ValueError("long " * 500), "damaged X: long long"),
    ],
)
def test_whatever_a_decoder_raises_is_said_in_one_short_line(error: Exception, text: str) -> None:
    said = str(as_image_error(error, "X"))
    assert said.startswith(text)
    assert len(said) < 160
    assert said.isprintable()


@pytest.mark.parametrize("error", [RuntimeError("x"), MemoryError(), RecursionError(), KeyError(1)])
def test_no_decoder_exception_gets_out(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    sources = (sample("WEBP"), Image.new("P", (3, 3)))
    for kind in (Image.Image, WebPImagePlugin.WebPImageFile):
        monkeypatch.setattr(kind, "load", fail)
    for source in sources:
        with pytest.raises(ImageError) as caught:
            load(source)
        assert caught.value.__cause__ is error


@pytest.mark.parametrize("format_name", MUTATED)
def test_mutated_files_give_an_image_or_an_image_error(format_name: str) -> None:
    outcome = fuzz(format_name, 300, seed=1)
    assert outcome["refused"] > 30
    assert outcome["images"] > 3


@pytest.mark.slow
@pytest.mark.parametrize("format_name", MUTATED)
def test_mutated_files_by_the_thousand(format_name: str) -> None:
    fuzz(format_name, int(os.environ.get("GLOCAL_FUZZ_COUNT", "3000")), seed=2)


def test_random_bytes_behind_every_magic() -> None:
    rng = np.random.default_rng(3)
    for format_name in FORMATS:
        for size in (0, 1, 5, 40, 3000):
            with pytest.raises(ImageError):
                load(sample(format_name)[:12] + rng.bytes(size), limits=SMALL)


def test_decoders_print_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    for format_name in FORMATS:
        # libtiff, and dav1d for AVIF, write to stderr themselves; Pillow cannot stop them.
        if format_name not in ("TIFF", "AVIF"):
            fuzz(format_name, 40, seed=4)
    sys.stderr.flush()
    said = capfd.readouterr()
    assert said.out == ""
    assert said.err == ""


def test_an_endless_stream_is_cut_off() -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            return b"x" * size

    with pytest.raises(ImageError, match="--max-bytes"):
        load(Endless(), limits=SMALL)  # type: ignore[arg-type]


BYTES = st.sampled_from([b"\xff", b"\xda", b"\x00"])


@given(st.lists(BYTES, min_size=2, max_size=40).map(b"".join))
def test_starts_of_scans_are_counted_at_even_and_odd_places(data: bytes) -> None:
    assert _starts_of_scans(data) == data.count(b"\xff\xda")
