from __future__ import annotations

import io
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from image_samples import DATA, FORMATS, difference, encode, exif_of, pattern, sample, turned
from PIL import Image

from glocal.errors import ImageError, QueryError
from glocal.images import Limits, load

# Mean levels a lossy format may differ by; GIF has 256 colours for the whole image.
TOLERANCE = {"JPEG": 2.0, "AVIF": 4.0, "GIF": 12.0, "HEIF": 2.0}


@pytest.mark.parametrize("format_name", FORMATS)
def test_every_format_gives_its_pixels_and_its_name(format_name: str) -> None:
    data = sample(format_name)
    image = load(data)
    assert image.array.dtype == np.uint8
    assert difference(image.array, pattern()) <= TOLERANCE.get(format_name, 0.0)
    facts = image.facts
    assert (facts.width, facts.height, facts.format) == (128, 96, format_name)
    assert facts.bytes == len(data)


@pytest.mark.parametrize("format_name", FORMATS)
def test_scaled_image_is_no_smaller_than_asked_and_looks_the_same(format_name: str) -> None:
    image = load(sample(format_name), min_side=24)
    height, width = image.array.shape[:2]
    assert (width, height) == (32, 24)
    assert (image.facts.width, image.facts.height) == (128, 96)
    boxes = pattern().reshape(24, 4, 32, 4, 3).mean(axis=(1, 3))
    assert difference(image.array, boxes) <= max(2.0, TOLERANCE.get(format_name, 0.0))


