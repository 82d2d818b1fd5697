"""Realistic changes to photos: crops, photos of prints, low light, screenshots and the like.

Each function takes an RGB image and a random generator, and returns the bytes of a JPEG file. They
use only Pillow and NumPy, and the same state of the generator gives the same bytes.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont, ImageOps

from glocal.images.perspective import homography

Reshoot = Callable[[Image.Image, np.random.Generator], bytes]

_QUALITY = 88


def cropped(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Crop to 60 % of the area at a random place, with a slightly different aspect ratio."""
    stretch = rng.uniform(0.92, 1.08)
    width = round(image.width * math.sqrt(0.6) * stretch)
    height = round(image.height * math.sqrt(0.6) / stretch)
    left = int(rng.integers(image.width - width + 1))
    top = int(rng.integers(image.height - height + 1))
    return _jpeg(image.crop((left, top, left + width, top + height)))


def off_a_wall(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Photograph a print with a white border on a wall, from the side and not quite level."""
    rim = max(4, round(0.03 * max(image.size)))
    hung = ImageOps.expand(image, rim, (247, 246, 242))
    frame = (round(hung.width * 1.35), round(hung.height * 1.4))
    # Transformed at twice the size and reduced, so that edges are smooth.
    fine = (2 * frame[0], 2 * frame[1])
    width, height = hung.size
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    back = homography(_seen_from_the_side(hung.size, fine, rng), corners)
    taken = (
        hung.convert("RGBA")
        .transform(fine, Image.Transform.PERSPECTIVE, back, Image.Resampling.BICUBIC)
        .resize(frame, Image.Resampling.BOX)
    )
    covered = taken.getchannel("A")
    shadow = Image.new("L", frame)
    shadow.paste(covered.point(lambda alpha: alpha * 0.45), (rim // 3, rim // 2))
    wall = _wall(frame, rng)
    wall.paste((40, 36, 32), mask=shadow.filter(ImageFilter.GaussianBlur(rim * 0.6)))
    wall.paste(taken, mask=covered)
    # Light from a window at one side.
    left, right = (1.04, 0.8) if rng.integers(2) else (0.8, 1.04)
    light = np.linspace(left, right, frame[0])[None, :, None]
    pixels = _pixels(wall) * light
    return _jpeg(_image(pixels + rng.normal(0, 3, pixels.shape)))


def dark(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Photograph by the light of a lamp: dim, yellow, with photon noise."""
    light = (_pixels(image) / 255) ** 1.25
    lamp = np.array([1.12, 0.9, 0.62]) * rng.uniform(0.36, 0.48)
    photons = rng.poisson(light * lamp * 260) / 260
    return _jpeg(_image(255 * (photons + rng.normal(0, 0.012, light.shape))))


def blurred(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Blur, with a standard deviation of about half a per cent of the longer side."""
    spread = max(image.size) * rng.uniform(0.0045, 0.006)
    return _jpeg(image.filter(ImageFilter.GaussianBlur(spread)))


def screenshot(image: Image.Image, rng: np.random.Generator) -> bytes:
    """Show the photo in a phone's photo app, in a light or dark theme."""
    width, height = 720, 1480
    night = bool(rng.integers(2))
    ground, ink = ((17, 17, 19), (235, 235, 235)) if night else ((250, 250, 250), (40, 40, 44))
    screen = Image.new("RGB", (width, height), ground)
    _status_bar(ImageDraw.Draw(screen), ink, rng)
    _gallery_bars(ImageDraw.Draw(screen), ink, rng)
    room = (width, 1060)
    shown = ImageOps.contain(image, room, Image.Resampling.LANCZOS)
    screen.paste(shown, ((room[0] - shown.width) // 2, 210 + (room[1] - shown.height) // 2))
    return _jpeg(screen)


def small_and_coarse(image: Image.Image, _rng: np.random.Generator) -> bytes:
    """Halve the size and save at JPEG quality 20, as messengers and old web pages do."""
    half = (max(1, image.width // 2), max(1, image.height // 2))
    return _jpeg(image.resize(half, Image.Resampling.LANCZOS), quality=20)


def collage(image: Image.Image, others: Sequence[Image.Image], rng: np.random.Generator) -> bytes:
    """Put the photo large on a white page, beside three others in a column, all cropped to fit."""
    gap, height = 14, 900
    tall = (height - 4 * gap) // 3
    wide = round(tall * 1.25)
    main = (round(height * rng.uniform(0.85, 1.1)), height - 2 * gap)
    page = Image.new("RGB", (main[0] + wide + 3 * gap, height), (252, 252, 250))
    main_first = bool(rng.integers(2))
    page.paste(_filling(image, main), (gap if main_first else wide + 2 * gap, gap))
    for row, other in enumerate(others[:3]):
        x = main[0] + 2 * gap if main_first else gap
        page.paste(_filling(other, (wide, tall)), (x, gap + row * (tall + gap)))
    return _jpeg(page)


CHANGES: dict[str, Reshoot] = {
    "cropped": cropped,
    "off a wall": off_a_wall,
    "dark": dark,
    "blurred": blurred,
    "screenshot": screenshot,
    "small and coarse": small_and_coarse,
}


def _filling(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return ImageOps.fit(image, size, Image.Resampling.LANCZOS)


def _jpeg(image: Image.Image, quality: int = _QUALITY) -> bytes:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return file.getvalue()


def _pixels(image: Image.Image) -> NDArray[np.float32]:
    return np.asarray(image, dtype=np.float32)


def _image(pixels: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))


def _seen_from_the_side(
    size: tuple[int, int], frame: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """The ``(4, 2)`` corners, clockwise from top left, of a flat print in a pinhole camera."""
    turn, tip, roll = np.radians(rng.uniform([22, 6, 1], [34, 13, 5]) * rng.choice([-1, 1], 3))
    about_y = [[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]]
    about_x = [[1, 0, 0], [0, np.cos(tip), -np.sin(tip)], [0, np.sin(tip), np.cos(tip)]]
    about_z = [[np.cos(roll), -np.sin(roll), 0], [np.sin(roll), np.cos(roll), 0], [0, 0, 1]]
    flat = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) * (*size, 0)
    turned = flat @ (np.array(about_z) @ np.array(about_x) @ np.array(about_y)).T
    corners = turned[:, :2] / (turned[:, 2:] + 4.5 * max(size))
    low, high = corners.min(axis=0), corners.max(axis=0)
    zoom = float((0.88 * np.array(frame) / (high - low)).min())
    centred: NDArray[np.float64] = (corners - (low + high) / 2) * zoom + np.array(frame) / 2
    return centred


def _wall(size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """Painted plaster: one colour with large uneven patches and fine grain."""
    paint = np.array([1.0, 0.975, 0.94]) * rng.uniform(172, 216) + rng.uniform(-5, 5, 3)
    patches = _image(rng.normal(128, 40, (7, 9))).resize(size, Image.Resampling.BICUBIC)
    grain = _image(rng.normal(128, 40, size[::-1])).filter(ImageFilter.GaussianBlur(1.2))
    uneven = (_pixels(patches) - 128) * 0.12 + (_pixels(grain) - 128) * 0.35
    return _image(paint + uneven[:, :, None])


def _status_bar(
    draw: ImageDraw.ImageDraw, ink: tuple[int, int, int], rng: np.random.Generator
) -> None:
    """Draw the time, the signal and the battery at the top of a screen 720 pixels wide."""
    clock = f"{rng.integers(7, 23)}:{rng.integers(60):02d}"
    draw.text((40, 22), clock, ink, ImageFont.load_default(30))
    for bar in range(4):
        draw.rectangle((580 + 12 * bar, 45 - 7 * bar, 587 + 12 * bar, 51), ink)
    draw.rounded_rectangle((640, 26, 682, 51), 7, outline=ink, width=3)
    draw.rectangle((646, 32, 650 + int(rng.integers(4, 26)), 45), ink)


def _gallery_bars(
    draw: ImageDraw.ImageDraw, ink: tuple[int, int, int], rng: np.random.Generator
) -> None:
    """Draw a back button, a date and a menu above the photo, and buttons below it."""
    draw.line([(62, 112), (42, 132), (62, 152)], ink, 5, "curve")
    draw.text((100, 132), f"{rng.integers(1, 29)} May", ink, ImageFont.load_default(34), "lm")
    for dot in (116, 132, 148):
        draw.ellipse((670, dot - 4, 678, dot + 4), ink)
    for x, sign in ((130, "Share"), (360, "Edit"), (590, "Delete")):
        draw.text((x, 1350), sign, ink, ImageFont.load_default(30), "mm")
    draw.rounded_rectangle((260, 1446, 460, 1453), 4, ink)
