"""Animations that begin with nothing."""

from __future__ import annotations

import io

import numpy as np
import pytest
from image_samples import difference, pattern
from PIL import Image

from glocal.images import load

BLACK = np.zeros((96, 128, 3), np.uint8)


def animation(format_name: str, *frames: np.ndarray) -> bytes:
    file = io.BytesIO()
    first, *rest = map(Image.fromarray, frames)
    options = {"lossless": True} if format_name == "WEBP" else {}
    first.save(file, format_name, save_all=True, append_images=rest, duration=50, **options)
    return file.getvalue()


@pytest.mark.parametrize("min_side", [None, 24])
@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG", "AVIF"])
def test_the_first_frame_that_shows_something_stands_for_all(
    format_name: str, min_side: int | None
) -> None:
    faint = np.tile(np.arange(128) % 2, (96, 1))[..., None].repeat(3, axis=2).astype(np.uint8)
    data = animation(format_name, BLACK, faint, pattern(), 255 - pattern(), pattern())
    alone = load(animation(format_name, pattern()), min_side=min_side)
    found = load(data, min_side=min_side)
    assert difference(found.array, alone.array) < 6
    assert (found.facts.width, found.facts.height) == (128, 96)


@pytest.mark.parametrize("format_name", ["GIF", "WEBP", "PNG"])
def test_a_first_frame_that_shows_something_stays(format_name: str) -> None:
    data = animation(format_name, pattern(), 255 - pattern())
    assert difference(load(data).array, pattern()) < 6


def test_an_animation_of_nothing_is_nothing() -> None:
    shades = [BLACK + shade for shade in range(3)]
    assert np.ptp(load(animation("WEBP", *shades)).array) == 0
