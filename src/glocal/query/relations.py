"""Relations that have a name, as examples of two boxes that stand so to each other."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError
from glocal.query.areas import Area, Box, overlap
from glocal.query.raid import Raid

_RAID = Raid()
_SAME = 0.9  # intersection over union from which two boxes are one

_SOURCE: Box = (0.4, 0.4, 0.2, 0.2)
"""The first thing of each example."""

_SIZES = (0.5, 0.8, 1.25, 2.0)
"""Sides of the second thing, relative to those of the first."""

_GAPS = (0.02, 0.5)
"""Room between both, relative to the mean of their sides."""

_SIDEWAYS = (-0.5, 0.0, 0.5)
"""How far the second thing is moved along the edge of the first one, in sides of the latter."""

_ACROSS = {"left-of": (1, 0), "right-of": (-1, 0), "above": (0, 1), "below": (0, -1)}
"""Where the second thing is, seen from the first one: what is left of it has it to its
right."""

RELATIONS = ("inside", "around", "above", "below", "left-of", "right-of", "beside", "overlapping")
"""How the first thing stands to the second one."""


def examples(name: str) -> tuple[tuple[Box, Box], ...]:
    """Pairs of boxes that stand in a relation, the first to the second.

    Raises:
        QueryError: there is no relation of that name.
    """
    if name not in RELATIONS:
        raise QueryError(f"there is no relation {name!r}; choose one of: {', '.join(RELATIONS)}")
    if name == "beside":
        return examples("left-of") + examples("right-of")
    if name in _ACROSS:
        every = [(size, gap, by) for size in _SIZES for gap in _GAPS for by in _SIDEWAYS]
        return tuple(_shifted(_ACROSS[name], *each) for each in every)
    steps = (-0.6, 0.0, 0.6)
    places = [(across, down) for across in steps for down in steps]
    if name == "inside":
        return tuple(_moved(side, x, y) for side in (1.6, 2.5, 4.0) for x, y in places)
    if name == "around":
        return tuple(_moved(side, x, y) for side in (0.25, 0.4, 0.6) for x, y in places)
    corners = [(x, y) for x, y in places if (x, y) != (0, 0)]
    return tuple(_cut(side, x, y) for side in (0.7, 1.0, 1.4) for x, y in corners)


@dataclass(frozen=True, slots=True, eq=False)
class Relation:
    """How a first thing has to stand to a second one.

    Attributes:
        wanted: ``(n, dim)`` descriptors of `Raid`; the most similar one counts.
    """

    wanted: NDArray[np.float32]

    @classmethod
    def drawn(cls, first: Box, second: Box, size: tuple[float, float]) -> Relation:
        """The relation of two boxes of an image.

        Args:
            first: in fractions of the image.
            second: likewise.
            size: width and height of the image, in any unit.

        Raises:
            QueryError: a box has no extent, or both are the same.
        """
        if overlap(first, second) > _SAME:
            raise QueryError(
                "the two regions are the same; draw one around each of two things, the first "
                "thing first"
            )
        return cls(_described(first, second, size)[None])

    @classmethod
    def named(cls, name: str) -> Relation:
        """A relation by its name, see `RELATIONS`; its examples have squares of many sizes.

        Raises:
            QueryError: there is no relation of that name.
        """
        return cls(_examples_described(name))

    @classmethod
    def of(cls, name: str | None, first: Box, second: Box, size: tuple[float, float]) -> Relation:
        """The relation of a name or, without one, that of two boxes, which may not be the same."""
        drawn = cls.drawn(first, second, size)
        return drawn if name is None else cls.named(name)

    def similarity(self, first: Box, second: Box, size: tuple[float, float]) -> float:
        """How much two boxes of an image stand so to each other, in [0, 1]; see `drawn`."""
        return float(_RAID.similarities(_described(first, second, size), self.wanted).max())


@lru_cache(maxsize=len(RELATIONS))
def _examples_described(name: str) -> NDArray[np.float32]:
    found = np.stack([_described(*pair, (1, 1)) for pair in examples(name)])
    found.setflags(write=False)
    return found


def _described(first: Box, second: Box, size: tuple[float, float]) -> NDArray[np.float32]:
    return _RAID.describe(Area.of_box(first, size), Area.of_box(second, size))


def _placed(side: float, x: float, y: float) -> tuple[Box, Box]:
    """A second thing of a relative side, its middle at x, y from that of the first one."""
    left, top, width, _ = _SOURCE
    wide, middle = width * side, width / 2
    return _SOURCE, (left + middle + x - wide / 2, top + middle + y - wide / 2, wide, wide)


def _shifted(way: tuple[int, int], side: float, gap: float, by: float) -> tuple[Box, Box]:
    """The second thing in a direction, with a gap between both, moved across by some."""
    width = _SOURCE[2]
    far, across = width * (1 + side) / 2 * (1 + gap), width * by
    return _placed(side, way[0] * far + way[1] * across, way[1] * far + way[0] * across)


def _moved(side: float, x: float, y: float) -> tuple[Box, Box]:
    """One thing wholly within the other, moved by parts of the room between their edges."""
    room = abs(1 - side) * _SOURCE[2] / 2
    return _placed(side, x * room, y * room)


def _cut(side: float, x: float, y: float) -> tuple[Box, Box]:
    """Two things that share a part, the second moved by parts of what would part them."""
    far = (1 + side) * _SOURCE[2] / 2
    return _placed(side, x * far, y * far)
