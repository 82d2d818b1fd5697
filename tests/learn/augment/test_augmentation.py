from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from glocal.errors import LearnError
from glocal.learn.augment import Augmentation


def photo(height: int, width: int) -> np.ndarray:
    """Smooth patches, so that views are similar to the image."""
    patches = np.random.default_rng(1).integers(0, 256, (6, 8, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(patches).resize((width, height), Image.Resampling.BICUBIC))


@pytest.fixture
def stickers(tmp_path):
    paths = []
    for number in range(3):
        Image.fromarray(photo(40, 50)[:, :, ::-1]).save(tmp_path / f"{number}.jpg")
        paths.append(tmp_path / f"{number}.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    return [*paths, tmp_path / "broken.jpg"]


@pytest.mark.parametrize("mirror", [False, True])
def test_equal_seeds_give_equal_views_and_others_do_not(stickers, mirror):
    augment = Augmentation(side=64, mirror=mirror, overlays=stickers)
    image = photo(90, 120)
    before = image.copy()
    first = [augment(image, np.random.default_rng(seed)) for seed in range(60)]
    again = [augment(image, np.random.default_rng(seed)) for seed in range(60)]
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert len({view.tobytes() for view in first}) == 60
    assert np.array_equal(image, before)


@pytest.mark.parametrize(
    "shape",
    [(1, 1, 3), (1, 5000, 3), (5000, 1, 3), (2, 3, 3), (7, 9), (7, 9, 1), (300, 200, 3)],
)
@pytest.mark.parametrize("strength", [0.0, 1.0, 2.0])
def test_any_image_gives_a_square_view(shape, strength, stickers):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    augment = Augmentation(side=33, strength=strength, mirror=True, overlays=stickers)
    for seed in range(25):
        view = augment(image, np.random.default_rng(seed))
        assert view.shape == (33, 33, 3)
        assert view.dtype == np.uint8


@pytest.mark.parametrize("side", [1, 2, 5])
def test_tiny_views_come_out_of_every_step(side, stickers):
    augment = Augmentation(side=side, strength=2.0, overlays=stickers)
    for seed in range(40):
        assert augment(photo(20, 20), np.random.default_rng(seed)).shape == (side, side, 3)


def test_strength_zero_only_resizes():
    image = photo(64, 64)
    view = Augmentation(side=64, strength=0)(image, np.random.default_rng(3))
    assert np.abs(view.astype(int) - image).max() <= 2


def test_more_strength_changes_more():
    image = photo(96, 96)
    changed = []
    for strength in (0.2, 0.6, 1.2):
        augment = Augmentation(side=96, strength=strength)
        views = [augment(image, np.random.default_rng(seed)) for seed in range(80)]
        changed.append(np.mean([np.abs(view.astype(int) - image).mean() for view in views]))
    assert changed[0] < changed[1] < changed[2]


def test_views_are_mirrored_only_on_request():
    image = np.zeros((80, 80, 3), np.uint8)
    image[:, :40] = 255

    def left_is_dark(view: np.ndarray) -> bool:
        return bool(view[:, :16].mean() < view[:, -16:].mean())

    for mirror, expected in ((False, 0.0), (True, 0.5)):
        augment = Augmentation(side=48, strength=0.02, mirror=mirror)
        views = [augment(image, np.random.default_rng(seed)) for seed in range(200)]
        assert np.mean([left_is_dark(v) for v in views]) == pytest.approx(expected, abs=0.12)


def test_without_overlays_nothing_is_pasted_and_with_them_something_is(tmp_path):
    Image.new("RGB", (60, 60), (255, 0, 0)).save(tmp_path / "red.png")
    grey = np.full((60, 60, 3), 120, np.uint8)

    def red(augment: Augmentation) -> int:
        views = [augment(grey, np.random.default_rng(seed)).astype(int) for seed in range(150)]
        return sum(
            ((v[..., 0] > v[..., 1] + 90) & (v[..., 0] > v[..., 2] + 90)).mean() > 0.05
            for v in views
        )

    assert (
        red(Augmentation(side=48, overlays=[tmp_path / "red.png"]))
        > red(Augmentation(side=48)) + 10
    )


def test_unreadable_overlays_are_skipped(tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"\xff\xd8\xff nothing")
    augment = Augmentation(side=32, overlays=[tmp_path / "broken.jpg", tmp_path / "absent.png"])
    for seed in range(60):
        augment(photo(40, 40), np.random.default_rng(seed))


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 4, 3), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros(4, np.uint8),
    ],
)
def test_arrays_that_are_no_images_are_refused(image):
    with pytest.raises(LearnError, match="uint8"):
        Augmentation(side=8)(image, np.random.default_rng(0))


@pytest.mark.parametrize("options", [{"side": 0}, {"side": 8, "strength": -0.1},
                                     {"side": 8, "strength": 3.0}])  # fmt: skip
def test_settings_out_of_range_are_refused(options):
    with pytest.raises(LearnError):
        Augmentation(**options)
