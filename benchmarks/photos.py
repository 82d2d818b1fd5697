"""Make photographs to measure with: two-megapixel JPEGs of the data beside the repository.

Large photos are cropped at their own resolution and small ones are laid side by side at theirs.
Enlarging them would make images smoother than a camera's, and so quicker to decode. Without the
data sets, noise with the spectrum of photographs (1/f) takes their place. Other benchmarks import
this module; it cannot be run by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
TWO_MEGAPIXELS = (1632, 1224)
_QUALITY = 90


def source_photos(data: Path = DATA) -> list[Path]:
    """The photographs to cut images from: a few of the shop, and all of the scenes."""
    shop = sorted((data / "grocery" / "dataset").glob("t*/**/*.jpg"))
    scenes = sorted((data / "scenes").glob("**/*.jpg"))
    return shop[:: max(1, len(shop) // 500)] + scenes


def image(number: int, size: tuple[int, int], sources: Sequence[Path]) -> Image.Image:
    """The image with this number, ``size`` pixels wide and high; the same at every call."""
    random = np.random.default_rng([number, *size])
    if not sources:
        return Image.fromarray(_noise(size, random))
    canvas = Image.new("RGB", size)
    top = 0
    while top < size[1]:
        left, lowest = 0, size[1]
        while left < size[0]:
            tile = _tile(sources[int(random.integers(len(sources)))], size, random)
            canvas.paste(tile, (left, top))
            left += tile.width
            lowest = min(lowest, top + tile.height)
        top = lowest
    return canvas


def _tile(path: Path, size: tuple[int, int], random: np.random.Generator) -> Image.Image:
    """A photo, upright or mirrored, slightly smaller than it was; a window of it if it is large."""
    with Image.open(path) as photo:
        tile = photo.convert("RGB")
    scale = random.uniform(0.8, 1.0)
    tile = tile.resize(
        (int(tile.width * scale), int(tile.height * scale)), Image.Resampling.LANCZOS
    )
    if random.random() < 0.5:
        tile = tile.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    width, height = min(tile.width, size[0]), min(tile.height, size[1])
    left = int(random.integers(tile.width - width + 1))
    top = int(random.integers(tile.height - height + 1))
    return tile.crop((left, top, left + width, top + height))


def _noise(size: tuple[int, int], random: np.random.Generator) -> NDArray[np.uint8]:
    """Noise whose amplitude falls with frequency as that of photographs does."""
    width, height = size
    across = np.fft.rfftfreq(width)[None, :]
    down = np.fft.fftfreq(height)[:, None]
    falls = 1 / np.maximum(np.hypot(across, down), 1 / max(size))
    planes = []
    for _ in range(3):
        waves = np.fft.rfft2(random.normal(size=(height, width))) * falls
        plane = np.fft.irfft2(waves, s=(height, width))
        planes.append(128 + 50 * plane / plane.std())
    grey = planes[0]
    mixed = np.stack([grey, 0.8 * grey + 0.2 * planes[1], 0.8 * grey + 0.2 * planes[2]], axis=2)
    return np.asarray(np.clip(mixed, 0, 255), np.uint8)


def make_photos(folder: Path, count: int, size: tuple[int, int] = TWO_MEGAPIXELS) -> list[Path]:
    """Write ``count`` different JPEGs of quality 90 into a folder and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = source_photos()
    paths = [folder / f"IMG_{number:05d}.jpg" for number in range(count)]
    for number, path in enumerate(paths):
        image(number, size, sources).save(path, "JPEG", quality=_QUALITY)
    return paths


def make_large_images(folder: Path, *, photos: int, png_side: int) -> list[Path]:
    """Write what strains memory: progressive JPEGs of 24 megapixels, and one square PNG."""
    folder.mkdir(parents=True, exist_ok=True)
    sources = source_photos()
    paths = [folder / f"progressive-{number}.jpg" for number in range(photos)]
    for number, path in enumerate(paths):
        large = image(number, TWO_MEGAPIXELS, sources).resize((6000, 4000))
        large.save(path, "JPEG", quality=_QUALITY, progressive=True)
    paths.append(folder / "huge.png")
    huge = image(photos, TWO_MEGAPIXELS, sources).resize((png_side, png_side))
    huge.save(paths[-1], "PNG", compress_level=1)
    return paths
