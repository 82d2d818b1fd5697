"""Figures as SVG: photos inside as JPEG, everything else as shapes and text."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Iterator

from glocal.explain.color_scales import SHADE, Color
from glocal.explain.figure import Figure, Patch, Photo, Point, Ring, Stroke, Words
from glocal.visible_text import visible

_QUALITY = 88
_FINER = 2  # pixels of a photo per unit of the page, at most


def svg(figure: Figure) -> str:
    """The text of a self-contained SVG file."""
    return "".join(_lines(figure))


def _lines(figure: Figure) -> Iterator[str]:
    size = f"{figure.width} {figure.height}"
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{figure.width}" '
        f'height="{figure.height}" role="img" '
        "font-family=\"Helvetica, Arial, 'Liberation Sans', sans-serif\">\n"
        f"<title>{_text(figure.title)}</title>\n"
        f'<rect width="{figure.width}" height="{figure.height}" fill="#ffffff"/>\n'
    )
    for shape in figure.shapes:
        if isinstance(shape, Photo):
            yield _photo(shape)
        elif isinstance(shape, Stroke):
            yield _stroke(shape)
        elif isinstance(shape, Ring):
            yield _ring(shape)
        elif isinstance(shape, Patch):
            yield f'<rect {_box(shape)} fill="{_hex(shape.color)}"/>\n'
        else:
            yield _words(shape)
    yield "</svg>\n"


def _photo(photo: Photo) -> str:
    from PIL import Image

    image = Image.fromarray(photo.array)
    limit = max(1, round(photo.width * _FINER)), max(1, round(photo.height * _FINER))
    smaller = min(image.width, limit[0]), min(image.height, limit[1])
    if smaller != image.size:
        image = image.resize(smaller, Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY, optimize=True)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return (
        f'<image {_box(photo)} preserveAspectRatio="none" '
        f'href="data:image/jpeg;base64,{data}"><title>{_text(photo.description)}</title></image>\n'
    )


def _stroke(stroke: Stroke) -> str:
    tag = "polygon" if stroke.closed else "polyline"
    points = " ".join(f"{_number(x)},{_number(y)}" for x, y in stroke.points)
    return "".join(
        f'<{tag} points="{points}" fill="none" stroke="{_hex(color)}" '
        f'stroke-width="{_number(stroke.thickness * share)}" stroke-linejoin="round"/>\n'
        for color, share in ((SHADE, 2.0), (stroke.color, 1.0))
    )


def _ring(ring: Ring) -> str:
    line = ring.thickness
    if ring.filled:
        return _circle(ring.center, ring.radius + line, f'fill="{_hex(SHADE)}"') + _circle(
            ring.center, ring.radius, f'fill="{_hex(ring.color)}"'
        )
    open_ring = 'fill="none" stroke="{}" stroke-width="{}"'
    return _circle(
        ring.center, ring.radius, open_ring.format(_hex(SHADE), _number(2 * line))
    ) + _circle(ring.center, ring.radius, open_ring.format(_hex(ring.color), _number(line)))


def _circle(center: Point, radius: float, style: str) -> str:
    return (
        f'<circle cx="{_number(center[0])}" cy="{_number(center[1])}" r="{_number(radius)}" '
        f"{style}/>\n"
    )


def _words(words: Words) -> str:
    x, y = words.place
    weight = ' font-weight="bold"' if words.strong else ""
    return (
        f'<text x="{_number(x)}" y="{_number(y)}" font-size="{_number(words.size)}" '
        f'text-anchor="{words.anchor}" fill="{_hex(words.color)}"{weight}>'
        f"{_text(words.text)}</text>\n"
    )


def _box(shape: Photo | Patch) -> str:
    return (
        f'x="{_number(shape.left)}" y="{_number(shape.top)}" '
        f'width="{_number(shape.width)}" height="{_number(shape.height)}"'
    )


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _hex(color: Color) -> str:
    return "#{:02x}{:02x}{:02x}".format(*color)


def _text(text: str) -> str:
    return html.escape(visible(text), quote=True)
