"""Copies are compared at the full size of both images."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from glocal.ranking.closely import compare_closely
from glocal.ranking.differences import Differences
from glocal.ranking.pixels import Comparison, compare_pixels, may_be_shown_whole
from glocal.ranking.registration import BLOCK, side_of_overlap

Draw = Callable[[Image.Image], None]
WORDS = (
    "sum",
    "of",
    "rent",
    "is",
    "due",
    "on",
    "every",
    "first",
    "day",
    "without",
    "notice",
    "owner",
)


def page(seed: int = 1) -> Image.Image:
    """A page as it is scanned: 2,000 pixels high with letters of 20."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (1500, 2000), (252, 252, 250))
    draw = ImageDraw.Draw(image)
    for y in range(120, 1880, 44):
        line = " ".join(WORDS[int(i)] for i in rng.integers(0, len(WORDS), 22))
        draw.text((120, y), line, (30, 30, 34), ImageFont.load_default(24))
    draw.text((700, 1900), "4.253", (30, 30, 34), ImageFont.load_default(24))
    return image


def photo(seed: int = 2) -> Image.Image:
    rng = np.random.default_rng(seed)
    mixed = np.full((1200, 1600, 3), 125.0, np.float32)
    for cells, strength in ((3, 60), (9, 40), (40, 25), (160, 14)):
        layer = (rng.normal(0, strength, (cells, cells, 3)).clip(-127, 127) + 128).astype(np.uint8)
        large = Image.fromarray(layer).resize((1600, 1200), Image.Resampling.BICUBIC)
        mixed += np.asarray(large, np.float32) - 128
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


def saved(image: Image.Image, quality: int = 88) -> NDArray[np.uint8]:
    written = io.BytesIO()
    image.save(written, "JPEG", quality=quality)
    return np.asarray(Image.open(written).convert("RGB"))


def compared(
    first: NDArray[np.uint8],
    second: NDArray[np.uint8],
    homography: NDArray[np.float64] | None = None,
) -> tuple[Comparison, Comparison]:
    """At a thousand pixels, and closely."""
    same = np.eye(3) if homography is None else homography
    far = compare_pixels(first, second, same)
    near = compare_pixels(first, second, same, lambda _homography, _side: (first, second, True))
    assert far is not None
    assert near is not None
    return far, near


def another_digit(image: Image.Image) -> None:
    draw = ImageDraw.Draw(image)
    draw.rectangle((690, 1890, 800, 1940), (252, 252, 250))
    draw.text((700, 1900), "4.258", (30, 30, 34), ImageFont.load_default(24))


def another_word(image: Image.Image) -> None:
    ImageDraw.Draw(image).text((1200, 60), "copy", (30, 30, 34), ImageFont.load_default(18))


def faint_pencil(image: Image.Image) -> None:
    ImageDraw.Draw(image).text((900, 1930), "paid", (234, 234, 232), ImageFont.load_default(40))


def date(image: Image.Image) -> None:
    ImageDraw.Draw(image).text((1500, 1160), "5/12", (250, 140, 20), ImageFont.load_default(18))


def bird(image: Image.Image) -> None:
    ImageDraw.Draw(image).ellipse((1200, 500, 1212, 508), (20, 20, 20))


@pytest.mark.parametrize(
    ("made", "change"),
    [
        (page, another_digit),
        (page, another_word),
        (page, faint_pencil),
        (photo, date),
        (photo, bird),
    ],
)
@pytest.mark.parametrize("quality", [80])
def test_a_small_difference_is_found_and_shown(
    made: Callable[[], Image.Image], change: Draw, quality: int
) -> None:
    other = made()
    change(other)
    _, near = compared(saved(made()), saved(other, quality))
    assert not near.copied
    before, after = (np.asarray(image, np.int16) for image in (made(), other))
    ys, xs = np.nonzero(np.abs(before - after).max(axis=2))
    x, y = xs.mean() / before.shape[1], ys.mean() / before.shape[0]
    assert any(
        left - 0.02 <= x <= left + width + 0.02 and top - 0.02 <= y <= top + height + 0.02
        for left, top, width, height in near.differing
    )
    assert len(near.differing) <= 4
    back = near.turned()
    assert not back.copied
    assert len(back.differing) == len(near.differing)


