"""Changes to images that training never makes, and photographs of images on a wall.

Training has its own augmentations (`glocal.learn.augment`); these changes reveal a model that only
learned to undo those. Other benchmarks import this module; it cannot be run by itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

from glocal.cli import demo_reshoot
from glocal.images.perspective import homography

Change = Callable[[Image.Image, np.random.Generator], Image.Image]
Floats = NDArray[np.float64]


def swirled(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Turned about its middle, most of all there."""
    turn = rng.choice([-1, 1]) * rng.uniform(0.8, 1.6)

    def source(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        angle = turn * np.exp(-3 * np.hypot(x, y) ** 2)
        cos, sin = np.cos(angle), np.sin(angle)
        return cos * x - sin * y, sin * x + cos * y

    return _bent(image, source)


def through_a_fisheye(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Bulging, as through a peephole."""
    power = rng.uniform(0.5, 0.9)

    def source(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        far = np.hypot(x, y) / math.sqrt(2)
        scale = (0.55 + 0.45 * far**2) ** power
        return x * scale, y * scale

    return _bent(image, source)


def rippled(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """As seen in moving water."""
    high, long = rng.uniform(0.02, 0.04), rng.uniform(8, 16)
    phase = rng.uniform(0, 6)

    def source(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        return x + high * np.sin(long * y + phase), y + high * np.sin(long * x)

    return _bent(image, source)


def posterised(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.posterize(image, int(rng.integers(1, 3)))


def solarised(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return ImageOps.solarize(image, int(rng.integers(110, 180)))


def halftoned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Printed in black dots on newspaper."""
    small = ImageOps.contain(image.convert("L"), (320, 320))
    turn, every = rng.uniform(0.5, 1.0), rng.uniform(3.5, 5.5)
    y, x = np.mgrid[: small.height, : small.width] * 2 * math.pi / every
    across, down = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
    screen = 127 + 62 * (np.cos(across) + np.cos(down))
    dots = Image.fromarray(((np.asarray(small) > screen) * 255).astype(np.uint8))
    paper = np.asarray(dots.filter(ImageFilter.GaussianBlur(0.5)), float)[:, :, None] / 255
    return _image(np.array([40, 38, 36]) + paper * np.array([180, 176, 160]))


def printed_and_scanned(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Inks that are not quite in register, on paper that shines through, laid down askew."""
    inks = []
    for channel in ImageOps.contain(image, (420, 420)).split():
        shift = tuple(int(v) for v in rng.integers(-2, 3, 2))
        inks.append(channel.transform(channel.size, Image.Transform.AFFINE,
                                      (1, 0, shift[0], 0, 1, shift[1])))  # fmt: skip
    printed = 45 + np.asarray(Image.merge("RGB", inks), float) * 0.76
    bands = 1 + 0.03 * np.sin(np.arange(printed.shape[0]) * rng.uniform(0.3, 1.2))
    sheet = ImageOps.expand(_image(printed * bands[:, None, None]), 40, (238, 236, 228))
    scan = sheet.rotate(
        float(rng.uniform(-4, 4)), Image.Resampling.BICUBIC, fillcolor=(205, 205, 208)
    )
    return _image(np.asarray(scan, float) + rng.normal(0, 4, (scan.height, scan.width, 1)))


def embroidered(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """In a few colours, in stitches: a coarse mosaic with joints."""
    count = int(rng.integers(40, 64))
    coarse = ImageOps.contain(image, (count, count)).quantize(14).convert("RGB")
    stitch = 7
    large = np.asarray(
        coarse.resize((coarse.width * stitch, coarse.height * stitch), Image.Resampling.NEAREST),
        float,
    )
    large[::stitch] *= 0.55
    large[:, ::stitch] *= 0.55
    return _image(large)


UNSEEN: dict[str, Change] = {
    "swirled": swirled,
    "fisheye": through_a_fisheye,
    "rippled": rippled,
    "posterised": posterised,
    "solarised": solarised,
    "halftoned": halftoned,
    "printed and scanned": printed_and_scanned,
    "embroidered": embroidered,
}


def photographed(
    image: Image.Image, beside: Sequence[Image.Image], rng: np.random.Generator
) -> Image.Image:
    """A framed image on a wall between parts of two others, taken from aside by a small camera.

    The light falls off to one side, and a lamp or window shows in the glass.
    """
    hung = _framed(ImageOps.contain(image, (520, 520)), rng)
    neighbours = [_framed(ImageOps.contain(other, (420, 420)), rng) for other in beside]
    gap = int(rng.integers(40, 160))
    size = (hung.width + 2 * gap + 500, round(hung.height * rng.uniform(1.15, 1.7)))
    wall = demo_reshoot._wall(size, rng)
    left, middle = (size[0] - hung.width) // 2, size[1] // 2
    wall.paste(hung, (left, (size[1] - hung.height) // 2))
    for other, x in zip(
        neighbours,
        (left - gap - neighbours[0].width, left + hung.width + gap),
        strict=False,
    ):
        wall.paste(other, (x, middle - other.height // 2))
    lit = np.asarray(wall, float) * _glare(size, rng)
    corners = [(0, 0), (size[0], 0), size, (0, size[1])]
    taken = _image(lit).transform(
        (480, 360),
        Image.Transform.PERSPECTIVE,
        homography(_aside(size, (480, 360), rng), corners),
        Image.Resampling.BICUBIC,
        fillcolor=(70, 66, 62),
    )
    pixels = np.asarray(taken.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.3))), float)
    pixels = pixels * rng.uniform(0.6, 1.1) * (1 + rng.normal(0, 0.07, 3))
    return _image(pixels + rng.normal(0, rng.uniform(1, 7), pixels.shape))


def _framed(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    mount, rim = int(rng.integers(0, 50)), int(rng.integers(0, 30))
    with_mount = ImageOps.expand(image, mount, (236, 233, 224))
    wood = tuple(int(v) for v in rng.uniform(20, 200) * np.array([1, 0.85, 0.65]))
    return ImageOps.expand(with_mount, rim, wood)


def _glare(size: tuple[int, int], rng: np.random.Generator) -> Floats:
    y, x = np.mgrid[: size[1], : size[0]].astype(float)
    x, y = x / size[0], y / size[1]
    slope = 1 + rng.uniform(-0.6, 0.6) * (x - 0.5) + rng.uniform(-0.4, 0.4) * (y - 0.5)
    at, wide = rng.uniform(0.25, 0.75, 2), rng.uniform(0.02, 0.12)
    spot = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * wide**2))
    light: Floats = (slope + rng.uniform(0, 1.2) * spot)[:, :, None]
    return light


def _aside(
    size: tuple[int, int], frame: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Where the wall's corners are in a photo that is filled by it."""
    turn, tip = np.radians(rng.uniform([12, 2], [42, 16]) * rng.choice([-1, 1], 2))
    flat = (np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)]) * size).astype(float)
    x, y = flat[:, 0] * math.cos(turn), flat[:, 1] * math.cos(tip)
    depth = flat[:, 0] * math.sin(turn) + flat[:, 1] * math.sin(tip) + 3.2 * max(size)
    corners: NDArray[np.float64] = np.stack([x, y], axis=1) / depth[:, None]
    middle = (corners[0] + corners[2]) / 2
    zoom = rng.uniform(0.95, 1.35) * min(
        frame[1] / np.ptp(corners[:, 1]), 1.6 * frame[0] / np.ptp(corners[:, 0])
    )
    placed: NDArray[np.float64] = (corners - middle) * zoom + np.array(frame) / 2
    return placed


def _bent(
    image: Image.Image, source: Callable[[Floats, Floats], tuple[Floats, Floats]]
) -> Image.Image:
    """Fetch every pixel from elsewhere; coordinates run from -1 to 1."""
    pixels = np.asarray(image)
    height, width = pixels.shape[:2]
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    from_x, from_y = source(x, y)
    column = np.clip(np.rint((from_x + 1) / 2 * (width - 1)), 0, width - 1).astype(int)
    row = np.clip(np.rint((from_y + 1) / 2 * (height - 1)), 0, height - 1).astype(int)
    return Image.fromarray(pixels[row, column])


def _image(pixels: NDArray[np.floating]) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(pixels), 0, 255).astype(np.uint8))
