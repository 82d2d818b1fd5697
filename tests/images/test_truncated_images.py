"""Images whose files were cut off: what is there is used where it is enough."""

from __future__ import annotations

import numpy as np
import pytest
from image_samples import encode

from glocal.errors import ImageError
from glocal.images import load
from glocal.images.truncated import LEAST_SHARE, decoded_share

NOISE = np.random.default_rng(3).integers(0, 256, (160, 120, 3), dtype=np.uint8)


def cut(format_name: str, share: float, **options: object) -> bytes:
    data = encode(NOISE, format_name, **options)
    return data[: int(len(data) * share)]


@pytest.mark.parametrize("min_side", [None, 30])
@pytest.mark.parametrize(("format_name", "options"), [("JPEG", {"quality": 90}), ("PNG", {})])
def test_what_is_there_is_what_the_whole_shows(
    format_name: str, options: dict[str, object], min_side: int | None
) -> None:
    whole = load(encode(NOISE, format_name, **options), min_side=min_side)
    assert whole.share == 1
    found = load(cut(format_name, 0.9, **options), min_side=min_side)
    assert found.array.shape == whole.array.shape
    assert (found.facts.width, found.facts.height) == (120, 160)
    assert 0.85 <= found.share <= 0.95
    there = int(0.8 * len(whole.array))
    assert np.array_equal(found.array[: there - 2], whole.array[: there - 2])
    assert np.ptp(found.array[-1].reshape(-1, 3), axis=0).max() == 0


def test_a_missing_end_alone_loses_nothing() -> None:
    data = encode(NOISE, "JPEG", quality=90)
    assert np.array_equal(load(data[:-2]).array, load(data).array)


def test_a_progressive_image_is_whole_but_less_fine() -> None:
    found = load(cut("JPEG", 0.8, quality=90, progressive=True))
    assert LEAST_SHARE <= found.share < 1
    assert np.abs(found.array.astype(int) - NOISE).mean() < 60


@pytest.mark.parametrize("share", [0.05, 0.7])
@pytest.mark.parametrize("format_name", ["JPEG", "PNG"])
def test_too_little_is_refused(format_name: str, share: float) -> None:
    with pytest.raises(ImageError, match=f"truncated {format_name}"):
        load(cut(format_name, share))


def test_the_share_counts_filled_rows() -> None:
    array = np.zeros((10, 4, 3), np.uint8)
    assert decoded_share(array) == 0
    array[:7, 1] = 5
    assert decoded_share(array) == 0.7
    array[9, 3] = 1
    assert decoded_share(array) == 1
