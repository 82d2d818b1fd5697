"""Edits that people make before they save an image again, none of which was used for fitting.

The calibration of geometric verification was fitted on the changes of `glocal.cli.demo_reshoot`;
these are different ones. Each takes an RGB image and a random generator and returns the bytes of a
file. Other benchmarks import this module; it cannot be run by itself.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

from glocal.cli.demo_reshoot import Reshoot


def saved_as_webp(image: Image.Image, _rng: np.random.Generator) -> bytes:
    """The same pixels in another format, at low quality."""
    return _bytes(image, "WEBP", quality=30)


def few_colours(image: Image.Image, _rng: np.random.Generator) -> bytes:
    """A GIF of 48 dithered colours."""
    return _bytes(image.quantize(48), "GIF")


def thumbnail(image: Image.Image, _rng: np.random.Generator) -> bytes:
    """240 pixels at the longer side."""
    small = ImageOps.contain(image, (240, 240), Image.Resampling.LANCZOS)
    return _bytes(small, "JPEG", quality=75)


def grey(image: Image.Image, _rng: np.random.Generator) -> bytes:
    """Without its colours."""
    return _bytes(image.convert("L"), "JPEG", quality=90)


def filtered(image: Image.Image, rng: np.random.Generator) -> bytes:
    """As a phone's filters leave it: contrast, colour and warmth changed at once."""
    image = ImageEnhance.Contrast(image).enhance(rng.uniform(1.3, 1.6))
    image = ImageEnhance.Color(image).enhance(float(rng.choice([0.4, 1.7])))
    tint = np.asarray(image, np.float32) * rng.uniform(0.82, 1.12, 3)
    return _bytes(_image(tint), "JPEG", quality=88)


def bright(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Overexposed: the lights are burnt out."""
    pixels = np.asarray(image, np.float32) * rng.uniform(1.4, 1.7) + 12
    return _bytes(_image(pixels), "JPEG", quality=88)


def sharpened(image: Image.Image, _rng: np.random.Generator) -> bytes:
    """Sharpened far too much."""
    return _bytes(image.filter(ImageFilter.UnsharpMask(4, 250, 2)), "JPEG", quality=88)


def straightened(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Turned by a few degrees and cut to what is left without corners."""
    angle = float(rng.uniform(3, 7) * rng.choice([-1, 1]))
    turned = image.rotate(angle, Image.Resampling.BICUBIC, expand=False)
    cut = np.tan(np.radians(abs(angle))) / 2
    across, down = image.height * cut, image.width * cut
    box = (int(across), int(down), int(image.width - across), int(image.height - down))
    return _bytes(turned.crop(box), "JPEG", quality=90)


def stretched(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Squeezed into a frame of another shape."""
    width = round(image.width * float(rng.choice([0.75, 1.3])))
    return _bytes(image.resize((width, image.height)), "JPEG", quality=88)


def squared(image: Image.Image, _rng: np.random.Generator) -> bytes:
    """The square in its middle."""
    side = min(image.size)
    return _bytes(ImageOps.fit(image, (side, side)), "JPEG", quality=88)


def framed(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Put in a wide frame of one colour."""
    rim = round(0.1 * max(image.size))
    colour = tuple(int(v) for v in rng.integers(0, 256, 3))
    return _bytes(ImageOps.expand(image, rim, colour), "JPEG", quality=88)


def captioned(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Words in large letters across head and foot."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(image.width // 11)
    words = ("WHEN YOU FIND", "THE SAME PICTURE", "ONCE AGAIN", "ON MONDAY")
    for y, anchor in ((0.03, "ma"), (0.97, "md")):
        at = (image.width / 2, image.height * y)
        text = words[int(rng.integers(len(words)))]
        draw.text(at, text, "white", font, anchor, stroke_width=4, stroke_fill="black")
    return _bytes(image, "JPEG", quality=80)


def watermarked(image: Image.Image, _rng: np.random.Generator) -> bytes:
    """A pale name laid all over it."""
    veil = Image.new("RGBA", image.size)
    draw = ImageDraw.Draw(veil)
    font = ImageFont.load_default(image.width // 16)
    for row in range(0, image.height, max(1, image.height // 5)):
        for column in range(0, image.width, max(1, image.width // 3)):
            draw.text((column, row), "stock photo", (255, 255, 255, 120), font)
    return _bytes(Image.alpha_composite(image.convert("RGBA"), veil).convert("RGB"), "PNG")


def stickers(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Three discs over about a sixth of it."""
    image = image.copy()
    draw = ImageDraw.Draw(image)
    radius = 0.13 * np.sqrt(image.width * image.height)
    for _ in range(3):
        x, y = rng.uniform(0.15, 0.85, 2) * image.size
        colour = tuple(int(v) for v in rng.integers(0, 256, 3))
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)
    return _bytes(image, "JPEG", quality=88)


def half(image: Image.Image, rng: np.random.Generator) -> bytes:
    """A crop of a third of its area."""
    width, height = round(image.width * 0.58), round(image.height * 0.58)
    left = int(rng.integers(image.width - width + 1))
    top = int(rng.integers(image.height - height + 1))
    box = (left, top, left + width, top + height)
    return _bytes(image.crop(box), "JPEG", quality=88)


def mirrored(image: Image.Image, _rng: np.random.Generator) -> bytes:
    """Left for right."""
    return _bytes(ImageOps.mirror(image), "JPEG", quality=88)


def on_its_side(image: Image.Image, _rng: np.random.Generator) -> bytes:
    """Turned by a quarter, as by a viewer that writes the pixels anew."""
    return _bytes(image.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=88)


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
"""Changes that the model and its local features do not recognise; evaluated separately."""


def _image(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _bytes(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()
