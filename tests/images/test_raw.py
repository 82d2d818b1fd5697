from __future__ import annotations

import importlib.util
import struct
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
from image_samples import difference, encode, exif_of, pattern, turned

from glocal.errors import ImageError
from glocal.images import load
from glocal.images.raw import is_raw_tiff


def dng(preview: bytes, orientation: int = 1) -> bytes:
    """A small DNG: a JPEG preview in the first directory, 64 x 48 sensor values in the second."""
    width, height = 64, 48
    sensor = np.full((height, width), 2000, "<u2").tobytes()

    def directory(at: int, entries: list[tuple[int, int, int, bytes]]) -> bytes:
        body, extra, beyond = b"", b"", at + 2 + 12 * len(entries) + 4
        for tag, kind, count, value in sorted(entries):
            if len(value) > 4:
                field = struct.pack("<I", beyond + len(extra))
                extra += value + b"\x00" * (len(value) % 2)
            else:
                field = value.ljust(4, b"\x00")
            body += struct.pack("<HHI", tag, kind, count) + field
        return struct.pack("<H", len(entries)) + body + bytes(4) + extra

    def short(value: int) -> bytes:
        return struct.pack("<H", value)

    def long(value: int) -> bytes:
        return struct.pack("<I", value)

    def build(sub: int, strip: int, pixels: int) -> tuple[bytes, bytes]:
        first = [
            (254, 4, 1, long(1)),
            (256, 4, 1, long(128)),
            (257, 4, 1, long(96)),
            (258, 3, 3, struct.pack("<3H", 8, 8, 8)),
            (259, 3, 1, short(7)),
            (262, 3, 1, short(6)),
            (271, 2, 7, b"Glocal\x00"),
            (272, 2, 5, b"Test\x00"),
            (273, 4, 1, long(strip)),
            (274, 3, 1, short(orientation)),
            (277, 3, 1, short(3)),
            (278, 4, 1, long(96)),
            (279, 4, 1, long(len(preview))),
            (330, 4, 1, long(sub)),
            (50706, 1, 4, b"\x01\x04\x00\x00"),
            (50708, 2, 12, b"Glocal Test\x00"),
            (50721, 10, 9, struct.pack("<18i", *[v for i in range(9) for v in (i % 4 == 0, 1)])),
            (50728, 5, 3, struct.pack("<6I", 1, 1, 1, 1, 1, 1)),
            (50778, 3, 1, short(21)),
        ]
        second = [
            (254, 4, 1, long(0)),
            (256, 4, 1, long(width)),
            (257, 4, 1, long(height)),
            (258, 3, 1, short(16)),
            (259, 3, 1, short(1)),
            (262, 3, 1, short(32803)),
            (273, 4, 1, long(pixels)),
            (277, 3, 1, short(1)),
            (278, 4, 1, long(height)),
            (279, 4, 1, long(len(sensor))),
            (33421, 3, 2, struct.pack("<2H", 2, 2)),
            (33422, 1, 4, b"\x00\x01\x01\x02"),
        ]
        return directory(8, first), directory(sub, second)

    one, two = build(0, 0, 0)
    sub = 8 + len(one)
    strip = sub + len(two)
    pixels = strip + len(preview) + len(preview) % 2
    one, two = build(sub, strip, pixels)
    return b"II*\x00\x08\x00\x00\x00" + one + two + preview.ljust(pixels - strip, b"\x00") + sensor


def fake_rawpy(flip: int, preview: object, *, jpeg: bool = True) -> ModuleType:
    """As much of rawpy as glocal uses, for the machines that do not have it."""

    class NoThumbnailError(Exception): ...

    class UnsupportedThumbnailError(Exception): ...

    class Raw:
        sizes = SimpleNamespace(flip=flip)

        def __enter__(self) -> Raw:
            return self

        def __exit__(self, *_: object) -> None: ...

        def extract_thumb(self) -> object:
            if preview is None:
                raise NoThumbnailError
            return SimpleNamespace(format="jpeg" if jpeg else "bitmap", data=preview)

    module = ModuleType("rawpy")
    module.imread = lambda _file: Raw()
    module.ThumbFormat = SimpleNamespace(JPEG="jpeg", BITMAP="bitmap")
    module.LibRawNoThumbnailError = NoThumbnailError
    module.LibRawUnsupportedThumbnailError = UnsupportedThumbnailError
    return module


def preview_of(orientation: int) -> bytes:
    # With an EXIF orientation that contradicts: the RAW file's own word counts, once.
    return encode(turned(pattern(), orientation), "JPEG", quality=95, exif=exif_of(2))


@pytest.mark.parametrize(("flip", "orientation"), [(0, 1), (3, 3), (5, 8), (6, 6)])
def test_preview_is_turned_as_the_raw_file_says(
    flip: int, orientation: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    preview = preview_of(orientation)
    monkeypatch.setitem(sys.modules, "rawpy", fake_rawpy(flip, preview))
    data = dng(preview, orientation)
    image = load(data)
    assert difference(image.array, pattern()) < 4.0
    assert (image.facts.width, image.facts.height) == (128, 96)
    assert (image.facts.format, image.facts.bytes) == ("RAW", len(data))


def test_without_the_extra_the_error_has_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", None)
    with pytest.raises(ImageError, match=r'pip install "glocal\[raw\]"'):
        load(dng(preview_of(1)))


def test_previews_glocal_cannot_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rawpy", fake_rawpy(0, None))
    with pytest.raises(ImageError, match="has no preview"):
        load(dng(preview_of(1)))
    monkeypatch.setitem(sys.modules, "rawpy", fake_rawpy(0, np.zeros((4, 4, 3)), jpeg=False))
    with pytest.raises(ImageError, match="isn't a JPEG"):
        load(dng(preview_of(1)))
    monkeypatch.setitem(sys.modules, "rawpy", fake_rawpy(0, b"no jpeg at all"))
    with pytest.raises(ImageError, match="RAW"):
        load(dng(preview_of(1)))


def test_raw_tiff_and_plain_tiff_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = encode(pattern(), "TIFF")
    assert is_raw_tiff(dng(preview_of(1)))
    assert not is_raw_tiff(plain)
    assert not is_raw_tiff(b"II*\x00")
    assert not is_raw_tiff(b"MM\x00*\x00\x00\x00\x08\xff\xff")
    # Inside a file named .nef a TIFF is camera RAW, whatever its first directory says.
    monkeypatch.setitem(sys.modules, "rawpy", None)
    path = tmp_path / "photo.nef"
    path.write_bytes(plain)
    with pytest.raises(ImageError, match="without rawpy"):
        load(path)


@pytest.mark.skipif(importlib.util.find_spec("rawpy") is None, reason="rawpy is not installed")
@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_dng_through_the_real_rawpy(orientation: int) -> None:
    image = load(dng(preview_of(orientation), orientation))
    assert difference(image.array, pattern()) < 4.0
    assert image.facts.format == "RAW"
