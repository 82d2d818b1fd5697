"""Random scenes: rooms, corridors and streets, decorated with textures and images."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from glocal.learn.places.boxes import TEXEL, Face, Scene

Pixels = NDArray[np.uint8]


class Materials:
    """Creates textures and adds them to a scene."""

    def __init__(
        self,
        scene: Scene,
        textures: Sequence[Pixels],
        images: Sequence[Pixels],
        rng: np.random.Generator,
    ) -> None:
        self.scene, self.rng = scene, rng
        self._textures, self._images = textures, images

    def _added(self, texture: Pixels) -> int:
        self.scene.textures.append(texture)
        return len(self.scene.textures) - 1

    def image(self) -> int:
        """A random image, half of the time in a frame."""
        chosen = self._images[int(self.rng.integers(len(self._images)))]
        if self.rng.random() < 0.5:
            framed = chosen.copy()
            rim = int(self.rng.integers(5, 16))
            shade = self.rng.integers(0, 256, 3)
            framed[:rim], framed[-rim:], framed[:, :rim], framed[:, -rim:] = (shade,) * 4
            chosen = framed
        return self._added(chosen)

    def texture(self) -> int:
        """A random texture of those that were given."""
        return self._added(self._textures[int(self.rng.integers(len(self._textures)))])

    def paint(self, bright: tuple[float, float] = (90, 235)) -> int:
        """One colour with large uneven patches and grain, like plaster."""
        rng = self.rng
        shade = rng.uniform(*bright) * (1 + rng.normal(0, 0.06, 3))
        patches = rng.normal(0, rng.uniform(1, 7), (6, 6)).astype(np.float32)
        field = np.asarray(
            Image.fromarray(patches).resize((TEXEL, TEXEL), Image.Resampling.BICUBIC)
        )
        grain = rng.normal(0, rng.uniform(0.5, 5), (TEXEL, TEXEL))
        return self._added(np.clip(shade + (field + grain)[:, :, None], 0, 255).astype(np.uint8))

    def tiles(self) -> int:
        """Tiles or bricks with joints."""
        rng = self.rng
        count, joint = int(rng.integers(2, 9)), int(rng.integers(1, 5))
        shades = rng.uniform(60, 230) * (1 + rng.normal(0, 0.06, 3))
        each = shades + rng.normal(0, rng.uniform(1, 22), (count, count, 1))
        size = -(-TEXEL // count)
        pixels = np.repeat(np.repeat(each, size, 0), size, 1)[:TEXEL, :TEXEL]
        lines = np.arange(TEXEL) % size < joint
        pixels[lines] = shades * 0.6
        pixels[:, lines] = shades * 0.6
        return self._added(np.clip(pixels, 0, 255).astype(np.uint8))

    def door(self) -> int:
        """A panelled door with a handle, sometimes with a window."""
        rng = self.rng
        shade = rng.integers(40, 235, 3)
        door = Image.new("RGB", (TEXEL, TEXEL), tuple(int(v) for v in shade))
        pen = ImageDraw.Draw(door)
        dark = tuple(int(v * 0.6) for v in shade)
        pen.rectangle((0, 0, TEXEL - 1, TEXEL - 1), outline=dark, width=int(rng.integers(4, 16)))
        for row in range(int(rng.integers(1, 4))):
            top = 22 + row * 78
            pen.rectangle((40, top, 215, top + 60), outline=dark, width=5)
        if rng.random() < 0.4:
            light = tuple(int(v) for v in rng.integers(120, 256, 3))
            pen.rectangle((70, 30, 185, int(rng.integers(80, 220))), light, dark)
        x = 30 if rng.random() < 0.5 else 225
        pen.ellipse((x - 9, 126, x + 9, 138), (190, 185, 170))
        return self._added(np.asarray(door))

    def facade(self) -> int:
        """A wall with rows of windows."""
        rng = self.rng
        shade = tuple(int(v) for v in rng.uniform(80, 235) * (1 + rng.normal(0, 0.08, 3)))
        wall = Image.new("RGB", (TEXEL, TEXEL), shade)
        pen = ImageDraw.Draw(wall)
        columns, rows = int(rng.integers(1, 5)), int(rng.integers(1, 4))
        wide, tall = TEXEL / columns, TEXEL / rows
        share, high = rng.uniform(0.3, 0.8), rng.uniform(0.4, 0.85)
        frame = tuple(int(v) for v in rng.integers(30, 256, 3))
        for column in range(columns):
            for row in range(rows):
                left, top = (column + (1 - share) / 2) * wide, (row + (1 - high) / 2) * tall
                glass = tuple(int(v) for v in rng.uniform(20, 130) * (1 + rng.normal(0, 0.15, 3)))
                box = (left, top, left + share * wide, top + high * tall)
                pen.rectangle(box, glass, frame, 4)
                middle = left + share * wide / 2
                pen.line((middle, box[1], middle, box[3]), frame, 3)
        grain = rng.normal(0, 5, (TEXEL, TEXEL, 1))
        return self._added(np.clip(np.asarray(wall) + grain, 0, 255).astype(np.uint8))

    def sky(self) -> int:
        """A sky with clouds, brighter towards the horizon."""
        rng = self.rng
        high, low = rng.uniform((40, 80, 110), (140, 180, 250)), rng.uniform(150, 250, 3)
        fall = np.linspace(0, 1, TEXEL)[:, None, None] ** 0.7
        clouds = np.zeros((TEXEL, TEXEL))
        for grid in (4, 9, 20):
            patch = Image.fromarray(rng.normal(0, 1, (grid, grid)).astype(np.float32))
            clouds += np.asarray(patch.resize((TEXEL, TEXEL), Image.Resampling.BICUBIC)) / grid
        cover = np.clip(clouds * rng.uniform(1, 4), 0, 0.9)[:, :, None]
        shade = (high * (1 - fall) + low * fall) * (1 - cover) + rng.uniform(120, 250) * cover
        return self._added(np.clip(shade, 0, 255).astype(np.uint8))

    def surface(self, plain: float) -> Face:
        """Paint, tiles or a random texture, repeated at a size for walls and floors."""
        rng, way = self.rng, self.rng.random()
        if way < plain:
            return Face(self.paint(), (rng.uniform(3, 8),) * 2)
        number = self.tiles() if way < plain + 0.2 else self.texture()
        size = rng.uniform(0.8, 3)
        return Face(number, (size, size))


def _hung(
    materials: Materials,
    low: tuple[float, float],
    high: tuple[float, float],
    wall: int,
    number: int,
) -> None:
    """Hang a flat box on a wall of the hull: walls 0 and 1 run along y, 2 and 3 along x."""
    scene = materials.scene
    axis, deep = wall // 2, float(materials.rng.uniform(0.01, 0.06))
    inner, outer = scene.lows[0], scene.highs[0]
    flat = (
        (float(inner[axis]), float(inner[axis]) + deep)
        if wall % 2 == 0
        else (float(outer[axis]) - deep, float(outer[axis]))
    )
    start, end = ((flat[0], low[0]), (flat[1], high[0])) if axis == 0 else (
        (low[0], flat[0]), (high[0], flat[1]))  # fmt: skip
    scene.add((*start, low[1]), (*end, high[1]), Face(number))


def _decorate(materials: Materials, wall: int, every: float) -> None:
    """Add doors, images and notices along a wall, about `every` metres apart."""
    scene, rng = materials.scene, materials.rng
    along = 1 if wall < 2 else 0
    start, end = float(scene.lows[0][along]), float(scene.highs[0][along])
    height = float(scene.highs[0][2] - scene.lows[0][2])
    at = start + rng.uniform(0.2, every)
    while at < end - 0.6:
        if rng.random() < 0.3 and at + 1.1 < end:
            wide, tall = rng.uniform(0.8, 1.1), min(height - 0.1, rng.uniform(1.95, 2.2))
            _hung(materials, (at, 0.0), (at + wide, tall), wall, materials.door())
        else:
            wide = min(end - at, float(np.exp(rng.normal(-0.1, 0.5))))
            tall = min(height - 0.5, wide * rng.uniform(0.6, 1.5))
            low = rng.uniform(0.25, max(0.3, height - tall - 0.15))
            number = materials.image() if rng.random() < 0.7 else materials.texture()
            _hung(materials, (at, low), (at + wide, low + tall), wall, number)
        at += wide + rng.uniform(0.15, 2 * every)


def _furnish(materials: Materials, count: int, margin: float) -> None:
    """Add boxes such as cupboards, tables, crates and pillars."""
    scene, rng = materials.scene, materials.rng
    low, high = scene.lows[0], scene.highs[0]
    for _ in range(count):
        wide, deep = rng.uniform(0.3, 1.5), rng.uniform(0.3, 0.9)
        tall = rng.uniform(0.3, 1.9) if rng.random() < 0.85 else float(high[2])
        side = int(rng.integers(4))
        if side < 2:
            wide, deep = deep, wide
        x = rng.uniform(low[0], max(low[0] + 0.01, high[0] - wide))
        y = rng.uniform(low[1], max(low[1] + 0.01, high[1] - deep))
        # Most things stand at a wall, so that the camera has room to move.
        if rng.random() < margin:
            x = (float(low[0]), float(high[0] - wide), x, x)[side]
            y = (y, y, float(low[1]), float(high[1] - deep))[side]
        way = rng.random()
        face = Face(materials.texture()) if way < 0.5 else (
            Face(materials.image()) if way < 0.7 else Face(materials.paint((30, 220))))  # fmt: skip
        scene.add((x, y, 0.0), (x + wide, y + deep, float(tall)), face)


def room(textures: Sequence[Pixels], images: Sequence[Pixels], rng: np.random.Generator) -> Scene:
    """A furnished room of 3 to 9 metres, with images on its walls.

    Args:
        textures: textures for surfaces, ``(256, 256, 3)`` uint8 each.
        images: images to hang on walls, ``(256, 256, 3)`` uint8 each.
        rng: source of all random choices.
    """
    scene = Scene(ambient=float(rng.uniform(0.3, 0.75)))
    materials = Materials(scene, textures, images, rng)
    size = (*rng.uniform(3, 9, 2), rng.uniform(2.3, 3.8))
    wall = materials.surface(0.55)
    walls = [wall if rng.random() < 0.75 else materials.surface(0.4) for _ in range(4)]
    scene.add((0.0, 0.0, 0.0), size, *walls, materials.surface(0.25), materials.surface(0.7))
    for number in range(4):
        _decorate(materials, number, float(rng.uniform(0.4, 2.0)))
    _furnish(materials, int(rng.integers(2, 11)), 0.85)
    _hang_lamps(scene, int(rng.integers(1, 4)), rng)
    return scene


def corridor(
    textures: Sequence[Pixels], images: Sequence[Pixels], rng: np.random.Generator
) -> Scene:
    """A uniform corridor of 12 to 40 metres along x, with doors and notices.

    Takes the arguments of `room`.
    """
    scene = Scene(ambient=float(rng.uniform(0.35, 0.8)))
    materials = Materials(scene, textures, images, rng)
    size = (rng.uniform(12, 40), rng.uniform(1.6, 3.6), rng.uniform(2.3, 3.4))
    side = materials.surface(0.75)
    end = side if rng.random() < 0.5 else materials.surface(0.5)
    scene.add(
        (0.0, 0.0, 0.0), size, end, end, side, side, materials.surface(0.3), materials.surface(0.7)
    )
    every = float(rng.uniform(0.6, 2.5))
    for number in range(4):
        _decorate(materials, number, every if number > 1 else 0.8)
    if rng.random() < 0.6:
        _furnish(materials, int(size[0] / rng.uniform(2, 8)), 1.0)
    _hang_lamps(scene, max(2, int(size[0] / 4)), rng)
    return scene


def street(textures: Sequence[Pixels], images: Sequence[Pixels], rng: np.random.Generator) -> Scene:
    """A street of 40 to 90 metres along x, between houses and under a sky.

    Takes the arguments of `room`.
    """
    scene = Scene(ambient=float(rng.uniform(0.65, 0.95)))
    materials = Materials(scene, textures, images, rng)
    length, width = rng.uniform(40, 90), rng.uniform(7, 16)
    ground = materials.surface(0.4)
    depth = 12.0
    scene.add((-20.0, -depth, 0.0), (length + 20, width + depth, 60.0), ground)
    scene.sky = materials.sky()
    for near in (True, False):
        at = rng.uniform(-15, 0)
        while at < length + 12:
            wide, tall = rng.uniform(5, 14), rng.uniform(3.5, 16)
            back = rng.uniform(0, 1.5)
            face = Face(
                materials.facade() if rng.random() < 0.6 else materials.texture(),
                (rng.uniform(2.5, 7),) * 2,
            )
            y = (-depth + 0.1, -back) if near else (width + back, width + depth - 0.1)
            scene.add((at, y[0], 0.0), (at + wide, y[1], tall), face)
            for _ in range(int(rng.integers(0, 4))):
                x, size = rng.uniform(at, at + wide - 1), rng.uniform(0.6, 2.4)
                front = y[1] if near else y[0] - 0.08
                low = rng.uniform(0, 2.2)
                sign = materials.image() if rng.random() < 0.6 else materials.door()
                scene.add((x, front, low), (x + size, front + 0.08, low + size), Face(sign))
            at += wide + (rng.uniform(1, 7) if rng.random() < 0.5 else 0)
    for _ in range(int(length / 8)):
        x, y = rng.uniform(0, length), rng.choice([rng.uniform(0.3, 1.8), width - 1.5])
        thick, tall = rng.uniform(0.15, 1.4), rng.uniform(0.3, 2.2)
        scene.add((x, y, 0.0), (x + thick, y + thick, tall), Face(materials.texture()))
    return scene


def _hang_lamps(scene: Scene, count: int, rng: np.random.Generator) -> None:
    low, high = scene.lows[0], scene.highs[0]
    for _ in range(count):
        place = rng.uniform(low + 0.4, high - 0.15)
        place[2] = high[2] - 0.25
        scene.lamps.append(place.astype(np.float32))
