"""Twenty-five kinds of edits, each in three strengths, as people make them. Nothing to run itself.

Each takes an RGB image, a strength (0, 1 or 2) and a generator, and gives the bytes of a file.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

Rng = np.random.Generator
Graded = Callable[[Image.Image, int, Rng], bytes]


def jpeg(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(image, quality=(75, 45, 20)[s])


def webp(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(image, "WEBP", quality=(75, 45, 20)[s])


def gif(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(image.quantize((256, 128, 64)[s]), "GIF")


def png(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(image, "PNG", compress_level=(1, 6, 9)[s])


def smaller(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(_scaled(image, (0.7, 0.45, 0.25)[s]))


def larger(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(_scaled(image, (1.3, 1.8, 2.5)[s]))


def stretched(image: Image.Image, s: int, r: Rng) -> bytes:
    factor = (1.08, 1.2, 1.4)[s] ** float(r.choice([-1, 1]))
    return _bytes(image.resize((round(image.width * factor), image.height)))


def cropped(image: Image.Image, s: int, r: Rng) -> bytes:
    side = (0.9, 0.75, 0.6)[s]
    width, height = round(image.width * side), round(image.height * side)
    left, top = int(r.integers(image.width - width + 1)), int(r.integers(image.height - height + 1))
    return _bytes(image.crop((left, top, left + width, top + height)))


def halved(image: Image.Image, s: int, r: Rng) -> bytes:
    """One side of it: two thirds, half, two fifths."""
    part, right = (0.67, 0.5, 0.4)[s], bool(r.integers(2))
    width = round(image.width * part)
    left = image.width - width if right else 0
    return _bytes(image.crop((left, 0, left + width, image.height)))


def bordered(image: Image.Image, s: int, r: Rng) -> bytes:
    rim = round((0.04, 0.12, 0.25)[s] * max(image.size))
    return _bytes(ImageOps.expand(image, rim, "white" if r.integers(2) else "black"))


def letterboxed(image: Image.Image, s: int, _r: Rng) -> bytes:
    bar = round((0.08, 0.2, 0.35)[s] * image.height)
    return _bytes(ImageOps.expand(image, (0, bar), "black"))


def mirrored(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(_scaled(ImageOps.mirror(image), (1.0, 0.8, 0.5)[s]))


def on_its_side(image: Image.Image, s: int, _r: Rng) -> bytes:
    turns = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_270, Image.Transpose.ROTATE_180)
    return _bytes(image.transpose(turns[s]))


def straightened(image: Image.Image, s: int, r: Rng) -> bytes:
    angle = (1.5, 4.0, 8.0)[s] * float(r.choice([-1, 1]))
    turned = image.rotate(angle, Image.Resampling.BICUBIC)
    lean = np.tan(np.radians(abs(angle))) / 2 * 1.1
    across, down = image.height * lean + 2, image.width * lean + 2
    box = (int(across), int(down), int(image.width - across), int(image.height - down))
    return _bytes(turned.crop(box))


def brighter(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(ImageEnhance.Brightness(image).enhance((1.15, 1.3, 1.5)[s]))


def darker(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(ImageEnhance.Brightness(image).enhance((0.85, 0.65, 0.45)[s]))


def contrasted(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(ImageEnhance.Contrast(image).enhance((1.2, 1.45, 0.6)[s]))


def saturated(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(ImageEnhance.Color(image).enhance((1.3, 0.6, 1.7)[s]))


def tinted(image: Image.Image, s: int, _r: Rng) -> bytes:
    gains = ((1.04, 1, 0.94), (1.1, 1.0, 0.82), (0.85, 0.98, 1.1))[s]
    return _bytes(_image(np.asarray(image, np.float32) * gains))


def grey(image: Image.Image, s: int, _r: Rng) -> bytes:
    dim = image.convert("L")
    if s == 2:
        return _bytes(ImageOps.colorize(dim, "#201008", "#fff0d8"))
    return _bytes(dim, quality=(90, 60)[s])


def blurred(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(image.filter(ImageFilter.GaussianBlur((0.6, 1.2, 2.0)[s])))


def sharpened(image: Image.Image, s: int, _r: Rng) -> bytes:
    return _bytes(image.filter(ImageFilter.UnsharpMask(2, (60, 120, 200)[s], 2)))


def captioned(image: Image.Image, s: int, _r: Rng) -> bytes:
    image = image.copy()
    draw, size = ImageDraw.Draw(image), image.width // (16, 11, 8)[s]
    for y, anchor, text in ((0.03, "ma", "WHEN YOU FIND"), (0.97, "md", "IT ONCE AGAIN"))[: s + 1]:
        at, font = (image.width / 2, image.height * y), ImageFont.load_default(size)
        draw.text(at, text, "white", font, anchor, stroke_width=3, stroke_fill="black")
    return _bytes(image)


def watermarked(image: Image.Image, s: int, _r: Rng) -> bytes:
    veil = Image.new("RGBA", image.size)
    draw, font = ImageDraw.Draw(veil), ImageFont.load_default(image.width // 14)
    for row in range(0, image.height, max(1, image.height // (2, 3, 5)[s])):
        draw.text((image.width // 8, row), "stock photo", (255, 255, 255, (90, 110, 130)[s]), font)
    return _bytes(Image.alpha_composite(image.convert("RGBA"), veil).convert("RGB"))


def stickered(image: Image.Image, s: int, r: Rng) -> bytes:
    image = image.copy()
    draw, radius = ImageDraw.Draw(image), (0.06, 0.1, 0.14)[s] * max(image.size)
    for _ in range(s + 1):
        x, y = r.uniform(0.2, 0.8, 2) * image.size
        colour = tuple(int(v) for v in r.choice([0, 90, 230], 3))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    return _bytes(image)


EDITS: dict[str, Graded] = {
    each.__name__: each
    for each in (
        jpeg,
        webp,
        gif,
        png,
        smaller,
        larger,
        stretched,
        cropped,
        halved,
        bordered,
        letterboxed,
        mirrored,
        on_its_side,
        straightened,
        brighter,
        darker,
        contrasted,
        saturated,
        tinted,
        grey,
        blurred,
        sharpened,
        captioned,
        watermarked,
        stickered,
    )
}


def _scaled(image: Image.Image, factor: float) -> Image.Image:
    size = max(1, round(image.width * factor)), max(1, round(image.height * factor))
    return image.resize(size, Image.Resampling.LANCZOS)


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _bytes(image: Image.Image, kind: str = "JPEG", **options: Any) -> bytes:
    written = io.BytesIO()
    if kind == "JPEG":
        options.setdefault("quality", 88)
    image.save(written, kind, **options)
    return written.getvalue()
