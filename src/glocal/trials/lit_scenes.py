"""Made scenes with a light and a box, made objects with a light, and composites of them.

Walls and objects are white and matte: all that is seen of them is the light. An object fits into a
box if it is lit from where the scene is, by light of about the same colour. Nothing of that is said
to a network but whether it fits; a composite shows it along the edges of the box.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

SIDE = 16
_SHAPES = ((12, 6), (8, 8), (6, 12))  # width and height of boxes and objects in pixels
_TURN, _COLOUR = np.pi / 3, 0.12

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Lit:
    """Scenes or objects.

    Attributes:
        images: ``(n, 4, 16, 16)`` float32 in [0, 1]: RGB, and the box or alpha.
        light: ``(n,)`` angles from which light comes, in radians.
        colour: ``(n, 3)`` of the light, in [0.3, 0.7].
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
    """Backgrounds with a box, which is black."""
    made = _lit(count, random)
    for at in range(count):
        box = made.images[at][(slice(None), *_place(made, at))]
        box[:3], box[3] = 0.0, 1.0
    return made


def objects(count: int, random: np.random.Generator) -> Lit:
    """Foregrounds: rectangles in the middle, transparent around."""
    made = _lit(count, random)
    for at in range(count):
        inside = np.zeros((SIDE, SIDE), np.float32)
        inside[_place(made, at)] = 1
        made.images[at, :3] *= inside
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
    alike = np.abs(scene.colour[where] - thing.colour[what]).max(axis=-1) < _COLOUR
    return (apart < _TURN) & alike


def _lit(count: int, random: np.random.Generator) -> Lit:
    """White surfaces in a light: brighter towards it, and in its colour."""
    light = random.uniform(-np.pi, np.pi, count).astype(np.float32)
    colour = random.uniform(0.3, 0.7, (count, 3)).astype(np.float32)
    rows, columns = np.mgrid[:SIDE, :SIDE] / (SIDE - 1) * 2 - 1
    towards = columns * np.cos(light)[:, None, None] + rows * np.sin(light)[:, None, None]
    images = np.zeros((count, 4, SIDE, SIDE), np.float32)
    images[:, :3] = colour[..., None, None] * (1 + 0.3 * towards[:, None])
    images[:, :3] += random.normal(0, 0.02, images[:, :3].shape)
    shape = random.integers(len(_SHAPES), size=count)
    return Lit(np.clip(images, 0, 1), light, colour, shape)


def _place(made: Lit, at: int) -> tuple[slice, slice]:
    """Rows and columns of the box in the middle."""
    wide, high = _SHAPES[made.shape[at]]
    top, left = (SIDE - high) // 2, (SIDE - wide) // 2
    return slice(top, top + high), slice(left, left + wide)
