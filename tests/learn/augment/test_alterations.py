from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from glocal.errors import LearnError
from glocal.learn.augment import colour, cutmix, focus, framing, lighting, overlays, recoding
from glocal.learn.augment.geometry import Geometry, homography

STEPS = {
    "recoloured": colour.recoloured,
    "refocused": focus.refocused,
    "noisy": focus.noisy,
    "recoded": recoding.recoded,
    "written on": overlays.written_on,
    "stickered": overlays.stickered,
    "screenshot": framing.screenshot,
    "framed": framing.framed,
    "lit unevenly": lighting.lit_unevenly,
}


def photo(side: int = 64) -> Image.Image:
    return Image.fromarray(
        np.random.default_rng(2).integers(0, 256, (side, side, 3)).astype(np.uint8)
    )


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS.keys())
def test_each_step_changes_something_and_keeps_the_size(step):
    image = photo()
    before = image.tobytes()
    changed = 0
    for seed in range(40):
        view = step(image, np.random.default_rng(seed), 1.0)
        assert view.size == image.size
        assert view.mode == "RGB"
        changed += view.tobytes() != before
        assert view.tobytes() == step(image, np.random.default_rng(seed), 1.0).tobytes()
    assert changed >= 36
    assert image.tobytes() == before


def test_the_homography_maps_corners_to_corners():
    corners = np.array([(3.0, 5.0), (40.0, -2.0), (50.0, 44.0), (-4.0, 30.0)])
    a, b, c, d, e, f, g, h = homography(16, corners)
    for (x, y), target in zip([(0, 0), (16, 0), (16, 16), (0, 16)], corners, strict=True):
        scale = g * x + h * y + 1
        assert ((a * x + b * y + c) / scale, (d * x + e * y + f) / scale) == pytest.approx(target)


def test_windows_cover_the_given_share_of_the_image():
    geometry = Geometry(side=32, tilt=0.0, turn=0.0, upset=0.0, least=0.4)
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        corners = geometry.window((200, 100), rng, 1.0)
        assert corners.min() >= -1e-9
        assert (corners <= (200 + 1e-9, 100 + 1e-9)).all()
        wide, high = np.ptp(corners, axis=0)
        shares.append(wide * high / (200 * 100))
    # A window whose shape does not fit the image is cut: it may fall below the least share.
    assert min(shares) > 0.2
    assert np.mean(shares) > 0.55
    assert max(shares) > 0.9


@pytest.mark.parametrize("angle", [0.3, -1.0, 2.5])
def test_hue_keeps_grey_and_brightness(angle):
    matrix = colour.hue(angle)
    assert matrix @ np.ones(3) == pytest.approx(np.ones(3))
    assert np.linalg.norm(matrix @ np.array([0.2, 0.7, 0.4])) == pytest.approx(
        np.linalg.norm([0.2, 0.7, 0.4])
    )


def test_saturation_ranges_from_grey_to_unchanged():
    assert colour.saturation(1.0) == pytest.approx(np.eye(3))
    grey = colour.saturation(0.0) @ np.array([10.0, 200.0, 90.0])
    assert np.ptp(grey) == pytest.approx(0)


def test_gamma_keeps_black_and_white():
    table = colour.gamma(0.6)
    assert (table[0], table[255], len(table)) == (0, 255, 768)
    assert table[100] > 100


def test_noise_has_no_bias_and_the_right_deviation():
    grey = Image.new("RGB", (128, 128), (128, 128, 128))
    spreads = []
    for seed in range(40):
        pixels = np.asarray(focus.noisy(grey, np.random.default_rng(seed), 1.0), float)
        assert abs(pixels.mean() - 128) < 0.6
        spreads.append(pixels.std())
    assert 0.8 < min(spreads) < 4
    assert 12 < max(spreads) < 18


def test_an_image_on_another_is_complete_and_smaller():
    inner, ground = Image.new("RGB", (50, 50), "white"), Image.new("RGB", (9, 30), "black")
    for seed in range(20):
        page = framing.image_in_image(inner, ground, np.random.default_rng(seed), 1.0)
        white = (np.asarray(page)[:, :, 0] > 128).mean()
        assert page.size == (50, 50)
        assert 0.2 < white < 0.75


@pytest.mark.parametrize("shape", [(32, 32, 3), (1, 1, 3), (2, 50, 3)])
def test_cutmix_returns_the_visible_share_of_the_first_view(shape):
    first, second = np.zeros(shape, np.uint8), np.full(shape, 255, np.uint8)
    for seed in range(50):
        mixed, share = cutmix(first, second, np.random.default_rng(seed))
        assert (mixed == 0).mean() == pytest.approx(share)
        if shape == (32, 32, 3):
            assert 0.2 < share < 0.8
    assert not first.any()


def test_cutmix_keeps_the_position_of_the_rectangle():
    rng = np.random.default_rng(0)
    first, second = (rng.integers(0, 256, (20, 30, 3)).astype(np.uint8) for _ in range(2))
    mixed, _ = cutmix(first, second, rng)
    of_first = (mixed == first).all(axis=2)
    assert (mixed[~of_first] == second[~of_first]).all()


def test_cutmix_refuses_different_shapes():
    with pytest.raises(LearnError, match="shape"):
        cutmix(
            np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8), np.random.default_rng()
        )
