"""Overlays that people add to images: text, stickers, other photos."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!?&#@-., "


def colour(rng: np.random.Generator) -> Colour:
    """Draw a random colour; half of them are black or white, as on signs."""
    if rng.random() < 0.5:
        return (255, 255, 255) if rng.random() < 0.6 else (0, 0, 0)
    red, green, blue = (int(value) for value in rng.integers(0, 256, 3))
    return red, green, blue


def text(rng: np.random.Generator, most: int) -> str:
    """Draw a random text of 3 to `most` characters."""
    count = int(rng.integers(3, most + 1))
    return "".join(_LETTERS[i] for i in rng.integers(0, len(_LETTERS), count))


def written_on(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Write a few lines of text on an RGB image, with or without a plain background."""
    drawn = image.copy()
    pen = ImageDraw.Draw(drawn, "RGBA")
    width, height = image.size
    for _ in range(int(rng.integers(1, 3))):
        size = max(6, int(height * rng.uniform(0.05, 0.05 + 0.11 * strength)))
        words = "\n".join(text(rng, 22) for _ in range(int(rng.integers(1, 3))))
        place = (rng.uniform(-0.1, 0.6) * width, rng.uniform(0, 0.9) * height)
        ink = (*colour(rng), int(rng.integers(150, 256)))
        if rng.random() < 0.3:
            box = pen.multiline_textbbox(place, words, font(size))
            pen.rectangle(box, (*colour(rng), int(rng.integers(90, 256))))
        pen.multiline_text(place, words, ink, font(size))
    return drawn


def stickered(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Stick faces, hearts, stars, arrows and blots on an RGB image."""
    drawn = image.copy()
    pen = ImageDraw.Draw(drawn, "RGBA")
    for _ in range(int(rng.integers(1, 4))):
        radius = max(2.0, min(image.size) * rng.uniform(0.04, 0.04 + 0.12 * strength))
        x, y = rng.random(2) * image.size
        paint = (*colour(rng), int(rng.integers(180, 256)))
        _STICKERS[int(rng.integers(len(_STICKERS)))](pen, x, y, radius, paint)
    return drawn


class PastedPhotos:
    """Pastes another photo over a part of the image.

    Args:
        photos: files to choose from; unreadable ones are skipped.
    """

    def __init__(self, photos: Sequence[Path]) -> None:
        self._photos = tuple(photos)

    def __call__(
        self, image: Image.Image, rng: np.random.Generator, strength: float
    ) -> Image.Image:
        """Cover a part of an RGB image; without photos it stays unchanged."""
        if not self._photos:
            return image
        width, height = image.size
        share = rng.uniform(0.15, 0.2 + 0.3 * strength, 2)
        size = (max(1, round(width * share[0])), max(1, round(height * share[1])))
        other = opened(self._photos[int(rng.integers(len(self._photos)))], size)
        if other is None:
            return image
        covered = image.copy()
        place = (
            int(rng.integers(-size[0] // 4, width - size[0] // 2 + 1)),
            int(rng.integers(-size[1] // 4, height - size[1] // 2 + 1)),
        )
        if rng.random() < 0.4:
            mask = Image.new("L", other.size)
            ImageDraw.Draw(mask).ellipse((0, 0, other.width - 1, other.height - 1), 255)
            covered.paste(other, place, mask)
        else:
            covered.paste(other, place)
        return covered


def opened(path: Path, size: tuple[int, int]) -> Image.Image | None:
    """Read an image file as RGB, squashed to a size; None if it cannot be read."""
    try:
        with Image.open(path) as file:
            file.draft("RGB", (2 * size[0], 2 * size[1]))
            return file.convert("RGB").resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


@lru_cache(maxsize=64)
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """Pillow's own font, cached by size: loading takes longer than drawing."""
    return ImageFont.load_default(size)


Paint = tuple[int, int, int, int]


def _face(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, paint: Paint) -> None:
    pen.ellipse((x - r, y - r, x + r, y + r), (255, 204, 60, 255), (120, 80, 0, 255))
    for side in (-1, 1):
        eye = x + side * 0.38 * r
        pen.ellipse((eye - 0.13 * r, y - 0.4 * r, eye + 0.13 * r, y - 0.1 * r), (60, 40, 0, 255))
    box = (x - 0.55 * r, y - 0.35 * r, x + 0.55 * r, y + 0.6 * r)
    pen.chord(box, 10, 170, paint)


def _heart(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, paint: Paint) -> None:
    turn = np.linspace(0, 2 * np.pi, 24)
    across = 16 * np.sin(turn) ** 3
    down = -13 * np.cos(turn) + 5 * np.cos(2 * turn) + 2 * np.cos(3 * turn) + np.cos(4 * turn)
    points = np.stack([x + r / 16 * across, y + r / 16 * down], axis=1)
    pen.polygon([(float(a), float(b)) for a, b in points], paint)


def _star(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, paint: Paint) -> None:
    turn = np.linspace(0, 2 * np.pi, 10, endpoint=False) - np.pi / 2
    reach = r * np.where(np.arange(10) % 2, 0.4, 1.0)
    points = np.stack([x + reach * np.cos(turn), y + reach * np.sin(turn)], axis=1)
    pen.polygon([(float(a), float(b)) for a, b in points], paint)


def _arrow(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, paint: Paint) -> None:
    tip = (x + r, y)
    pen.line([(x - r, y), tip], paint, max(2, int(r / 4)))
    pen.polygon([tip, (x + 0.4 * r, y - 0.5 * r), (x + 0.4 * r, y + 0.5 * r)], paint)


def _blot(pen: ImageDraw.ImageDraw, x: float, y: float, r: float, paint: Paint) -> None:
    pen.rounded_rectangle((x - r, y - 0.6 * r, x + r, y + 0.6 * r), 0.3 * r, paint)


_STICKERS = (_face, _heart, _star, _arrow, _blot)
