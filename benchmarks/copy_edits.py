"""What people do to pictures before they save them again: edits that nothing was fitted on.

The calibration of the second look knows the changes of `glocal.cli.demo_reshoot`; these are
others. Each takes an RGB picture and a generator and gives the bytes of a file. Nothing to run by
itself.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from glocal.cli.demo_reshoot import Reshoot


def saved_as_webp(picture: Image.Image, _rng: np.random.Generator) -> bytes:
    """The same pixels in another format, at low quality."""
    return _bytes(picture, "WEBP", quality=30)


def few_colours(picture: Image.Image, _rng: np.random.Generator) -> bytes:
    """A GIF of 48 dithered colours."""
    return _bytes(picture.quantize(48), "GIF")


def thumbnail(picture: Image.Image, _rng: np.random.Generator) -> bytes:
    """240 pixels at the longer side."""
    small = ImageOps.contain(picture, (240, 240), Image.Resampling.LANCZOS)
    return _bytes(small, "JPEG", quality=75)


def grey(picture: Image.Image, _rng: np.random.Generator) -> bytes:
    """Without its colours."""
    return _bytes(picture.convert("L"), "JPEG", quality=90)


def filtered(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """As a phone's filters leave it: contrast, colour and warmth changed at once."""
    picture = ImageEnhance.Contrast(picture).enhance(rng.uniform(1.3, 1.6))
    picture = ImageEnhance.Color(picture).enhance(float(rng.choice([0.4, 1.7])))
    tint = np.asarray(picture, np.float32) * rng.uniform(0.82, 1.12, 3)
    return _bytes(_picture(tint), "JPEG", quality=88)


def bright(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """Overexposed: the lights are burnt out."""
    pixels = np.asarray(picture, np.float32) * rng.uniform(1.4, 1.7) + 12
    return _bytes(_picture(pixels), "JPEG", quality=88)


def sharpened(picture: Image.Image, _rng: np.random.Generator) -> bytes:
    """Sharpened far too much."""
    return _bytes(picture.filter(ImageFilter.UnsharpMask(4, 250, 2)), "JPEG", quality=88)


def straightened(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """Turned by a few degrees and cut to what is left without corners."""
    angle = float(rng.uniform(3, 7) * rng.choice([-1, 1]))
    turned = picture.rotate(angle, Image.Resampling.BICUBIC, expand=False)
    cut = np.tan(np.radians(abs(angle))) / 2
    across, down = picture.height * cut, picture.width * cut
    box = (across, down, picture.width - across, picture.height - down)
    return _bytes(turned.crop(tuple(int(v) for v in box)), "JPEG", quality=90)


def stretched(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """Squeezed into a frame of another shape."""
    width = round(picture.width * float(rng.choice([0.75, 1.3])))
    return _bytes(picture.resize((width, picture.height)), "JPEG", quality=88)


def squared(picture: Image.Image, _rng: np.random.Generator) -> bytes:
    """The square in its middle."""
    side = min(picture.size)
    return _bytes(ImageOps.fit(picture, (side, side)), "JPEG", quality=88)


def framed(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """Put in a wide frame of one colour."""
    rim = round(0.1 * max(picture.size))
    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    return _bytes(ImageOps.expand(picture, rim, colour), "JPEG", quality=88)


def captioned(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """Words in large letters across head and foot."""
    picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(picture.width // 11)
    words = ("WHEN YOU FIND", "THE SAME PICTURE", "ONCE AGAIN", "ON MONDAY")
    for y, anchor in ((0.03, "ma"), (0.97, "md")):
        at = (picture.width / 2, picture.height * y)
        text = words[int(rng.integers(len(words)))]
        draw.text(at, text, "white", font, anchor, stroke_width=4, stroke_fill="black")
    return _bytes(picture, "JPEG", quality=80)


def watermarked(picture: Image.Image, _rng: np.random.Generator) -> bytes:
    """A pale name laid all over it."""
    veil = Image.new("RGBA", picture.size)
    draw = ImageDraw.Draw(veil)
    font = ImageFont.load_default(picture.width // 16)
    for row in range(0, picture.height, max(1, picture.height // 5)):
        for column in range(0, picture.width, max(1, picture.width // 3)):
            draw.text((column, row), "stock photo", (255, 255, 255, 120), font)
    return _bytes(Image.alpha_composite(picture.convert("RGBA"), veil).convert("RGB"), "PNG")


def stickers(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """Three discs over about a sixth of it."""
    picture = picture.copy()
    draw = ImageDraw.Draw(picture)
    radius = 0.13 * np.sqrt(picture.width * picture.height)
    for _ in range(3):
        x, y = rng.uniform(0.15, 0.85, 2) * picture.size
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    return _bytes(picture, "JPEG", quality=88)


def half(picture: Image.Image, rng: np.random.Generator) -> bytes:
    """A crop of a third of its area."""
    width, height = round(picture.width * 0.58), round(picture.height * 0.58)
    left = int(rng.integers(picture.width - width + 1))
    top = int(rng.integers(picture.height - height + 1))
    box = (left, top, left + width, top + height)
    return _bytes(picture.crop(box), "JPEG", quality=88)


def mirrored(picture: Image.Image, _rng: np.random.Generator) -> bytes:
    """Left for right."""
    return _bytes(ImageOps.mirror(picture), "JPEG", quality=88)


def on_its_side(picture: Image.Image, _rng: np.random.Generator) -> bytes:
    """Turned by a quarter, as by a viewer that writes the pixels anew."""
    return _bytes(picture.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=88)


EDITS: dict[str, Reshoot] = {
    "saved as WebP": saved_as_webp,
    "48 colours": few_colours,
    "thumbnail": thumbnail,
    "grey": grey,
    "filtered": filtered,
    "bright": bright,
    "sharpened": sharpened,
    "straightened": straightened,
    "stretched": stretched,
    "square": squared,
    "framed": framed,
    "captioned": captioned,
    "watermarked": watermarked,
    "stickers": stickers,
    "a third of it": half,
}

TURNED: dict[str, Reshoot] = {"mirrored": mirrored, "on its side": on_its_side}
"""The model and its local parts do not know a thing upside down or mirrored: judged apart."""


def _picture(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _bytes(picture: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()
