"""Scaled decoding by the number of pixels that have to be left."""

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from glocal.errors import QueryError
from glocal.images import load


def encoded(width: int, height: int, kind: str) -> bytes:
    file = io.BytesIO()
    ramp = np.linspace(0, 255, width * height).reshape(height, width).astype(np.uint8)
    Image.fromarray(ramp).convert("RGB").save(file, kind)
    return file.getvalue()


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 700),
    st.integers(1, 700),
    st.integers(1, 300_000),
    st.sampled_from(["JPEG", "PNG"]),
)
def test_enough_pixels_are_left_and_not_many_more(
    width: int, height: int, least: int, kind: str
) -> None:
    array = load(encoded(width, height, kind), min_pixels=least).array
    left = array.shape[0] * array.shape[1]
    assert left >= min(least, width * height)
    assert abs(array.shape[1] / array.shape[0] - width / height) <= 0.2 * width / height + 1 / min(
        array.shape[:2]
    ) * max(1, width / height)
    if left < width * height and min(width, height) > 100:
        assert left < 6 * least + width * height / 50 + 2_000  # JPEG goes down to an eighth


def test_the_region_is_what_counts() -> None:
    data = encoded(800, 800, "JPEG")
    whole = load(data, min_pixels=10_000).array
    part = load(data, min_pixels=10_000, region=(0.4, 0.4, 0.2, 0.2)).array
    assert whole.shape == (100, 100, 3)
    assert part.shape[0] * part.shape[1] >= 10_000


@pytest.mark.parametrize("least", [0, -5])
def test_no_pixels_are_refused(least: int) -> None:
    with pytest.raises(QueryError, match="min_pixels must be at least 1 pixel"):
        load(encoded(8, 8, "PNG"), min_pixels=least)


def test_one_rule_at_a_time() -> None:
    with pytest.raises(QueryError, match="not both"):
        load(encoded(8, 8, "PNG"), min_pixels=4, min_side=2)
