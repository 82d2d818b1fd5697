"""Vectors of rendered solids from several views, of line drawings of them, and of products."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import Encoder, load_encoder
from glocal.errors import MethodError
from glocal.learn.places.boxes import TEXEL, Camera, Face, Scene, render
from glocal.query.drawings import line_drawing
from glocal.trials.data import GROCERY

VIEWS = 6
_SIDE = 128  # pixels of a rendering
_SCALE = 0.5  # of the encoder's input, which is enough for them
_JITTER = math.radians(5)

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Solids:
    """Vectors by thing and view.

    Attributes:
        photos: ``(things, VIEWS, d)``.
        sketches: likewise, of line drawings that are seen from five degrees to a side.
    """

    photos: Floats
    sketches: Floats


@cache
def solids(count: int, seed: int = 7) -> Solids:
    """Things of three to six boxes, each at `VIEWS` turns around it."""
    random, photos, sketches = np.random.default_rng(seed), [], []
    for _ in range(count):
        thing = _thing(random)
        for view in range(VIEWS):
            yaw = 2 * math.pi * view / VIEWS
            photos.append(_seen(thing, yaw))
            aside = yaw + random.choice([-_JITTER, _JITTER])
            sketches.append(line_drawing(_seen(thing, aside)))
    shape = (count, VIEWS, -1)
    return Solids(encoded(photos).reshape(shape), encoded(sketches).reshape(shape))


@cache
def products(count: int | None = None) -> tuple[Floats, Floats]:
    """Vectors of Grocery's product images ``(n, d)``, and of line drawings of them.

    Raises:
        MethodError: ``GLOCAL_GROCERY`` names no folder that has them.
    """
    folder = Path(os.environ.get(GROCERY, "")) / "iconic-images-and-descriptions"
    files = sorted(folder.rglob("*_Iconic.jpg"))[:count] if os.environ.get(GROCERY) else []
    if not files:
        raise MethodError(f"this trial needs Grocery's product images; set {GROCERY} to its folder")
    from PIL import Image

    images = [np.asarray(Image.open(file).convert("RGB").resize((224, 224))) for file in files]
    return encoded(images), encoded([line_drawing(image) for image in images])


def encoded(images: list[NDArray[np.uint8]]) -> Floats:
    """Vectors ``(n, d)`` by the default model, at half its usual size."""
    found = [each.vector for image in images for each in _encoder().encode([image], scale=_SCALE)]
    return np.stack(found)


@cache
def _encoder() -> Encoder:
    return load_encoder()


def _thing(random: np.random.Generator) -> Scene:
    """Boxes in several colours, one upon or beside another, in an empty light room."""
    scene = Scene(ambient=0.6)
    scene.textures.append(np.full((TEXEL, TEXEL, 3), 235, np.uint8))
    scene.add((-6.0, -6.0, 0.0), (6.0, 6.0, 6.0), Face(0))
    for _ in range(int(random.integers(3, 7))):
        colour = random.integers(20, 240, 3)
        scene.textures.append(np.tile(colour, (TEXEL, TEXEL, 1)).astype(np.uint8))
        face = Face(len(scene.textures) - 1)
        size = random.uniform(0.25, 1.1, 3)
        x, y = random.uniform(-0.7, 0.7, 2) - size[:2] / 2
        z = float(random.choice([0.0, 0.0, random.uniform(0.3, 1.2)]))
        low, high = (float(x), float(y), z), (float(x + size[0]), float(y + size[1]), z + size[2])
        scene.add(low, (high[0], high[1], float(high[2])), face)
    scene.lamps.append(np.array([2.0, -3.0, 5.0], np.float32))
    return scene


def _seen(scene: Scene, yaw: float) -> NDArray[np.uint8]:
    far = 3.4
    place = (-far * math.cos(yaw), -far * math.sin(yaw), 1.9)
    camera = Camera(place, yaw, pitch=math.radians(-19), field_of_view=math.radians(50))
    return render(scene, camera, (_SIDE, _SIDE))
