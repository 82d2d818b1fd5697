from __future__ import annotations

import io
import itertools

import numpy as np
import pytest
from image_samples import difference, encode, pattern
from PIL import Image, ImageCms

from glocal.errors import ImageError
from glocal.images import load
from glocal.images.color import to_srgb

GREY = pattern()[:, :, 0]


def icc(name: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(name)).tobytes()


def other_primaries() -> bytes:
    """The sRGB profile with its red and green columns exchanged and another description."""
    profile = bytearray(icc("sRGB"))
    tags = {}
    for at in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12):
        tags[bytes(profile[at : at + 4])] = at
    red, green = tags[b"rXYZ"], tags[b"gXYZ"]
    profile[red : red + 4], profile[green : green + 4] = b"gXYZ", b"rXYZ"
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "oRGB".encode("utf-16-be"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
@pytest.mark.parametrize("min_side", [None, 48])
def test_every_mode_as_tiff_or_png(mode: str, min_side: int | None) -> None:
    image = Image.fromarray(pattern())
    grey = Image.fromarray(GREY)
    expected = pattern()
    if mode in ("L", "LA"):
        image, expected = grey.convert(mode), np.repeat(GREY[:, :, None], 3, axis=2)
    elif mode == "1":
        image = grey.point(lambda level: 255 if level > 127 else 0).convert("1")
        expected = np.repeat(np.where(GREY > 127, 255, 0).astype(np.uint8)[:, :, None], 3, axis=2)
    elif mode in ("I;16", "I", "F"):
        scaled = {
            "I;16": GREY.astype(np.uint16) * 256 + 255,
            "I": GREY.astype(np.int32) * 256 + 255,
            "F": (GREY / 255).astype(np.float32),
        }[mode]
        image, expected = Image.fromarray(scaled), np.repeat(GREY[:, :, None], 3, axis=2)
    else:
        image = image.convert(mode)
        expected = np.asarray(image.convert("RGB"))
    array = load(encode(image, "TIFF" if mode in ("CMYK", "F", "I") else "PNG"), min_side=min_side)
    step = 1 if min_side is None else 2
    boxes = expected.reshape(96 // step, step, 128 // step, step, 3).mean(axis=(1, 3))
    assert difference(array.array, boxes) <= (0.0 if step == 1 else 1.0)


def test_sixteen_bits_lose_the_lower_byte_however_dark() -> None:
    dark = np.full((8, 8), 3 * 256 + 200, np.uint16)
    for format_name in ("PNG", "TIFF", "PPM"):
        assert set(load(encode(dark, format_name)).array.ravel()) == {3}, format_name
    assert set(load(encode(np.full((8, 8), 200, np.uint16), "PNG")).array.ravel()) == {0}
    big_endian = Image.frombytes("I;16B", (8, 8), dark.astype(">u2").tobytes())
    assert set(load(encode(big_endian, "TIFF")).array.ravel()) == {3}


def test_wide_integers_and_floats_without_a_known_white() -> None:
    assert load(encode(np.array([[0, 2**30]], np.int32), "TIFF")).array[0, :, 0].tolist() == [
        0,
        128,
    ]
    for white in (1.0, 255.0, 65535.0, 1e6):
        values = np.array([[np.nan, -np.inf, -1.0, 0.5 * white, white]], np.float32)
        levels = load(encode(values, "TIFF")).array[0, :, 0].tolist()
        assert levels == [0, 0, 0, 128, 255]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparency_lies_over_white(mode: str) -> None:
    image = Image.new("RGBA", (40, 20), (0, 0, 0, 0))
    image.paste((100, 100, 100, 255), (20, 0, 40, 20))
    if mode == "PA":
        indexed = image.convert("RGB").convert("P")
        indexed.putalpha(image.getchannel("A"))
        assert indexed.mode == "PA"
        array = load(indexed).array
    else:
        array = load(encode(image.convert(mode), "PNG")).array
    assert array[:, :20].min() == 255
    assert abs(int(array[5, 30, 0]) - 100) <= 3
    half = Image.new("RGBA", (4, 4), (0, 0, 0, 51))
    assert set(load(encode(half, "PNG")).array.ravel()) == {204}


def test_colour_key_transparency_survives_scaling() -> None:
    image = Image.new("RGB", (64, 64), (9, 8, 7))
    image.paste((200, 0, 0), (0, 0, 32, 64))
    data = encode(image, "PNG", transparency=(9, 8, 7))
    array = load(data, min_side=16).array
    assert set(array[:, 8:].ravel()) == {255}
    assert array[3, 3].tolist() == [200, 0, 0]


def test_transparent_gif_and_webp() -> None:
    image = Image.new("RGBA", (32, 32), (10, 200, 30, 0))
    for format_name in ("GIF", "WEBP", "AVIF", "TIFF"):
        assert load(encode(image, format_name)).array.min() >= 250, format_name


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK", "YCbCr"])
def test_jpeg_colour_spaces_agree_with_pillow(mode: str) -> None:
    data = encode(Image.fromarray(pattern()).convert(mode), "JPEG", quality=95, subsampling=0)
    reference = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))
    assert difference(load(data).array, reference) < 1.0
    assert load(data, min_side=24).array.shape == (24, 32, 3)


