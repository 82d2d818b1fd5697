"""Aligned images: copies agree, views from another side drift, others do neither."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from glocal.ranking.alignment import COPY_FROM, SIDE, Alignment, align, align_all
from glocal.ranking.layers import Layers, Ragged, box


def texture(seed: int, side: int = 512) -> Image.Image:
    """Blobs of many sizes."""
    rng = np.random.default_rng(seed)
    sizes = (4, 8, 16, 32, 64, 128)
    layers = [
        np.asarray(
            Image.fromarray(rng.normal(0, 1, (n, n)).astype(np.float32)).resize((side, side))
        )
        for n in sizes
    ]
    mixed = 128 + 25 * sum(layers)
    return Image.fromarray(np.clip(mixed, 0, 255).astype(np.uint8))


def grey(image: Image.Image) -> np.ndarray:
    scale = SIDE / np.sqrt(image.width * image.height)
    size = (round(image.width * scale), round(image.height * scale))
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS), np.float32)


def shift(x: float, y: float = 0.0) -> np.ndarray:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1.0]])


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9), st.integers(0, 99))
def test_a_box_is_the_mean_of_its_window(height: int, width: int, window: int, seed: int) -> None:
    image = np.random.default_rng(seed).uniform(0, 255, (height, width)).astype(np.float32)
    before, after = (window + 1) // 2 - 1, window // 2
    padded = np.pad(image, ((before, after), (before, after)), mode="edge")
    slow = [
        [padded[y : y + window, x : x + window].mean() for x in range(width)] for y in range(height)
    ]
    assert box(image, window) == pytest.approx(np.array(slow), abs=1e-3)


@given(st.lists(st.tuples(st.integers(2, 9), st.integers(2, 9)), min_size=1, max_size=4))
def test_images_of_any_shapes_are_sampled_at_once(shapes: list[tuple[int, int]]) -> None:
    rng = np.random.default_rng(len(shapes))
    images = [rng.uniform(0, 255, shape).astype(np.float32) for shape in shapes]
    x, y = rng.uniform(-1, 9, (2, len(images), 20)).astype(np.float32)
    x[:, 0], y[:, 0] = [shape[1] - 1 for shape in shapes], [shape[0] - 1 for shape in shapes]
    values, inside = Ragged(images).sampled(x, y)
    for image, *row in zip(images, x, y, values, inside, strict=True):
        height, width = image.shape
        for px, py, value, there in zip(*row, strict=True):
            assert there == (0 <= px <= width - 1 and 0 <= py <= height - 1)
            across = np.maximum(1 - np.abs(np.arange(width) - px), 0)
            down = np.maximum(1 - np.abs(np.arange(height) - py), 0)
            assert not there or value == pytest.approx(down @ image @ across, abs=0.01)


def test_many_pairs_are_aligned_as_each_is_alone() -> None:
    whole = texture(0)
    upright = whole.crop((100, 30, 400, 480))
    to_upright = np.array([[300 / 512, 0, 100 / 512], [0, 450 / 512, 30 / 512], [0, 0, 1]])
    pairs = [
        (upright, whole, to_upright @ shift(0.01)),
        (whole, texture(1), np.eye(3)),
        (whole, whole.resize((300, 200)), shift(0.02)),
        (upright, whole, to_upright),
        (whole.crop((0, 0, 512, 20)), whole, np.eye(3)),
        (whole, whole, shift(3.0)),
    ]
    layers = [(Layers(grey(one)), Layers(grey(two)), to) for one, two, to in pairs]
    together = align_all(layers)
    assert [each.may_be_copy for each in together] == [True, False, True, True, False, False]
    for found, pair in zip(together, layers, strict=True):
        alone = align(*pair)
        assert found.copy_probability == pytest.approx(alone.copy_probability, abs=1e-4)
        assert (found.homography is None) == (alone.homography is None)
    assert align_all([]) == []


@pytest.mark.parametrize("seed", range(4))
def test_edited_copies_agree_from_a_rough_homography(seed: int) -> None:
    whole = texture(seed)
    crop = whole.crop((100, 60, 460, 400)).point(lambda v: 0.6 * v + 70)
    crop = crop.filter(ImageFilter.GaussianBlur(1))
    exact = np.array([[360 / 512, 0, 100 / 512], [0, 340 / 512, 60 / 512], [0, 0, 1]])
    rough = exact @ shift(0.02, -0.015) @ np.diag([1.02, 0.99, 1])
    aligned = align(grey(crop), grey(whole), rough)
    assert aligned.correlation > 0.9
    assert aligned.drift < 0.25 / SIDE
    assert aligned.covered > 0.8
    assert aligned.copy_probability >= COPY_FROM
    stuck = crop.copy()
    stuck.paste(0, (120, 120, 220, 220))
    assert align(grey(stuck), grey(whole), rough).copy_probability >= COPY_FROM


@pytest.mark.parametrize("seed", range(4))
def test_depth_drifts(seed: int) -> None:
    """Two layers, of which the nearer one has moved: no homography explains both."""
    far, near = texture(seed), texture(seed + 100)
    rng = np.random.default_rng(seed)
    mask = Image.fromarray(rng.choice([0, 255], (6, 6)).astype(np.uint8)).resize((512, 512), 0)
    views = []
    for aside in (0, 10):
        view = far.copy()
        view.paste(near, (aside, 0), mask)
        views.append(grey(view))
    assert align(views[0], views[0], shift(0.01)).copy_probability >= COPY_FROM
    assert align(views[0], views[1], shift(0.01)).copy_probability < COPY_FROM


def test_other_images_do_not_agree() -> None:
    for seed in range(6):
        aligned = align(grey(texture(seed)), grey(texture(seed + 50)), np.eye(3))
        assert aligned.copy_probability < 0.1


def test_what_cannot_be_compared_is_not_a_copy() -> None:
    nothing = Alignment(0.0, float("inf"), 0.0)
    blank, image = np.full((128, 128), 7, np.float32), grey(texture(0))
    assert align(blank, blank, np.eye(3)) == nothing
    assert align(image, image, shift(3.0)) == nothing
    assert align(image[:9], image, np.eye(3)) == nothing
    assert align(image, image, np.array([[1, 0, 0], [0, 1, 0], [0, -2, 1.0]])).drift >= 0
    assert nothing.copy_probability < 0.01
