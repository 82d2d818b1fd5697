"""Lay out photos, marks and text on a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.explain.color_scales import INK, QUIET, Color
from glocal.explain.figure import Figure, Patch, Photo, Point, Shape, Words
from glocal.explain.figure_png import text_width

_WIDTH = 1600.0
_UNIT = _WIDTH / 100  # all sizes are fractions of the width, so that text stays in proportion
_MARGIN, _GAP = 3 * _UNIT, 3 * _UNIT
_TALLEST = 58 * _UNIT
_NARROWEST = 24 * _UNIT  # least width of a column: its text has to fit
_TITLE, _BODY, _SMALL = 3.0 * _UNIT, 1.9 * _UNIT, 1.6 * _UNIT
_MOST_STRETCHED = 6.0  # greatest ratio of sides: a strip of 1 by 20000 would be invisible

Box = tuple[float, float, float, float]  # left, top, width, height


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """One photo of a page.

    Attributes:
        array: ``(h, w, 3)`` uint8 RGB, as it is to be shown.
        heading: A word or two above it.
        name: Name of its file, beside the heading.
        description: Text for those who cannot see it.
    """

    array: NDArray[np.uint8]
    heading: str
    name: str
    description: str


class Page:
    """A page that grows downwards."""

    def __init__(self, title: str, subtitle: str = "") -> None:
        self._title = " ".join(filter(None, [title, subtitle]))
        self._shapes: list[Shape] = []
        self._y = _MARGIN
        self._line(title, _TITLE, strong=True)
        if subtitle:
            self.note(subtitle)

    @property
    def unit(self) -> float:
        """A hundredth of the page's width."""
        return _UNIT

    def add(self, *shapes: Shape) -> None:
        """Draw shapes over the page as it is."""
        self._shapes += shapes

    def note(self, text: str) -> None:
        """Text over the whole width, broken into lines."""
        for line in _wrapped(text, _BODY, _WIDTH - 2 * _MARGIN):
            self._line(line, _BODY, color=QUIET)

    def grid(self, panels: Sequence[Panel], columns: int) -> None:
        """Photos of one height in rows of at most so many columns."""
        rows = [panels[start : start + columns] for start in range(0, len(panels), columns)]
        tallest = min(_common_height([_aspect(panel.array) for panel in row]) for row in rows)
        for row in rows:
            self.row(row, tallest)

    def row(self, panels: Sequence[Panel], tallest: float = _TALLEST) -> list[Box]:
        """Photos of one height side by side, under their headings; returns their boxes."""
        aspects = [_aspect(panel.array) for panel in panels]
        height = min(_common_height(aspects), tallest)
        self._y += 0.8 * _UNIT + _BODY
        boxes = []
        left = _MARGIN
        for panel, aspect in zip(panels, aspects, strict=True):
            column = max(aspect * height, _NARROWEST)
            box = (left, self._y + 0.9 * _UNIT, aspect * height, height)
            self._heading(panel, left, column)
            self._shapes.append(Photo(*box, panel.array, panel.description))
            boxes.append(box)
            left += column + _GAP
        self._y += 0.9 * _UNIT + height
        return boxes

    def scales(self, boxes: Sequence[Box], bar: NDArray[np.uint8], ends: Sequence[str]) -> None:
        """A scale of colours below each photo.

        Args:
            boxes: The boxes of the row just drawn.
            bar: The scale, an RGB array.
            ends: For each box the text at its left and right end, separated by a bar: ``a|b``.
        """
        self._y += 0.8 * _UNIT
        for (left, _, _, _), said in zip(boxes, ends, strict=True):
            self._scale(left, bar, *said.split("|"))
        self._y += 2.2 * _UNIT + _SMALL

    def keys(self, entries: Sequence[tuple[Color, str]]) -> None:
        """A legend: what each colour means."""
        self._y += 1.6 * _UNIT
        left = _MARGIN
        for color, text in entries:
            width = text_width(text, _BODY) * 1.1
            if left + width + 3 * _UNIT > _WIDTH - _MARGIN and left > _MARGIN:
                left, self._y = _MARGIN, self._y + 1.5 * _BODY
            self._shapes += [
                Patch(left, self._y, 1.9 * _UNIT, 1.9 * _UNIT, color),
                Words((left + 2.6 * _UNIT, self._y + 1.6 * _UNIT), text, _BODY),
            ]
            left += width + 5.5 * _UNIT
        self._y += 2.2 * _UNIT

    def figure(self) -> Figure:
        """The page with all that was added."""
        height = round(self._y + _MARGIN)
        return Figure(round(_WIDTH), height, self._title, tuple(self._shapes))

    def _line(self, text: str, size: float, *, color: Color = INK, strong: bool = False) -> None:
        fitting = shortened(text, size, _WIDTH - 2 * _MARGIN)
        self._y += size
        self._shapes.append(Words((_MARGIN, self._y), fitting, size, color, strong=strong))
        self._y += 0.45 * size

    def _heading(self, panel: Panel, left: float, width: float) -> None:
        taken = text_width(panel.heading, _BODY) * 1.15 + _UNIT
        name = shortened(panel.name, _BODY, width - taken)
        self._shapes += [
            Words((left, self._y), panel.heading, _BODY, strong=True),
            Words((left + taken, self._y), name, _BODY, QUIET),
        ]

    def _scale(self, left: float, bar: NDArray[np.uint8], low: str, high: str) -> None:
        width = _NARROWEST
        under = self._y + 1.6 * _UNIT + _SMALL
        self._shapes += [
            Photo(left, self._y, width, 1.2 * _UNIT, bar, f"scale of colours: {low} to {high}"),
            Words((left, under), low, _SMALL, QUIET),
            Words((left + width, under), high, _SMALL, QUIET, "end"),
        ]


def at(box: Box, point: Point) -> Point:
    """Where a point of a photo, in fractions of it, lies on the page."""
    left, top, width, height = box
    return left + point[0] * width, top + point[1] * height


def shortened(text: str, size: float, width: float) -> str:
    """The text, with its middle left out if it is wider than ``width``."""
    if text_width(text, size) <= width:
        return text
    for kept in range(len(text) - 1, 1, -1):
        tail = kept * 2 // 3  # the end of a file name tells more
        short = f"{text[: kept - tail]}...{text[len(text) - tail :]}"
        if text_width(short, size) <= width:
            return short
    return "..."


def _wrapped(text: str, size: float, width: float) -> list[str]:
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        # The font of a viewer may be a tenth wider than the one measured here.
        if lines[-1] and text_width(longer, size) * 1.1 > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _aspect(array: NDArray[np.uint8]) -> float:
    height, width = array.shape[:2]
    return float(min(max(width / height, 1 / _MOST_STRETCHED), _MOST_STRETCHED))


def _common_height(aspects: Sequence[float]) -> float:
    """The largest height at which the photos, and their headings, fit beside each other."""
    room = _WIDTH - 2 * _MARGIN - _GAP * (len(aspects) - 1)
    low, high = 0.0, _TALLEST
    for _ in range(30):
        height = (low + high) / 2
        if sum(max(aspect * height, _NARROWEST) for aspect in aspects) <= room:
            low = height
        else:
            high = height
    return low