@given(
    width=st.integers(1, 90),
    height=st.integers(1, 90),
    min_side=st.integers(1, 100),
    format_name=st.sampled_from(["JPEG", "PNG"]),
)
@settings(deadline=None)
def test_shorter_side_stays_at_least_min_side(
    width: int, height: int, min_side: int, format_name: str
) -> None:
    array = load(encode(pattern(width, height), format_name), min_side=min_side).array
    assert min(array.shape[:2]) >= min(min_side, width, height)
    assert array.shape[0] <= height
    assert array.shape[1] <= width
    if format_name == "JPEG" and min_side * 8 <= min(width, height):
        assert array.shape[:2] == (-(-height // 8), -(-width // 8))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("min_side", [None, 48])
def test_orientation_is_undone(format_name: str, orientation: int, min_side: int | None) -> None:
    stored = turned(pattern(), orientation)
    data = encode(stored, format_name, exif=exif_of(orientation))
    image = load(data, min_side=min_side)
    expected = pattern() if min_side is None else pattern()[::2, ::2]
    assert (image.facts.width, image.facts.height) == (128, 96)
    assert difference(image.array, expected) < 5.0


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_a_pil_image_is_undone_and_the_image_left_alone(orientation: int) -> None:
    data = encode(turned(pattern(), orientation), "PNG", exif=exif_of(orientation))
    image = Image.open(io.BytesIO(data))
    size = image.size
    assert np.array_equal(load(image).array, pattern())
    assert image.size == size
    assert np.array_equal(load(image).array, pattern())
    assert load(image).facts.bytes is None


@pytest.mark.parametrize("orientation", [5, 6])
def test_heic_is_turned_once_although_it_says_so_twice(orientation: int) -> None:
    data = (DATA / f"orientation{orientation}.heic").read_bytes()
    upright = {
        5: pattern().transpose(1, 0, 2),  # stored row 0 is the left side, column 0 the top
        6: pattern().transpose(1, 0, 2)[:, ::-1],  # stored row 0 is the right side
    }[orientation]
    image = load(data)
    assert difference(image.array, upright) < 2.0
    assert (image.facts.width, image.facts.height) == (96, 128)
    assert image.facts.camera == "Glocal Test Cam"


def test_content_decides_not_the_extension(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(sample("PNG"))
    assert load(path).facts.format == "PNG"
    path.write_text("Dear diary, today I took no photo.")
    with pytest.raises(ImageError, match="unsupported format") as caught:
        load(path)
    assert "photo.jpg" not in str(caught.value)
    assert any("photo.jpg" in note for note in caught.value.__notes__)


def test_every_kind_of_source_gives_the_same(tmp_path: Path) -> None:
    data = sample("PNG")
    path = tmp_path / "ünï ço∂é.png"
    path.write_bytes(data)
    with path.open("rb") as file:
        arrays = [
            load(source).array
            for source in (
                path,
                str(path),
                data,
                bytearray(data),
                memoryview(data),
                file,
                io.BytesIO(data),
                Image.open(io.BytesIO(data)),
                pattern(),
            )
        ]
    assert all(np.array_equal(array, pattern()) for array in arrays)
    assert all(array.flags.writeable and array.flags.c_contiguous for array in arrays)
    with pytest.raises(ImageError, match="a dict isn't an image"):
        load({})  # type: ignore[arg-type]


@pytest.mark.parametrize("format_name", ["JPEG", "PNG"])
@pytest.mark.parametrize("region", [(20, 10, 50, 40), (20.7, 9.5, 49.1, 40.2)])
def test_region_in_pixels_is_what_the_whole_has_there(format_name: str, region: tuple) -> None:
    data = sample(format_name)
    whole = load(data).array
    cut = load(data, region=region)
    assert np.array_equal(cut.array, whole[min(10, int(region[1])) : 50, 20:70])
    assert cut.facts == load(data).facts
    assert cut.array.base is None


def test_region_in_fractions_and_sticking_out() -> None:
    data = sample("PNG")
    assert np.array_equal(load(data, region=(0, 0, 1, 1)).array, pattern())
    assert np.array_equal(load(data, region=(0.5, 0.25, 0.25, 0.5)).array, pattern()[24:72, 64:96])
    assert np.array_equal(load(data, region=(100, -5, 500, 25)).array, pattern()[:20, 100:])
    assert np.array_equal(load(data, region=(-0.5, -0.5, 1, 1)).array, pattern()[:48, :64])
    third = load(np.zeros((300, 300, 3), np.uint8), region=(0, 0, 1 / 3, 1 / 3))
    assert third.array.shape == (100, 100, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_name", ["JPEG", "PNG"])
def test_region_is_of_the_upright_image(format_name: str, orientation: int) -> None:
    data = encode(turned(pattern(), orientation), format_name, exif=exif_of(orientation))
    cut = load(data, region=(32, 16, 64, 48)).array
    assert difference(cut, pattern()[16:64, 32:96]) < 5.0


def test_min_side_is_of_the_region() -> None:
    data = encode(pattern(1024, 768), "JPEG", quality=95)
    small = load(data, region=(0.25, 0.25, 0.125, 0.125), min_side=48).array
    assert small.shape == (48, 64, 3)
    assert difference(small, pattern(1024, 768)[192:288:2, 256:384:2]) < 6.0
    assert load(data, region=(0.25, 0.25, 0.125, 0.125), min_side=96).array.shape == (96, 128, 3)


@pytest.mark.parametrize(
    "region",
    [
        (0, 0, 0, 5),
        (0, 0, 5, -1),
        (float("nan"), 0, 1, 1),
        (0, 0, float("inf"), 1),
        (128, 0, 10, 10),
        (-10, 0, 10, 10),
        (1e300, 0, 1e300, 9),
        (5, 5, 1e-9, 10),
        (1, 2, 3),
        ("a", 0, 1, 1),
        7,
    ],
)
@pytest.mark.parametrize("format_name", ["JPEG", "PNG"])
def test_impossible_region_is_a_query_error(format_name: str, region: tuple) -> None:
    with pytest.raises(QueryError, match="region"):
        load(sample(format_name), region=region)


def test_impossible_min_side_is_a_query_error() -> None:
    with pytest.raises(QueryError, match="min_side"):
        load(sample("PNG"), min_side=0)


@given(
    region=st.tuples(*[st.floats(-50, 200)] * 2, *[st.floats(0.01, 300)] * 2),
    min_side=st.integers(1, 60),
)
@settings(deadline=None)
def test_any_region_is_a_query_error_or_large_enough(region: tuple, min_side: int) -> None:
    try:
        whole = load(pattern(), region=region).array
    except QueryError:
        return
    scaled = load(sample("JPEG"), region=region, min_side=min_side).array
    assert min(scaled.shape[:2]) >= min(min_side, *whole.shape[:2])


@pytest.mark.parametrize("size", [(1, 1), (1, 20_000), (20_000, 1)])
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF"])
def test_extreme_shapes(format_name: str, size: tuple[int, int]) -> None:
    image = load(encode(pattern(*size), format_name), min_side=64)
    assert image.array.shape == (size[1], size[0], 3)


def test_first_frame_of_animations_and_first_page() -> None:
    frames = [Image.fromarray(pattern()), Image.new("RGB", (128, 96), "red")]
    for format_name, options in {
        "GIF": {},
        "WEBP": {"lossless": True},
        "PNG": {},
        "AVIF": {},
        "TIFF": {},
        "MPO": {"quality": 95},
    }.items():
        data = encode(frames[0], format_name, save_all=True, append_images=frames[1:], **options)
        image = load(data)
        assert difference(image.array, pattern()) < 12.0, format_name
        assert image.facts.format == ("JPEG" if format_name == "MPO" else format_name)


def test_threads_share_nothing() -> None:
    datas = [sample(name) for name in FORMATS] * 4
    expected = [load(data).array for data in datas]
    with ThreadPoolExecutor(4) as pool:
        got = list(pool.map(lambda data: load(data).array, datas))
    assert all(np.array_equal(a, b) for a, b in zip(expected, got, strict=True))


def test_a_huge_image_is_decoded_under_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    from glocal.images import decode

    class Counting:
        entered = 0

        def __enter__(self) -> None:
            self.entered += 1

        def __exit__(self, *_: object) -> None: ...

    lock = Counting()
    monkeypatch.setattr(decode, "_huge_decode", lock)
    huge = Image.new("L", (5000, 3500), 7)
    load(encode(huge, "JPEG"), min_side=400)
    assert lock.entered == 0
    load(encode(huge, "JPEG", progressive=True), min_side=400)
    assert lock.entered == 1
    assert load(encode(huge, "PNG"), min_side=400).array.shape == (438, 625, 3)
    assert lock.entered == 2


def test_importing_the_package_imports_no_decoder() -> None:
    code = (
        "import sys, glocal.images\n"
        "print([name for name in ('PIL', 'simplejpeg', 'pi_heif') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_limits_are_the_callers() -> None:
    with pytest.raises(ImageError, match="--max-pixels"):
        load(sample("PNG"), limits=Limits(max_pixels=128 * 96 - 1))
    assert load(sample("PNG"), limits=Limits(max_pixels=128 * 96)).facts.width == 128
    with pytest.raises(ImageError, match="--max-pixels"):
        load(pattern(), limits=Limits(max_pixels=100))
    with pytest.raises(ImageError, match="--max-pixels"):
        load(Image.new("RGB", (20, 20)), limits=Limits(max_pixels=100))
    for source in (sample("PNG"), io.BytesIO(sample("PNG"))):
        with pytest.raises(ImageError, match="--max-bytes"):
            load(source, limits=Limits(max_bytes=100))


@pytest.mark.parametrize("value", [0, -1, 1.5, "9", None, True])
@pytest.mark.parametrize("name", ["max_bytes", "max_pixels"])
def test_limits_are_whole_numbers(name: str, value: Any) -> None:
    with pytest.raises(QueryError, match=rf"{name} is .*; give a whole number of at least 1"):
        Limits(**{name: value})
