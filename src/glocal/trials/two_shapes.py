"""Made scenes of two shapes that stand to each other in a way, and photos of two objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from glocal.trials.lab import Lab

SIDE = 96  # pixels of a scene
RELATIONS = (
    "inside",
    "around",
    "enclosed on three sides",
    "above",
    "below",
    "left",
    "right",
    "bridging",
    "crossing",
    "riding",
    "leaning against",
)
"""How the first shape stands to the second one. Of some of them the boxes are alike: what is
enclosed on three sides is inside the other's box, and a bridge lies above its
piers."""

PLACED = ("inside", "above", "below", "left", "right")
"""Those in which `pasted` places objects, whose boxes are all that is known."""

Mask = NDArray[np.bool_]
Box = tuple[float, float, float, float]
Pen = ImageDraw.ImageDraw


def two_shapes(relation: str, random: np.random.Generator) -> tuple[Mask, Mask]:
    """Masks ``(96, 96)`` of two shapes in a relation, of random sizes and at a random place."""
    first, second = Image.new("1", (SIDE, SIDE)), Image.new("1", (SIDE, SIDE))
    one, other = ImageDraw.Draw(first), ImageDraw.Draw(second)
    _DRAWN[relation](one, other, random)
    return np.asarray(first), np.asarray(second)


def _shape(draw: Pen, box: Box, random: np.random.Generator) -> None:
    """An ellipse, a rectangle or a triangle that fills a box."""
    kind = int(random.integers(3))
    left, top, right, bottom = box
    if kind == 0:
        draw.ellipse(box, fill=1)
    elif kind == 1:
        draw.rectangle(box, fill=1)
    else:
        draw.polygon([(left, bottom), ((left + right) / 2, top), (right, bottom)], fill=1)


def _at(x: float, y: float, wide: float, high: float) -> Box:
    """A box around a middle."""
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def _inside(one: Pen, other: Pen, random: np.random.Generator) -> None:
    wide, high = random.uniform(45, 80, 2)
    small = random.uniform(0.2, 0.45, 2)
    x, y = random.uniform(-0.15, 0.15, 2)
    other.ellipse(_at(48, 48, wide, high), fill=1)
    _shape(one, _at(48 + x * wide, 48 + y * high, small[0] * wide, small[1] * high), random)


def _around(one: Pen, other: Pen, random: np.random.Generator) -> None:
    """A ring, and what lies in its hole."""
    wide, high = random.uniform(50, 80, 2)
    hole = random.uniform(0.6, 0.75)
    one.ellipse(_at(48, 48, wide, high), fill=1)
    one.ellipse(_at(48, 48, wide * hole, high * hole), fill=0)
    small = random.uniform(0.2, 0.4, 2)
    _shape(other, _at(48, 48, small[0] * wide, small[1] * high), random)


def _enclosed(one: Pen, other: Pen, random: np.random.Generator) -> None:
    """Something in a vessel that is open above."""
    wide, high = random.uniform(45, 80, 2)
    left, top, right, bottom = _at(48, 48, wide, high)
    wall = random.uniform(0.1, 0.18) * wide
    other.rectangle((left, top, right, bottom), fill=1)
    other.rectangle((left + wall, top - 1, right - wall, bottom - wall), fill=0)
    small = random.uniform(0.25, 0.5, 2)
    middle = 48 + random.uniform(-0.15, 0.1) * high
    _shape(one, _at(48, middle, small[0] * wide, small[1] * high), random)


def _towards(way: tuple[int, int]) -> Callable[[Pen, Pen, np.random.Generator], None]:
    """The first shape in a direction from the second one."""

    def draw(one: Pen, other: Pen, random: np.random.Generator) -> None:
        sizes = random.uniform(14, 34, (2, 2))
        along = 0 if way[0] else 1
        far = sizes[:, along].sum() / 2 + random.uniform(2, 14)
        across = random.uniform(-8, 8)
        step = np.array(way) * far + np.array([way[1], way[0]]) * across
        place = 48 + step / 2
        _shape(one, _at(*place, *sizes[0]), random)
        _shape(other, _at(*(place - step), *sizes[1]), random)

    return draw


def _bridging(one: Pen, other: Pen, random: np.random.Generator) -> None:
    """A plank on two piers, which are one area."""
    apart, high = random.uniform(30, 56), random.uniform(18, 36)
    thick, pier = random.uniform(5, 10), random.uniform(8, 14)
    top = 48 - high / 2
    one.rectangle((48 - apart / 2 - pier / 2, top - thick, 48 + apart / 2 + pier / 2, top), fill=1)
    for side in (-1, 1):
        x = 48 + side * apart / 2
        other.rectangle((x - pier / 2, top, x + pier / 2, top + high), fill=1)


def _crossing(one: Pen, other: Pen, random: np.random.Generator) -> None:
    """An upright bar across a lying one."""
    long, wide = random.uniform(40, 70, 2), random.uniform(8, 16, 2)
    x, y = random.uniform(-0.2, 0.2, 2) * long
    one.rectangle(_at(48 + x, 48 + y, wide[0], long[0]), fill=1)
    other.rectangle(_at(48, 48, long[1], wide[1]), fill=1)


def _riding(one: Pen, other: Pen, random: np.random.Generator) -> None:
    """Something upright that reaches into the middle of a lying one from above."""
    wide, high = random.uniform(40, 70), random.uniform(16, 30)
    other.ellipse(_at(48, 62, wide, high), fill=1)
    tall = random.uniform(26, 46)
    sunk = random.uniform(0.25, 0.5) * high
    bottom = 62 - high / 2 + sunk
    x = 48 + random.uniform(-0.1, 0.1) * wide
    one.ellipse((x - tall / 5, bottom - tall, x + tall / 5, bottom), fill=1)


def _leaning(one: Pen, other: Pen, random: np.random.Generator) -> None:
    """A slanting bar whose upper end touches an upright wall to its right."""
    high, reach = random.uniform(40, 66), random.uniform(20, 36)
    thick = int(random.integers(4, 9))
    wall = 48 + reach / 2
    bottom = 48 + high / 2
    other.rectangle((wall, bottom - high, wall + random.uniform(6, 12), bottom), fill=1)
    top = bottom - high * random.uniform(0.7, 1)
    one.line((wall - reach, bottom, wall, top), fill=1, width=thick)


_DRAWN = {
    "inside": _inside,
    "around": _around,
    "enclosed on three sides": _enclosed,
    "above": _towards((0, -1)),
    "below": _towards((0, 1)),
    "left": _towards((-1, 0)),
    "right": _towards((1, 0)),
    "bridging": _bridging,
    "crossing": _crossing,
    "riding": _riding,
    "leaning against": _leaning,
}


@dataclass(frozen=True, slots=True, eq=False)
class Pasted:
    """Photos into which two objects were pasted.

    Attributes:
        objects: two of ``(128, 128, 3)`` uint8, the first and the second.
        photos: ``(320, 320, 3)`` uint8 each.
        labels: ``(n,)`` numbers of `PLACED`.
    """

    objects: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    photos: list[NDArray[np.uint8]]
    labels: NDArray[np.int64]


def pasted(lab: Lab, random: np.random.Generator, each: int) -> Pasted:
    """Photos with two objects in each relation of `PLACED`; the objects are photos too."""
    small, large = lab.photos(128), lab.photos(320)
    *textured, smooth = range(len(small))  # a rocket before the sky has few keypoints
    mixed: list[int] = random.permutation(textured).tolist()
    first, second, backs = mixed[0], mixed[1], [*mixed[2:], smooth]
    photos = []
    labels = np.repeat(np.arange(len(PLACED)), each)
    for label in labels.tolist():
        canvas = Image.fromarray(large[backs[int(random.integers(len(backs)))]])
        boxes = _boxes(PLACED[label], random)
        for which, box in reversed(list(zip((first, second), boxes, strict=True))):
            left, top, side = (round(v) for v in box)
            thing = Image.fromarray(small[which]).resize((side, side), Image.Resampling.LANCZOS)
            canvas.paste(thing, (left, top))
        photos.append(np.asarray(canvas))
    return Pasted((small[first], small[second]), photos, labels)


def _boxes(relation: str, random: np.random.Generator) -> list[tuple[float, float, float]]:
    """Left, top and side of the first object and of the second one."""
    if relation == "inside":
        side = random.uniform(0.4, 0.5) * 300
        x, y = random.uniform(0, 300 - side, 2)
        return [(10 + x, 10 + y, side), (10, 10, 300)]
    way = {"above": (0, -1), "below": (0, 1), "left": (-1, 0), "right": (1, 0)}[relation]
    sides = random.uniform(100, 145, 2)
    far = sides.sum() / 2 + random.uniform(2, 310 - sides.sum())
    step = np.array(way) * far + np.array([way[1], way[0]]) * random.uniform(-30, 30)
    middle = 160 + step / 2
    other = middle - step
    return [(*(place - side / 2), side) for place, side in zip((middle, other), sides, strict=True)]
