"""JPEG XL, JPEG 2000, TIFF that holds what Pillow does not read, and kinds that are not read."""

from __future__ import annotations

import io
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from image_samples import difference, encode, exif_of, pattern

from glocal.errors import ImageError
from glocal.images import has_image_suffix, load
from glocal.images.formats import kind_not_read


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("min_side", [None, 90, 40, 1])
def test_jpeg_2000_at_the_scale_that_is_needed(header: bool, min_side: int | None) -> None:
    name = "a.jp2" if header else "a.j2k"
    file = io.BytesIO()
    file.name = name
    whole = pattern(256, 192)
    from PIL import Image

    Image.fromarray(whole).save(file, "JPEG2000", irreversible=False)
    assert has_image_suffix(name)
    found = load(file.getvalue(), min_side=min_side)
    assert (found.facts.width, found.facts.height, found.facts.format) == (256, 192, "JPEG2000")
    assert min(found.array.shape[:2]) >= (min_side or 192)
    if min_side == 1:
        assert found.array.shape[0] < 12
        return
    expected = np.asarray(Image.fromarray(whole).resize(found.array.shape[1::-1]))
    assert difference(found.array, expected) < (0.01 if min_side is None else 12)
    if min_side == 40:
        assert found.array.shape[:2] == (48, 64)


def test_jpeg_xl_is_upright_with_its_facts() -> None:
    pylibjxl = pytest.importorskip("pylibjxl")
    assert has_image_suffix("a.jxl")
    exif = exif_of(6)
    exif[0x0110] = "Made"
    jpeg = encode(pattern(), "JPEG", quality=95, exif=exif)
    upright = load(jpeg)
    found = load(pylibjxl.jpeg_to_jxl(jpeg))
    assert (found.facts.width, found.facts.height) == (96, 128)
    assert (found.facts.format, found.facts.camera) == ("JXL", "Made")
    assert difference(found.array, upright.array) < 3
    transparent = np.dstack([np.zeros((16, 16, 3), np.uint8), np.tri(16, dtype=np.uint8) * 255])
    array = load(pylibjxl.encode(np.ascontiguousarray(transparent), lossless=True)).array
    assert (array[0, 8].tolist(), array[8, 0].tolist()) == ([255] * 3, [0] * 3)
    with pytest.raises(ImageError, match="JXL"):
        load(pylibjxl.encode(pattern())[:300])


def test_without_its_package_jpeg_xl_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pylibjxl.pillow_plugin", None)
    with pytest.raises(ImageError, match=r'pip install "glocal\[jxl\]"'):
        load(b"\xff\x0a" + bytes(30))


def tiff(bits: int, sample_format: int, samples: int, *, compression: int = 1) -> bytes:
    """A sound TIFF of 8 x 8 pixels, each sample zero."""
    data = bytes(8 * 8 * samples * bits // 8)
    short, long = 3, 4
    extra = struct.pack(f"<{2 * samples}H", *[bits] * samples, *[sample_format] * samples)
    start = 8 + 2 + 10 * 12 + 4
    several = samples > 2
    entries = [
        (256, short, 1, 8),
        (257, short, 1, 8),
        (258, short, samples, start if several else bits),
        (259, short, 1, compression),
        (262, short, 1, 2 if several else 1),
        (273, long, 1, start + len(extra)),
        (277, short, 1, samples),
        (278, short, 1, 8),
        (279, long, 1, len(data)),
        (339, short, samples, start + 2 * samples if several else sample_format),
    ]
    directory = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<2sHIH", b"II", 42, 8, 10) + directory + bytes(4) + extra + data


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (tiff(32, 3, 3), "3 float samples of 32 bits"),
        (tiff(16, 3, 1), "1 float samples of 16 bits"),
        (tiff(64, 3, 1), "1 float samples of 64 bits"),
        (tiff(32, 1, 3), "unusual kind of samples"),
        (tiff(8, 1, 3, compression=50002), "compressed as JPEG XL"),
        (tiff(8, 1, 3, compression=50001), "compressed as WebP"),
        (tiff(8, 1, 3, compression=34712), "compressed as JPEG 2000"),
        (tiff(8, 1, 3, compression=12345), "compressed as number 12345"),
    ],
)
def test_a_sound_tiff_that_cannot_be_read_is_unsupported(data: bytes, what: str) -> None:
    with pytest.raises(ImageError, match=f"^unsupported: .*{what}"):
        load(data)


def test_one_float_sample_is_read() -> None:
    assert load(tiff(32, 3, 1)).array.shape == (8, 8, 3)


def test_libtiff_writes_nothing_of_its_own(tmp_path: Path) -> None:
    data = bytearray(encode(pattern(), "TIFF", compression="tiff_lzw"))
    data[200:300] = bytes(range(100))
    (tmp_path / "a.tif").write_bytes(data)
    code = (
        "from glocal.images import load, quiet; quiet.own_this_process()\n"
        "try: load('a.tif')\nexcept Exception as error: print(type(error).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, check=True, text=True
    )
    assert (done.stdout, done.stderr) == ("ImageError\n", "")


def test_known_kinds_that_are_not_read_are_named() -> None:
    for name in ("a.PSD", "a.svg", "a.exr", "a.xcf"):
        assert kind_not_read(name)
        assert not has_image_suffix(name)
    for name in ("a.jpg", "a.jp2", "a.txt", "a.pdf", "a"):
        assert kind_not_read(name) is None
