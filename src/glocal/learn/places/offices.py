"""Office corridors: the hardest places, in which most things are repeated."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from glocal.learn.places.boxes import Camera, Face, Scene
from glocal.learn.places.builders import Materials, Pixels

MOST_BOXES = 80


def office(textures: Sequence[Pixels], images: Sequence[Pixels], rng: np.random.Generator) -> Scene:
    """A corridor of 18 to 45 metres along x, with one kind of door at equal distances.

    Little tells one spot from another: a notice here and there, a bin, a door that is open, a lamp
    that is broken.

    Takes the arguments of `glocal.learn.places.room`.
    """
    scene = Scene(ambient=float(rng.uniform(0.3, 0.7)))
    materials = Materials(scene, textures, images, rng)
    size = (float(rng.uniform(18, 45)), float(rng.uniform(1.5, 2.7)), float(rng.uniform(2.3, 2.9)))
    wall = Face(materials.paint((130, 235)), (rng.uniform(3, 8),) * 2)
    floor = materials.surface(0.4)
    ceiling = Face(
        materials.tiles() if rng.random() < 0.5 else materials.paint((150, 240)), (2.4, 2.4)
    )
    scene.add((0.0, 0.0, 0.0), size, wall, wall, wall, wall, floor, ceiling)
    if rng.random() < 0.5:
        _line_walls(materials, size, float(rng.uniform(0.08, 1.2)))
    _hang_doors(materials, size)
    _hang_notices(materials, size)
    _stand_things(materials, size)
    _light(materials, size)
    return scene


def office_walk(scene: Scene, places: int, views: int, rng: np.random.Generator) -> list[Camera]:
    """Cameras at spots along a corridor, as of a small robot that drives it several times.

    Spots are at least 1.3 metres apart. At each, every walk took one view: up to 30 centimetres
    before or after it, at its own distance from the walls, at its own height and a little turned.

    Returns:
        ``places * views`` cameras, those of one spot next to each other.
    """
    length, width, height = (float(v) for v in scene.highs[0] - scene.lows[0])
    spots = np.sort(rng.permutation(int((length - 4) / 1.3))[:places]) * 1.3 + 1 + rng.uniform(0, 1)
    back = rng.random() < 0.5
    view = math.radians(float(rng.uniform(70, 115)))
    pitch, eye = float(rng.normal(0, 0.06)), float(rng.uniform(0.25, min(1.6, height - 0.4)))
    walks = [
        (
            float(rng.uniform(0.35, width - 0.35)),
            eye + float(rng.normal(0, 0.05)),
            float(rng.normal(0, 0.07)),
        )
        for _ in range(views)
    ]
    found = []
    for spot in spots:
        for aside, tall, turned in walks:
            x = float(np.clip(spot + rng.uniform(-0.3, 0.3), 0.3, length - 0.3))
            y = float(np.clip(aside + rng.normal(0, 0.1), 0.25, width - 0.25))
            yaw = (math.pi if back else 0.0) + turned + float(rng.normal(0, 0.05))
            roll = float(rng.normal(0, 0.02))
            found.append(Camera((x, y, tall), yaw, pitch, roll, view))
    return found


def _full(scene: Scene) -> bool:
    return len(scene.lows) >= MOST_BOXES


def _line_walls(materials: Materials, size: tuple[float, float, float], height: float) -> None:
    """A skirting board or a dado along both walls."""
    face = Face(materials.paint((40, 200)), (4.0, 4.0))
    for low, high in ((0.0, 0.012), (size[1] - 0.012, size[1])):
        materials.scene.add((0.0, low, 0.0), (size[0], high, height), face)


def _against(
    materials: Materials,
    size: tuple[float, float, float],
    far: bool,
    at: float,
    extent: tuple[float, float],
    low: float,
    depth: float,
    face: Face,
) -> None:
    """Put a box of some width and height on one of the long walls."""
    if _full(materials.scene):
        return
    near, end = (size[1] - depth, size[1]) if far else (0.0, depth)
    materials.scene.add((at, near, low), (at + extent[0], end, low + extent[1]), face)


def _hang_doors(materials: Materials, size: tuple[float, float, float]) -> None:
    rng = materials.rng
    door, plate = Face(materials.door()), Face(materials.paint((180, 250)))
    gap = Face(materials.paint((15, 60)))
    every, wide = float(rng.uniform(2.4, 5.5)), float(rng.uniform(0.8, 1.05))
    tall = min(size[2] - 0.1, float(rng.uniform(1.95, 2.15)))
    for far in (False, True):
        at = float(rng.uniform(0.4, every))
        while at + wide < size[0]:
            if rng.random() < 0.88:
                face = gap if rng.random() < 0.08 else door
                _against(materials, size, far, at, (wide, tall), 0.0, 0.03, face)
                if rng.random() < 0.7:
                    _against(
                        materials, size, far, at + wide + 0.08, (0.18, 0.12), 1.45, 0.01, plate
                    )
            at += every


def _hang_notices(materials: Materials, size: tuple[float, float, float]) -> None:
    rng = materials.rng
    every = float(rng.uniform(2.5, 9))
    for far in (False, True):
        at = float(rng.uniform(0.3, every))
        while at < size[0] - 1:
            wide = float(rng.uniform(0.2, 0.9))
            extent = (wide, wide * float(rng.uniform(0.7, 1.4)))
            number = materials.image() if rng.random() < 0.75 else materials.texture()
            low = float(rng.uniform(0.9, 1.4))
            _against(materials, size, far, at, extent, low, 0.02, Face(number))
            at += float(rng.uniform(0.6, 1.6)) * every


def _stand_things(materials: Materials, size: tuple[float, float, float]) -> None:
    """Bins, cupboards, radiators, extinguishers."""
    rng = materials.rng
    for _ in range(int(size[0] / rng.uniform(4, 12))):
        face = Face(materials.texture() if rng.random() < 0.3 else materials.paint((20, 230)))
        extent = (float(rng.uniform(0.15, 1.0)), float(rng.uniform(0.3, 1.6)))
        low = 0.0 if rng.random() < 0.7 else float(rng.uniform(0.2, 0.9))
        at, depth = float(rng.uniform(0.2, size[0] - 1.2)), float(rng.uniform(0.08, 0.4))
        _against(materials, size, rng.random() < 0.5, at, extent, low, depth, face)


def _light(materials: Materials, size: tuple[float, float, float]) -> None:
    """Lamps along the ceiling at equal distances, of which a few are broken."""
    rng, scene = materials.rng, materials.scene
    every = float(rng.uniform(2, 6))
    bright = Face(materials.paint((245, 255)))
    at = float(rng.uniform(0.5, every))
    while at < size[0] - 0.5:
        if rng.random() < 0.9:
            scene.lamps.append(np.array((at, size[1] / 2, size[2] - 0.3), np.float32))
            if not _full(scene):
                middle = size[1] / 2
                low, high = (at - 0.3, middle - 0.15), (at + 0.3, middle + 0.15)
                scene.add((*low, size[2] - 0.04), (*high, size[2]), bright)
        at += every
