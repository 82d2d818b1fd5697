"""Folders of small images that no two are alike, made in a moment."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw


def pixels(seed: int, width: int = 32, height: int = 24) -> np.ndarray:
    """Blocks of 8 pixels in random colours, so that JPEG keeps them well."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8)
    return np.kron(blocks, np.ones((8, 8, 1), np.uint8))


def image(
    seed: int,
    kind: str = "JPEG",
    *,
    size: tuple[int, int] = (32, 24),
    taken: str | None = None,
    camera: str | None = None,
) -> bytes:
    """An encoded image; the same arguments give the same bytes."""
    exif = Image.Exif()
    if camera:
        exif[0x0110] = camera
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    file = io.BytesIO()
    options = {"quality": 90} if kind == "JPEG" else {}
    Image.fromarray(pixels(seed, *size)).save(file, kind, exif=exif, **options)
    return file.getvalue()


def write_images(folder: Path, count: int, first: int = 0) -> list[Path]:
    """Write images with the seeds from `first` on, every third one a PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for seed in range(first, first + count):
        kind, ending = ("PNG", ".png") if seed % 3 == 0 else ("JPEG", ".jpg")
        path = folder / f"p{seed:04d}{ending}"
        path.write_bytes(image(seed, kind))
        paths.append(path)
    return paths


def scene(seed: int, width: int = 480, height: int = 360) -> Image.Image:
    """Blocks of many sizes over blobs: sharp, colourful, none like another."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 190, (4, 5, 3), dtype=np.uint8)
    image = Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    for _ in range(140):
        x, y = (int(v) for v in rng.integers(0, (width, height)))
        w, h = (int(v) for v in rng.integers(5, 60, 2))
        colour = tuple(int(v) for v in rng.integers(0, 255, 3))
        shape = draw.ellipse if rng.integers(2) else draw.rectangle
        shape((x, y, x + w, y + h), colour)
    grain = rng.normal(0, 4, (height, width, 1))
    return Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))
