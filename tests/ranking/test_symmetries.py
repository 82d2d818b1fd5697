"""One image that shows the whole of another: turned, mirrored, in a border."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from glocal.ranking.alignment import align
from glocal.ranking.symmetries import outline, whole_on_whole


def grey(seed: int, width: int = 147, height: int = 111) -> Image.Image:
    rng = np.random.default_rng(seed)
    mixed = np.full((height, width), 120.0, np.float32)
    for cells, strength in ((3, 40), (7, 35), (15, 25), (40, 12)):
        layer = (rng.normal(0, strength, (cells, cells)).clip(-127, 127) + 128).astype(np.uint8)
        mixed += np.asarray(Image.fromarray(layer).resize((width, height), 3), np.float32) - 128
    return Image.fromarray(mixed.clip(0, 255).astype(np.uint8))


def array(image: Image.Image) -> np.ndarray:
    return np.asarray(image, np.float32)


@pytest.mark.parametrize("turn", list(Image.Transpose))
@pytest.mark.parametrize("border", [0, 30])
def test_every_turn_is_found(turn: Image.Transpose, border: int) -> None:
    image = grey(1)
    turned = ImageOps.expand(image.transpose(turn), border, 250)
    found = whole_on_whole(outline(array(image)), outline(array(turned)))
    assert align(array(image), array(turned), found[0]).copy_probability > 0.9
    back = whole_on_whole(outline(array(turned)), outline(array(image)))
    assert back[0] @ found[0] == pytest.approx(np.eye(3), abs=0.05)


def test_other_images_are_not_tried() -> None:
    for seed in range(5):
        one, other = outline(array(grey(seed))), outline(array(grey(seed + 50)))
        assert whole_on_whole(one, other) == []
    plain = outline(np.full((100, 100), 9, np.float32))
    assert whole_on_whole(plain, plain) == []