def test_adobe_inverted_cmyk_is_not_a_negative() -> None:
    # Pillow writes CMYK as Adobe does: inverted, with the marker that says so.
    data = encode(Image.new("CMYK", (32, 32), (255, 0, 0, 0)), "JPEG", quality=95)
    assert b"Adobe" in data
    assert load(data).array[4, 4].tolist() == pytest.approx([0, 255, 255], abs=4)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("min_side", [None, 48])
def test_profile_is_applied(format_name: str, min_side: int | None) -> None:
    plain = encode(pattern(), format_name, quality=95)
    tagged = encode(pattern(), format_name, quality=95, icc_profile=other_primaries())
    plain_array, array = load(plain, min_side=min_side).array, load(tagged, min_side=min_side).array
    assert array.shape == plain_array.shape
    # Red and green light have changed places, so the image has too, but for the white point.
    assert difference(array, plain_array) > 10
    assert difference(array, plain_array[:, :, [1, 0, 2]]) < difference(array, plain_array) / 2


def test_srgb_profile_changes_nothing() -> None:
    tagged = encode(pattern(), "PNG", icc_profile=icc("sRGB"))
    assert np.array_equal(load(tagged).array, pattern())


@pytest.mark.parametrize(
    "profile", [b"nonsense", b"\x00" * 4000, icc("sRGB")[:200], icc("LAB"), icc("XYZ")]
)
@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "TIFF"])
def test_unusable_profile_is_ignored(profile: bytes, format_name: str) -> None:
    tagged = encode(pattern(), format_name, icc_profile=profile)
    assert np.array_equal(load(tagged).array, load(encode(pattern(), format_name)).array)


def test_profile_of_another_colour_space_is_ignored() -> None:
    grey = encode(GREY, "JPEG", icc_profile=other_primaries())
    assert np.array_equal(load(grey).array, load(encode(GREY, "JPEG")).array)


def test_lab_and_premultiplied_images() -> None:
    lab = ImageCms.profileToProfile(
        Image.fromarray(pattern()),
        ImageCms.createProfile("sRGB"),
        ImageCms.createProfile("LAB"),
        outputMode="LAB",
    )
    assert difference(load(lab).array, pattern()) < 3.0
    assert load(encode(lab, "TIFF")).array.shape == (96, 128, 3)
    half = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    assert load(half.convert("RGBa")).array[0, 0].tolist() == pytest.approx([255, 127, 127], abs=1)
    assert set(load(Image.new("LA", (4, 4), (0, 51)).convert("La")).array.ravel()) == {204}


@pytest.mark.parametrize("mode", ["HSV", "YCbCr", "RGBX"])
def test_rare_pil_modes(mode: str) -> None:
    image = Image.fromarray(pattern()).convert(mode)
    assert np.array_equal(load(image).array, np.asarray(image.convert("RGB")))