@pytest.mark.parametrize("made", [page, photo])
@pytest.mark.parametrize("quality", [97, 45])
def test_a_copy_stays_a_copy(made: Callable[[], Image.Image], quality: int) -> None:
    for near in compared(saved(made(), 92), saved(made(), quality)):
        assert near.copied
        assert near.closely
        assert not near.differing


@pytest.mark.parametrize("made", [page, photo])
def test_a_smaller_or_cropped_copy_stays_a_copy_from_either_side(
    made: Callable[[], Image.Image],
) -> None:
    image = made()
    small = image.resize((image.width * 3 // 4, image.height * 3 // 4), Image.Resampling.LANCZOS)
    cut = image.crop((100, 60, image.width - 200, image.height - 90))
    wide, tall = image.width - 300, image.height - 150
    inside = np.array(
        [
            [wide / image.width, 0, 100 / image.width],
            [0, tall / image.height, 60 / image.height],
            [0, 0, 1.0],
        ]
    )
    for one, homography in ((small, np.eye(3)), (cut, inside)):
        assert compared(saved(one, 85), saved(image), homography)[1].copied
        assert compared(saved(image), saved(one, 85), np.linalg.inv(homography))[1].copied


def test_colours_changed_as_a_whole_are_no_difference_in_any_part() -> None:
    warm = np.asarray(photo(), np.float32) * np.array([1.05, 1.0, 0.92], np.float32)
    edited = saved(Image.fromarray(warm.clip(0, 255).astype(np.uint8)))
    assert compared(saved(photo()), edited)[1].copied
    assert compared(edited, saved(photo()))[1].copied


def test_one_pixel_that_differs_where_all_else_is_the_same() -> None:
    rng = np.random.default_rng(5)
    one = rng.choice([20, 90, 160, 230], (64, 64, 3)).astype(np.uint8).repeat(2, 0).repeat(2, 1)
    two = one.copy()
    two[60:62, 60:62] = 255 - two[60:62, 60:62]
    assert not compared(one, two)[0].copied
    assert compared(one, one)[0].copied


def test_the_side_of_what_both_show_is_that_of_the_coarser_image() -> None:
    assert side_of_overlap((1000, 800), (500, 400), np.eye(3)) == pytest.approx(500)
    assert side_of_overlap((500, 400), (1000, 800), np.eye(3)) == pytest.approx(500)
    half = np.diag([0.5, 0.5, 1.0])  # the first is the upper left quarter of the second
    assert side_of_overlap((1000, 800), (2000, 1600), half) == pytest.approx(1000)


def test_what_shows_neither_image_whole_is_given_up_unless_its_rest_is_plain() -> None:
    rng = np.random.default_rng(6)
    one, two = (rng.uniform(0, 255, (96, 128)).astype(np.float32) for _ in range(2))
    aside = np.array([[1, 0, 0.3], [0, 1, 0.0], [0, 0, 1.0]])  # .7 of either is shown by the other
    assert may_be_shown_whole(np.eye(3), one, two, 0.0)
    assert not may_be_shown_whole(aside, one, two, 0.0)
    assert not may_be_shown_whole(np.linalg.inv(aside), one, two, 1.0)
    bordered = one.copy()
    bordered[:, :40] = 200  # what the other one does not show
    assert may_be_shown_whole(aside, bordered, two, 1.0) or may_be_shown_whole(
        np.linalg.inv(aside), bordered, two, 1.0
    )
    near = np.array([[1, 0, 0.2], [0, 1, 0.0], [0, 0, 1.0]])  # of points alone: may be wrong
    assert may_be_shown_whole(near, one, two, 0.0)
    assert not may_be_shown_whole(near, one, two, 1.0)


@pytest.mark.parametrize("homography", [np.zeros((3, 3)), np.full((3, 3), np.nan), np.ones((3, 3))])
def test_a_homography_without_an_inverse_shows_nothing_whole(homography: NDArray[np.float64]):
    small = np.full((40, 60), 90, np.float32)
    assert not may_be_shown_whole(homography, small, small, 0.0)


def test_what_is_thinner_than_a_block_was_not_compared():
    same = Differences(np.zeros((1, 1), np.bool_), None, 0.0, 1.0, exact=True)
    wide, thin = np.asarray(photo()), np.asarray(photo())[: BLOCK - 1]
    assert compare_closely(wide, wide, np.eye(3), same).compared
    assert not compare_closely(thin, thin, np.eye(3), same).compared
