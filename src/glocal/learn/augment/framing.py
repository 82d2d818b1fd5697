"""Surroundings of shared images: a phone screen, a frame, a page or another image."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from glocal.learn.augment.overlays import colour, font, text


def screenshot(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Put an RGB image between the bars of an application; the size stays the same."""
    width, height = image.size
    top, bottom = (int(height * strength * rng.uniform(0.03, 0.2)) for _ in range(2))
    side = int(width * strength * rng.uniform(0, 0.12)) if rng.random() < 0.5 else 0
    night = rng.random() < 0.5
    ground = (20, 20, 22) if night else (248, 248, 248)
    ink = (230, 230, 230) if night else (30, 30, 34)
    screen = Image.new("RGB", image.size, ground)
    inner = (max(1, width - 2 * side), max(1, height - top - bottom))
    screen.paste(image.resize(inner, Image.Resampling.BILINEAR), (side, top))
    pen = ImageDraw.Draw(screen)
    if top >= 10:
        pen.text((0.04 * width, 0.2 * top), text(rng, 12), ink, font(int(0.55 * top)))
        pen.ellipse((width - 0.9 * top, 0.2 * top, width - 0.4 * top, 0.7 * top), colour(rng))
    for place in rng.random(4 if bottom >= 10 else 0) * width:
        at, size = height - 0.7 * bottom, 0.3 * bottom
        pen.rounded_rectangle((place, at, place + size, at + size), 0.2 * size, outline=ink)
    return screen


def framed(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Put an RGB image in a plain or rounded border; the size stays the same."""
    width, height = image.size
    rim = max(1, int(min(width, height) * strength * rng.uniform(0.02, 0.14)))
    border = Image.new("RGB", image.size, colour(rng))
    inner = image.resize((max(1, width - 2 * rim), max(1, height - 2 * rim)))
    if rng.random() < 0.4:
        mask = Image.new("L", inner.size)
        round_by = min(inner.size) * rng.uniform(0.03, 0.16)
        ImageDraw.Draw(mask).rounded_rectangle((0, 0, *inner.size), round_by, 255)
        border.paste(inner, (rim, rim), mask)
    else:
        if rng.random() < 0.4:
            line = (rim // 2, rim // 2, width - rim // 2 - 1, height - rim // 2 - 1)
            ImageDraw.Draw(border).rectangle(line, outline=colour(rng))
        border.paste(inner, (rim, rim))
    return border


def image_in_image(
    image: Image.Image, ground: Image.Image, rng: np.random.Generator, strength: float
) -> Image.Image:
    """Put a smaller RGB image anywhere on another of any size; the size stays the same."""
    width, height = image.size
    size = 1 - min(0.9, strength * rng.uniform(0.15, 0.5))
    inner = (max(1, round(width * size)), max(1, round(height * size)))
    page = ground.resize(image.size, Image.Resampling.BILINEAR, reducing_gap=2.0)
    place = (
        int(rng.integers(0, width - inner[0] + 1)),
        int(rng.integers(0, height - inner[1] + 1)),
    )
    page.paste(image.resize(inner, Image.Resampling.BILINEAR), place)
    return page
