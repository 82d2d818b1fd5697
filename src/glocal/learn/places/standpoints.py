"""Choose camera positions in a scene: distinct places, each with a few views."""

from __future__ import annotations

import math

import numpy as np

from glocal.learn.places.boxes import Camera, Scene, nearest


def groups(scene: Scene, places: int, views: int, rng: np.random.Generator) -> list[list[Camera]]:
    """Choose places in a scene, and cameras for each of them.

    Places differ by 60 degrees or by a few metres; the views of one place differ by less than half
    of that, so that they overlap widely.

    Args:
        scene: scene whose hull a person can walk in.
        places: largest number of places; a small scene has room for fewer.
        views: number of views of each place.
        rng: source of all random choices.

    Returns:
        The cameras of each place.
    """
    low, high = scene.lows[0].astype(float), scene.highs[0].astype(float)
    if scene.sky is not None:
        # The hull of a street extends behind its houses.
        border = np.array([20.0, 13.0, 0.0])
        low, high = low + border, high - border
    size = high - low
    # In a large scene, views of one place may be farther apart.
    apart = max(1.6, 0.11 * float(size[:2].max()))
    chosen: list[tuple[float, float, float]] = []
    for _ in range(places * 20):
        if len(chosen) == places:
            break
        margin = np.minimum(0.45, size[:2] / 4)
        x, y = rng.uniform(low[:2] + margin, high[:2] - margin)
        yaw = rng.uniform(-math.pi, math.pi)
        if size[0] > 2.5 * size[1] and rng.random() < 0.6:
            # Along the corridor, in either direction.
            yaw = (0 if rng.random() < 0.5 else math.pi) + rng.normal(0, 0.25)
        free = _free(scene, x, y, 1.5)
        if free and all(_differ((x, y, yaw), other, apart) for other in chosen):
            chosen.append((x, y, yaw))
    return [_around(scene, place, views, apart, rng) for place in chosen]


def _differ(
    first: tuple[float, float, float], second: tuple[float, float, float], apart: float
) -> bool:
    turn = abs((first[2] - second[2] + math.pi) % (2 * math.pi) - math.pi)
    return turn > math.radians(60) or math.dist(first[:2], second[:2]) > 2 * apart


def _free(scene: Scene, x: float, y: float, height: float) -> bool:
    """Whether a camera at this position is 20 cm or more from every box."""
    return not any(
        low[0] - 0.2 < x < high[0] + 0.2 and low[1] - 0.2 < y < high[1] + 0.2 and low[2] < height
        and high[2] > height - 0.6
        for low, high in zip(scene.lows[1:], scene.highs[1:], strict=True)
    )  # fmt: skip


def _around(
    scene: Scene,
    place: tuple[float, float, float],
    views: int,
    apart: float,
    rng: np.random.Generator,
) -> list[Camera]:
    low, high = scene.lows[0], scene.highs[0]
    seen = nearest(scene, Camera((*place[:2], 1.5), place[2]), (16, 12))[0]
    # A step to the side changes a near view more than a distant one.
    step = min(0.25 * apart, max(0.1, 0.13 * float(np.median(seen))))
    cameras: list[Camera] = []
    while len(cameras) < views:
        for _ in range(20):
            x, y = np.array(place[:2]) + rng.normal(0, step, 2)
            if not (low[0] + 0.2 < x < high[0] - 0.2 and low[1] + 0.2 < y < high[1] - 0.2):
                continue
            if _free(scene, float(x), float(y), 1.5):
                break
        else:
            x, y = place[:2]
        cameras.append(
            Camera(
                (float(x), float(y), float(rng.uniform(1.2, min(1.8, float(high[2]) - 0.3)))),
                place[2] + math.radians(float(rng.uniform(-14, 14))),
                math.radians(float(rng.normal(-2, 4))),
                math.radians(float(rng.normal(0, 2))),
                math.radians(float(rng.uniform(52, 78))),
            )
        )
    return cameras
