"""A figure: shapes on a page, written as PNG or as SVG.

The shapes are placed once, in units of the page, and drawn by `figure_png` or `figure_svg`.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError
from glocal.explain.color_scales import INK, Color

Point = tuple[float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """An image stretched to a box; its array is ``(h, w, 3)`` uint8 RGB."""

    left: float
    top: float
    width: float
    height: float
    array: NDArray[np.uint8]
    description: str


@dataclass(frozen=True, slots=True)
class Stroke:
    """A line through points, with a dark edge so that it is visible on any photo."""

    points: tuple[Point, ...]
    color: Color
    thickness: float
    closed: bool = False


@dataclass(frozen=True, slots=True)
class Ring:
    """A circle, with a dark edge; filled or open."""

    center: Point
    radius: float
    color: Color
    thickness: float
    filled: bool = False


@dataclass(frozen=True, slots=True)
class Patch:
    """A filled rectangle."""

    left: float
    top: float
    width: float
    height: float
    color: Color


@dataclass(frozen=True, slots=True)
class Words:
    """One line of text; ``place`` is on its baseline."""

    place: Point
    text: str
    size: float
    color: Color = INK
    anchor: Literal["start", "middle", "end"] = "start"
    strong: bool = False


Shape = Photo | Stroke | Ring | Patch | Words


@dataclass(frozen=True, slots=True, eq=False)
class Figure:
    """Shapes on a white page.

    Attributes:
        width: Width of the page, in pixels of the PNG.
        height: Height of the page, in pixels of the PNG.
        title: What is shown, for those who cannot see it.
        shapes: The shapes in the order in which they are drawn.
    """

    width: int
    height: int
    title: str
    shapes: tuple[Shape, ...]

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the figure. The file appears complete or not at all.

        Args:
            path: A file that ends in ``.png`` or ``.svg``.

        Raises:
            QueryError: The file has another ending.
            OSError: The file cannot be written.
        """
        target = Path(path)
        data = self.encoded(check_ending(target))
        if target.exists() and not target.is_file():  # a device, such as /dev/stdout
            target.write_bytes(data)
            return
        unfinished = target.with_name(f".{secrets.token_hex(8)}.tmp")
        try:
            unfinished.write_bytes(data)
            os.replace(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)

    def encoded(self, kind: Literal["png", "svg"]) -> bytes:
        """The figure as the bytes of a PNG or SVG file."""
        if kind == "svg":
            from glocal.explain.figure_svg import svg

            return svg(self).encode("utf-8")
        from glocal.explain.figure_png import png

        return png(self)


def check_ending(path: Path) -> Literal["png", "svg"]:
    """The kind of image that a file name asks for.

    Raises:
        QueryError: It asks for neither PNG nor SVG.
    """
    ending = path.suffix.lower()
    if ending == ".png":
        return "png"
    if ending == ".svg":
        return "svg"
    raise QueryError(f"{path} cannot be written: name a file that ends in .png or .svg")