def test_reducing_averages_boxes() -> None:
    image = Image.fromarray(pattern())
    boxes = pattern().reshape(24, 4, 32, 4, 3).mean(axis=(1, 3))
    assert difference(to_srgb(image, factor=4), boxes) <= 0.5


@pytest.mark.parametrize("channels", [0, 1, 3, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64, np.float16])
def test_arrays_of_every_accepted_kind(channels: int, dtype: type) -> None:
    values = pattern()
    if channels < 3:
        values = values[:, :, 0] if channels == 0 else values[:, :, :1]
    if channels == 4:
        values = np.dstack([values, np.full((96, 128), 255, np.uint8)])
    expected = np.broadcast_to(values.reshape(96, 128, -1)[:, :, :3], (96, 128, 3))
    if dtype == np.uint16:
        values = values.astype(np.uint16) * 257
    elif dtype != np.uint8:
        values = (values / 255).astype(dtype)
    values.setflags(write=False)
    image = load(values)
    assert difference(image.array, expected) <= (1e-9 if dtype != np.float16 else 0.1)
    assert image.facts.format == "array"
    assert image.facts.bytes is None
    assert np.array_equal(load(values[::-2, ::-1]).array, image.array[::-2, ::-1])


def test_array_is_never_aliased_and_alpha_lies_over_white() -> None:
    mine = pattern()
    load(mine).array[:] = 0
    assert np.array_equal(mine, pattern())
    clear = np.zeros((2, 2, 4), np.uint8)
    clear[..., 3] = 51
    assert set(load(clear).array.ravel()) == {204}


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((2, 2, 2), np.uint8),
        np.zeros((3, 20, 20), np.uint8),
        np.zeros((0, 5, 3), np.uint8),
        np.zeros(9, np.uint8),
        np.zeros((1, 2, 2, 3), np.uint8),
        np.zeros((4, 4), np.int64),
        np.zeros((4, 4), bool),
        np.zeros((4, 4), complex),
        np.zeros((4, 4), object),
        np.full((4, 4), 1.5),
        np.full((4, 4), np.nan),
        np.full((4, 4), -0.1),
    ],
)
def test_other_arrays_are_refused_with_what_is_accepted(array: np.ndarray) -> None:
    with pytest.raises(ImageError, match="accepted are"):
        load(array)


def icon(seed: int, shade: int, mode: str) -> Image.Image:
    """A drawing in one shade on transparency, whose colours where nothing shows are arbitrary."""
    alpha = np.kron(np.random.default_rng(seed).integers(0, 2, (6, 8)) * 255, np.ones((16, 16)))
    grey = np.where(alpha > 0, shade, 77)
    pixels = np.stack([grey, grey, grey, alpha], axis=2).astype(np.uint8)
    return Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("min_side", [None, 24])
@pytest.mark.parametrize(
    ("format_name", "mode"), [("PNG", "RGBA"), ("PNG", "LA"), ("WEBP", "RGBA")]
)
def test_white_drawings_on_transparency_stay_visible(
    format_name: str, mode: str, min_side: int | None
) -> None:
    options = {"lossless": True} if format_name == "WEBP" else {}
    images = [*(icon(seed, 255, mode) for seed in range(3)), icon(0, 10, mode)]
    *shown, dark = [
        load(encode(image, format_name, **options), min_side=min_side).array for image in images
    ]
    for one, other in itertools.combinations(shown, 2):
        assert difference(one, other) > 60
    # Where white keeps a drawing visible it stays white, as browsers show it.
    assert dark.max() == 255
    assert difference(dark, 255 - shown[0]) < 20


def test_a_white_drawing_with_an_outline_stays_on_white() -> None:
    image = np.zeros((64, 64, 4), np.uint8)
    image[8:56, 8:56] = 0, 0, 0, 255
    image[10:54, 10:54] = 255
    assert (load(encode(image)).array[0, 0] == 255).all()
