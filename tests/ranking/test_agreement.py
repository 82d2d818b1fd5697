"""What lies between points that agree: the same content is recognised, another one is not."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageFilter

from glocal.ranking.agreement import _BLOCK, _FLAT, _REACH, _STEP, _blocks, agreement


def content(seed: int, side: int = 128) -> Image.Image:
    """Blobs of several sizes, grey."""
    rng = np.random.default_rng(seed)
    layers = [
        np.asarray(
            Image.fromarray(rng.normal(0, 1, (n, n)).astype(np.float32)).resize((side, side))
        )
        for n in (4, 8, 16, 32)
    ]
    return Image.fromarray(np.clip(128 + 30 * sum(layers), 0, 255).astype(np.uint8))


def framed(inner: int, frame: int = 0) -> np.ndarray:
    whole = content(1000 + frame)
    whole.paste(content(inner, 84), (22, 22))
    return np.asarray(whole)


def ring() -> np.ndarray:
    """Points on the frame."""
    ticks = np.linspace(0.06, 0.94, 12)
    grid = np.stack(np.meshgrid(ticks, ticks), axis=-1).reshape(-1, 2)
    return grid[np.abs(grid - 0.5).max(axis=1) > 0.35]


def test_blocks_look_for_themselves_as_a_loop_does() -> None:
    rng = np.random.default_rng(3)
    one = rng.integers(0, 255, (27, 34)).astype(np.float32)
    two = np.roll(one, (2, -3), axis=(0, 1)) * 0.7 + 20
    one[:12, :12] = 90.0  # a flat corner in one of them
    at, likeness = _blocks(one, two, np.eye(3))
    padded = np.pad(two, _REACH, mode="edge")
    expected = {}
    for y in range(0, 27 - _BLOCK + 1, _STEP):
        for x in range(0, 34 - _BLOCK + 1, _STEP):
            block = one[y : y + _BLOCK, x : x + _BLOCK]
            there = two[y : y + _BLOCK, x : x + _BLOCK]
            best = -1.0
            for dy in range(2 * _REACH + 1):
                for dx in range(2 * _REACH + 1):
                    other = padded[y + dy : y + dy + _BLOCK, x + dx : x + dx + _BLOCK]
                    both = ((block - block.mean()) * (other - other.mean())).mean()
                    best = max(best, both / np.sqrt((block.var() + 4) * (other.var() + 4)))
            if max(block.var(), there.var()) > _FLAT**2:
                expected[(x + _BLOCK / 2) / 34, (y + _BLOCK / 2) / 27] = best
    found = {tuple(place): value for place, value in zip(at.tolist(), likeness, strict=True)}
    assert found.keys() == expected.keys()
    for place, value in expected.items():
        assert found[place] == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize("seed", range(5))
def test_another_content_in_the_same_frame_does_not_agree(seed: int) -> None:
    points = ring()
    dimmer = Image.fromarray(framed(seed)).point(lambda v: 0.7 * v + 20)
    again = np.asarray(dimmer.filter(ImageFilter.GaussianBlur(0.8)))
    moved = np.array([[1, 0, 0.02], [0, 1, -0.015], [0, 0, 1.0]])  # the points are never exact
    same = agreement(framed(seed), again, moved, points, points)
    other = agreement(framed(seed), framed(seed + 50), moved, points, points)
    assert same is not None
    assert other is not None
    assert same.least > 0.8
    assert other.least < 0.6


def test_too_small_an_overlap_says_nothing() -> None:
    points = ring()
    aside = np.array([[1, 0, 0.95], [0, 1, 0], [0, 0, 1.0]])
    assert agreement(framed(0), framed(1), aside, points, points) is None
    corner = np.array([[0.2, 0, 0.9], [0, 0.2, 0.9], [0.4, 0.4, 1.0]])
    assert agreement(framed(0), framed(1), corner, points, points) is None
    blank = np.full((128, 128), 200, np.uint8)
    assert agreement(blank, blank, np.eye(3), points, points) is None


def test_a_crop_agrees_with_the_whole_whichever_comes_first() -> None:
    whole = framed(7)
    crop = np.asarray(Image.fromarray(whole[20:100, 30:110]).resize((128, 128)))
    into = np.array([[80 / 128, 0, 30 / 128], [0, 80 / 128, 20 / 128], [0, 0, 1]])
    points = np.random.default_rng(0).uniform(0.1, 0.9, (20, 2))
    matched = points * 80 / 128 + (30 / 128, 20 / 128)
    one = agreement(crop, whole, into, points, matched)
    two = agreement(whole, crop, np.linalg.inv(into), matched, points)
    assert one is not None
    assert two is not None
    assert one.least > 0.85
    assert two.least > 0.85
