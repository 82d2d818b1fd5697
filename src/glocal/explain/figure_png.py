"""Figures as PNG, drawn by Pillow."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from glocal.explain.color_scales import PAPER, SHADE
from glocal.explain.figure import Figure, Patch, Photo, Ring, Stroke, Words
from glocal.visible_text import visible

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

_FINER = 2  # drawn this much larger and then scaled down, since Pillow's lines have hard edges
_ANCHORS = {"start": "ls", "middle": "ms", "end": "rs"}
# Pillow's own font has little more than ASCII. These are searched for among the system's fonts.
_FONTS = ("DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf", "Arial.ttf", "NotoSans-Regular.ttf")


def png(figure: Figure) -> bytes:
    """The bytes of a PNG file."""
    from PIL import Image, ImageDraw

    page = Image.new("RGB", (figure.width * _FINER, figure.height * _FINER), PAPER)
    pen = ImageDraw.Draw(page)
    plain = all(s.text.isascii() for s in figure.shapes if isinstance(s, Words))
    for shape in figure.shapes:
        if isinstance(shape, Photo):
            _photo(page, shape)
        elif isinstance(shape, Stroke):
            _stroke(pen, shape)
        elif isinstance(shape, Ring):
            _ring(pen, shape)
        elif isinstance(shape, Patch):
            right, bottom = shape.left + shape.width, shape.top + shape.height
            corners = [_fine(v) for v in (shape.left, shape.top, right, bottom)]
            pen.rectangle((corners[0], corners[1], corners[2] - 1, corners[3] - 1), shape.color)
        else:
            _words(pen, shape, plain=plain)
    file = io.BytesIO()
    page.reduce(_FINER).save(file, "PNG")
    return file.getvalue()


def text_width(text: str, size: float) -> float:
    """The width of a line of text, in the unit of ``size``."""
    return float(_font(100, plain=text.isascii()).getlength(visible(text))) * size / 100


def _photo(page: Image.Image, photo: Photo) -> None:
    from PIL import Image

    left, top = _fine(photo.left), _fine(photo.top)
    right, bottom = _fine(photo.left + photo.width), _fine(photo.top + photo.height)
    size = max(1, right - left), max(1, bottom - top)
    scaled = Image.fromarray(photo.array).resize(size, Image.Resampling.LANCZOS)
    page.paste(scaled, (left, top))


def _stroke(pen: ImageDraw.ImageDraw, stroke: Stroke) -> None:
    points = [(_fine(x), _fine(y)) for x, y in stroke.points]
    if stroke.closed:
        points += points[:2]  # past the corner, so that it is joined like the others
    for color, share in ((SHADE, 2.0), (stroke.color, 1.0)):
        width = max(1, _fine(stroke.thickness * share))
        pen.line(points, color, width, joint="curve")


def _ring(pen: ImageDraw.ImageDraw, ring: Ring) -> None:
    x, y = (value * _FINER for value in ring.center)
    radius, line = ring.radius * _FINER, ring.thickness * _FINER
    if ring.filled:
        pen.ellipse(_around(x, y, radius + line), SHADE)
        pen.ellipse(_around(x, y, radius), ring.color)
        return
    width = max(1, round(line))
    pen.ellipse(_around(x, y, radius + line), outline=SHADE, width=2 * width)
    pen.ellipse(_around(x, y, radius + line / 2), outline=ring.color, width=width)


def _words(pen: ImageDraw.ImageDraw, words: Words, *, plain: bool) -> None:
    pen.text(
        (words.place[0] * _FINER, words.place[1] * _FINER),
        visible(words.text),
        words.color,
        _font(round(words.size * _FINER), plain=plain),
        anchor=_ANCHORS[words.anchor],
        stroke_width=words.size * _FINER / 50 if words.strong else 0,
        stroke_fill=words.color,
    )


def _font(size: int, *, plain: bool) -> Any:
    from PIL import ImageFont

    for name in () if plain else _FONTS:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue  # not on this machine
    return ImageFont.load_default(size)


def _around(x: float, y: float, radius: float) -> tuple[float, float, float, float]:
    return x - radius, y - radius, x + radius, y + radius


def _fine(value: float) -> int:
    return round(value * _FINER)
