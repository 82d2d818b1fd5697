"""Rendered corridors, rooms and streets: three views of a place, other photos in each scene.

Photos of Grocery hang on the walls; walls and floors are painted, tiled, or cut out of the photos
of brick, grass and gravel that scikit-image carries. Which view shows which place is known exactly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glocal.learn.places import corridor, groups, render, room, street
from glocal.learn.places.boxes import TEXEL
from glocal.trials.data import grocery
from glocal.trials.grocery_maps import SIDE

VIEWS = 3
_PLACES, _PHOTOS, _TEXTURES, _BLANK = 6, 10, 12, 16
_KINDS = (corridor, room, corridor, room, street)

Pixels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Views of places; those of one place lie one after another.

    Attributes:
        images: ``(n * VIEWS, 224, 224, 3)``.
        places: ``(n * VIEWS,)`` numbers of the places, from 0.
        scenes: ``(n * VIEWS,)`` numbers of the scenes. Places of one scene look alike.
    """

    images: Pixels
    places: NDArray[np.int64]
    scenes: NDArray[np.int64]

    def of(self, scenes: NDArray[np.int64]) -> Places:
        """The views of some scenes."""
        there = np.isin(self.scenes, scenes)
        return Places(self.images[there], self.places[there], self.scenes[there])


@cache
def rendered(seed: int, scenes: int) -> Places:
    """Render scenes, about five places each, at different exposures."""
    photos, _ = grocery(TEXEL, 12)
    order = np.random.default_rng(seed).permutation(len(photos))
    images: list[Pixels] = []
    numbers: list[int] = []
    for scene in range(scenes):
        random = np.random.default_rng([seed, scene])
        hung = [photos[i] for i in order[scene * _PHOTOS : (scene + 1) * _PHOTOS]]
        made = _KINDS[scene % len(_KINDS)](_textures(random), hung, random)
        for cameras in groups(made, _PLACES, VIEWS, random):
            views = [_exposed(render(made, each, (SIDE, SIDE)), random) for each in cameras]
            if min(float(view.std()) for view in views) >= _BLANK:
                images += views
                numbers += [scene] * VIEWS
    places = np.arange(len(images)) // VIEWS
    return Places(np.stack(images), places, np.array(numbers, np.int64))


def _textures(random: np.random.Generator) -> list[Pixels]:
    from skimage import data

    made = []
    photos = [each() for each in (data.brick, data.grass, data.gravel)]  # type: ignore[no-untyped-call]
    for _ in range(_TEXTURES):
        photo = photos[int(random.integers(len(photos)))]
        side = int(random.integers(128, 400))
        top, left = random.integers(0, len(photo) - side + 1, 2)
        grey = photo[top : top + side, left : left + side, None].astype(np.float32)
        shade = (1 + random.normal(0, 0.15, 3)) * random.uniform(0.6, 1.3)
        cut = Image.fromarray(np.clip(grey * shade, 0, 255).astype(np.uint8))
        made.append(np.asarray(cut.resize((TEXEL, TEXEL), Image.Resampling.BICUBIC)))
    return made


def _exposed(view: Pixels, random: np.random.Generator) -> Pixels:
    """A camera's automatic exposure and noise."""
    gain = random.uniform(0.75, 1.3) * (1 + random.normal(0, 0.03, 3))
    return np.clip(view * gain + random.normal(0, 2, view.shape), 0, 255).astype(np.uint8)
