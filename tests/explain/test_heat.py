"""Heat over photos: the right colours in the right places."""

from __future__ import annotations

import numpy as np
import pytest

from glocal.explain.heat import concepts_heat, enlarge, signed_bar, signed_heat, strength_heat

PHOTO = np.random.default_rng(0).integers(60, 200, (60, 90, 3), dtype=np.uint8)


def warmth(image: np.ndarray) -> np.ndarray:
    """Red less blue."""
    return image[..., 0].astype(int) - image[..., 2]


def test_above_is_yellow_and_below_is_blue() -> None:
    heat = signed_heat(PHOTO, np.array([[1.0, 0.0, -1.0]], np.float32))
    assert heat.shape == PHOTO.shape
    assert heat.dtype == np.uint8
    assert warmth(heat)[:, :10].min() > 40
    assert warmth(heat)[:, -10:].max() < -40
    assert np.abs(warmth(heat)[:, 44:46]).max() < 12


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_the_unit_of_a_map_does_not_matter(scale: float) -> None:
    grid = np.array([[0.2, -0.1], [0.4, 0.3]], np.float32)
    gap = signed_heat(PHOTO, grid).astype(int) - signed_heat(PHOTO, grid * np.float32(scale))
    assert np.abs(gap).max() <= 1


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (3, 2)])
def test_nothing_leaves_any_photo_grey(shape: tuple[int, int]) -> None:
    photo = np.full((*shape, 3), (200, 30, 90), np.uint8)
    heat = signed_heat(photo, np.zeros((2, 2), np.float32))
    assert heat.shape == photo.shape
    assert (heat == heat[..., :1]).all()


def test_strength_goes_from_blue_to_yellow() -> None:
    heat = strength_heat(PHOTO, np.array([[0.0], [1.0]], np.float32))
    assert warmth(heat)[:5].mean() < -20 < 20 < warmth(heat)[-5:].mean()


def test_each_place_has_the_colour_of_its_concept() -> None:
    concepts = np.zeros((1, 3, 3), np.float32)
    concepts[0, range(3), range(3)] = 1
    heat = concepts_heat(PHOTO, concepts)
    orange, blue, green = (heat[:, x].mean(axis=0) for x in (5, 45, 85))
    assert orange.argmax() == 0
    assert blue.argmax() == 2
    assert green.argmax() == 1


def test_a_map_is_enlarged_to_the_centres_of_its_cells() -> None:
    grid = np.array([[0, 1], [2, 3]], np.float32)
    large = enlarge(grid, (40, 60))
    assert large.shape == (40, 60)
    assert large[9:11, 14:16].mean() == pytest.approx(0, abs=0.1)
    assert large[29:31, 44:46].mean() == pytest.approx(3, abs=0.1)
    assert large.mean() == pytest.approx(1.5, abs=0.01)


def test_the_scale_is_grey_in_its_middle() -> None:
    bar = signed_bar(101, 4)
    assert bar.shape == (4, 101, 3)
    assert np.ptp(bar[0, 50]) <= 8
    assert warmth(bar)[0, 0] < -60 < 60 < warmth(bar)[0, -1]
