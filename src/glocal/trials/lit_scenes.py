"""Made scenes with a light and a box, made objects with a light and a shape, and composites.

An object fits into a box if it is lit from where the scene is, by light of about the same colour,
and is as wide for its height as the box. Nothing of that is said to a network but whether it fits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIDE = 16
_SHAPES = ((12, 6), (8, 8), (6, 12))  # width and height of boxes and objects in pixels
_TURN, _COLOUR = np.pi / 3, 0.6

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Lit:
    """Scenes or objects.

    Attributes:
        images: ``(n, 4, 16, 16)`` float32 in [0, 1]: RGB, and the box or alpha.
        light: ``(n,)`` angles from which light comes, in radians.
        colour: ``(n,)`` from -1, cold, to 1, warm.
        shape: ``(n,)`` numbers of shapes.
    """

    images: Floats
    light: Floats
    colour: Floats
    shape: NDArray[np.int64]

    def pixels(self, rows: NDArray[np.int64]) -> Tensor:
        """Some of the images."""
        return torch.from_numpy(self.images[rows])


def scenes(count: int, random: np.random.Generator) -> Lit:
    """Backgrounds with a box, which is grey."""
    made = _blank(count, random)
    for at in range(count):
        walls = random.uniform(0.3, 0.9, 3)[:, None, None] * np.ones((3, SIDE, SIDE))
        walls[:, int(random.integers(9, 13)) :] *= random.uniform(0.5, 0.9)
        walls += random.normal(0, 0.04, walls.shape)
        made.images[at, :3] = np.clip(walls * _shading(made, at), 0, 1)
        box = made.images[at, :, _place(made, at)[0], _place(made, at)[1]]
        box[:3], box[3] = 0.5, 1.0
    return made


def objects(count: int, random: np.random.Generator) -> Lit:
    """Foregrounds: ellipses and rectangles of one colour in the middle, transparent around."""
    made = _blank(count, random)
    rows, columns = (np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2) * 2
    for at in range(count):
        wide, high = _SHAPES[made.shape[at]]
        inside = np.maximum(abs(columns) / wide, abs(rows) / high) <= 1
        if random.random() < 0.5:
            inside = (columns / wide) ** 2 + (rows / high) ** 2 <= 1
        paint = random.uniform(0.3, 0.9, 3)[:, None, None]
        made.images[at, :3] = np.clip(paint * _shading(made, at), 0, 1) * inside
        made.images[at, 3] = inside
    return made


def composed(scene: Lit, thing: Lit, where: NDArray[np.int64], what: NDArray[np.int64]) -> Tensor:
    """Composites ``(n, 4, 16, 16)``: each object scaled to its scene's box, and the box."""
    found = scene.images[where].copy()
    for at, (place, each) in enumerate(zip(where.tolist(), what.tolist(), strict=True)):
        rows, columns = _place(scene, place)
        high, wide = rows.stop - rows.start, columns.stop - columns.start
        own = _place(thing, each)
        down = np.linspace(own[0].start, own[0].stop - 1, high).round().astype(int)
        across = np.linspace(own[1].start, own[1].stop - 1, wide).round().astype(int)
        cut = thing.images[each][:, down[:, None], across]
        box = found[at, :3, rows, columns]
        box[:] = cut[:3] + box * (1 - cut[3])
    return torch.from_numpy(found)


def fits(
    scene: Lit, thing: Lit, where: NDArray[np.int64], what: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Whether objects fit into scenes, by their numbers, of shapes that go together."""
    apart = np.abs(np.angle(np.exp(1j * (scene.light[where] - thing.light[what]))))
    alike = np.abs(scene.colour[where] - thing.colour[what]) < _COLOUR
    return (apart < _TURN) & alike & (scene.shape[where] == thing.shape[what])


def _blank(count: int, random: np.random.Generator) -> Lit:
    return Lit(
        np.zeros((count, 4, SIDE, SIDE), np.float32),
        random.uniform(-np.pi, np.pi, count).astype(np.float32),
        random.uniform(-1, 1, count).astype(np.float32),
        random.integers(len(_SHAPES), size=count),
    )


def _place(made: Lit, at: int) -> tuple[slice, slice]:
    """Rows and columns of the box in the middle."""
    wide, high = _SHAPES[made.shape[at]]
    top, left = (SIDE - high) // 2, (SIDE - wide) // 2
    return slice(top, top + high), slice(left, left + wide)


def _shading(made: Lit, at: int) -> Floats:
    """Brighter towards the light, and in its colour, ``(3, 16, 16)``."""
    rows, columns = np.mgrid[:SIDE, :SIDE] / (SIDE - 1) * 2 - 1
    towards = columns * np.cos(made.light[at]) + rows * np.sin(made.light[at])
    tint = np.array([1 + 0.25 * made.colour[at], 1, 1 - 0.25 * made.colour[at]])
    return np.asarray((0.75 + 0.45 * towards) * tint[:, None, None], np.float32)
