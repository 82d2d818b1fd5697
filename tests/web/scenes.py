"""Made images that differ from one another as photographs do, and stay findable when altered."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

SHAPES = ((480, 360), (360, 480), (560, 320), (400, 400))
CAMERAS = ("Canon EOS 80D", "Pixel 6", None)
PLACES = ((48.8584, 2.2945), (51.5055, -0.0754), (59.3293, 18.0686))


def scene(seed: int) -> Image.Image:
    """An image full of corners and colours that no other seed resembles."""
    random = np.random.default_rng(seed)
    width, height = SHAPES[seed % len(SHAPES)]
    ground = random.integers(0, 256, (3, 4, 3), dtype=np.uint8)
    image = Image.fromarray(ground).resize((width, height), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(image)
    for _ in range(28):
        x, y = random.integers(0, width), random.integers(0, height)
        w, h = random.integers(12, width // 3), random.integers(12, height // 3)
        colour = tuple(int(part) for part in random.integers(0, 256, 3))
        kind = random.integers(3)
        box = (int(x), int(y), int(x + w), int(y + h))
        if kind == 0:
            pen.rectangle(box, fill=colour, outline="black")
        elif kind == 1:
            pen.ellipse(box, fill=colour, outline="white")
        else:
            pen.line(box, fill=colour, width=5)
    return image


def exif(seed: int) -> Image.Exif:
    """A date, for most a camera, and for most a place."""
    block = Image.Exif()
    camera = CAMERAS[seed % len(CAMERAS)]
    if camera:
        block[0x0110] = camera
    year, month = 2018 + seed % 5, 1 + seed % 12
    block.get_ifd(0x8769)[0x9003] = f"{year}:{month:02}:17 10:00:00"
    if seed % 4:
        latitude, longitude = PLACES[seed % len(PLACES)]
        where = block.get_ifd(0x8825)
        where[1], where[2] = "N", (latitude, 0.0, 0.0)
        where[3], where[4] = "E" if longitude >= 0 else "W", (abs(longitude), 0.0, 0.0)
    return block


def write(folder: Path, seeds: range) -> None:
    """Images of these seeds, as files with EXIF."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        scene(seed).save(folder / f"scene-{seed:03}.jpg", quality=90, exif=exif(seed))


def altered(seed: int) -> bytes:
    """A scene as somebody sends it on: cropped, smaller, coarser."""
    image = scene(seed)
    width, height = image.size
    image = image.crop((width // 12, height // 12, width - width // 12, height - height // 14))
    image = image.resize((image.width * 3 // 4, image.height * 3 // 4))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=70)
    return file.getvalue()


def elsewhere(seed: int) -> Image.Image:
    """A large part of a scene, turned, in front of another one: the same thing, and no copy."""
    image = scene(seed)
    width, height = image.size
    part = image.crop((0, 0, width * 4 // 5, height)).convert("RGBA")
    part = part.rotate(6, Image.Resampling.BICUBIC, expand=True)
    behind = scene(seed + 1_000).resize((width, height))
    behind.paste(part, (width // 10, 0), part)
    return behind
