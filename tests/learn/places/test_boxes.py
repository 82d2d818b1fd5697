from __future__ import annotations

import math

import numpy as np
import pytest

from glocal.learn.places import Camera, Face, Scene, render
from glocal.learn.places.boxes import TEXEL, nearest


def plain(*shade: int) -> np.ndarray:
    return np.full((TEXEL, TEXEL, 3), shade, np.uint8)


def cube_room(*boxes: tuple[tuple[float, float, float], tuple[float, float, float]]) -> Scene:
    scene = Scene(ambient=1.0)
    scene.textures += [plain(*((40 * n + 20,) * 3)) for n in range(6)] + [plain(255, 0, 0)]
    scene.add((0, 0, 0), (10, 8, 3), *(Face(number) for number in range(6)))
    for low, high in boxes:
        scene.add(low, high, Face(6))
    return scene


def slow_nearest(scene: Scene, camera: Camera, size: tuple[int, int]) -> list[tuple[float, int]]:
    """The slow way: ray by ray, plane by plane."""
    found = []
    origin = np.array(camera.position)
    for ray in camera.rays(size).reshape(-1, 3).astype(float):
        best = (math.inf, -1)
        for box, (low, high) in enumerate(zip(scene.lows, scene.highs, strict=True)):
            for axis in range(3):
                for plane in (low[axis], high[axis]):
                    if abs(ray[axis]) < 1e-9:
                        continue
                    at = (plane - origin[axis]) / ray[axis]
                    point = origin + at * ray
                    others = [a for a in range(3) if a != axis]
                    inside = all(low[a] - 1e-5 <= point[a] <= high[a] + 1e-5 for a in others)
                    if at > 0.02 and inside and at < best[0] - 1e-6:
                        best = (at, box)
        found.append(best)
    return found


@pytest.mark.parametrize("seed", range(6))
def test_rays_hit_what_a_slow_search_finds(seed):
    rng = np.random.default_rng(seed)
    boxes = []
    for _ in range(5):
        low = rng.uniform((0, 0, 0), (7, 6, 2))
        boxes.append((tuple(low), tuple(low + rng.uniform(0.2, 1.5, 3))))
    scene = cube_room(*boxes)
    camera = Camera((9.3, 7.4, 2.6), *rng.uniform(-3, 3, 3) * (1, 0.15, 0.1))
    distance, box, _ = nearest(scene, camera, (24, 16))
    slow = slow_nearest(scene, camera, (24, 16))
    agree = [
        b == want and abs(d - far) < 1e-3
        for d, b, (far, want) in zip(distance, box, slow, strict=True)
    ]
    # A ray along an edge may be counted to either side of it.
    assert np.mean(agree) > 0.99


@pytest.mark.parametrize(
    ("yaw", "pitch", "shade"),
    [(math.pi, 0, 20), (0, 0, 60), (-math.pi / 2, 0, 100), (math.pi / 2, 0, 140),
     (0, -math.pi / 2, 180), (0, math.pi / 2, 220)],
)  # fmt: skip
def test_each_wall_is_where_it_should_be(yaw, pitch, shade):
    view = render(cube_room(), Camera((5, 4, 1.5), yaw, pitch), (9, 7))
    # Light depends on the direction of a wall, by up to a fifth.
    assert shade * 0.75 <= view[3, 4, 0] <= shade


def test_a_thing_to_the_right_and_above_is_rendered_right_and_above():
    scene = cube_room(((8, 1, 2.0), (8.5, 2, 2.6)))
    view = render(scene, Camera((4, 4, 1.5), 0.0), (60, 40)).astype(int)
    red = np.argwhere(view[:, :, 0] > view[:, :, 1] + 80)
    assert len(red)
    assert red[:, 1].min() > 30
    assert red[:, 0].max() < 20


def test_an_image_is_not_mirrored_on_any_wall():
    image = plain(0, 0, 0)
    image[:, : TEXEL // 2] = 255
    scene = Scene(ambient=1.0, textures=[image])
    scene.add((0, 0, 0), (4, 4, 4), Face(0))
    for yaw in (0, math.pi / 2, math.pi, -math.pi / 2):
        view = render(scene, Camera((2, 2, 2), yaw), (20, 20))
        assert view[:, :6].mean() > view[:, -6:].mean() + 100
    # Nor on a box that stands in the room.
    scene.faces[0] = (Face(1),) * 6
    scene.textures.append(plain(90, 90, 90))
    scene.add((1.8, 1.8, 1.8), (2.2, 2.2, 2.2), Face(0))
    for yaw in (0, math.pi / 2, math.pi, -math.pi / 2):
        position = (2 - math.cos(yaw), 2 - math.sin(yaw), 2.0)
        view = render(scene, Camera(position, yaw, field_of_view=0.3), (20, 20))
        assert view[10, 6, 0] > view[10, 13, 0] + 100


def test_the_sky_is_above_and_the_ground_below():
    scene = Scene(ambient=1.0, textures=[plain(10, 200, 10), plain(20, 20, 220)], sky=1)
    scene.add((-50, -50, 0), (50, 50, 30), Face(0))
    view = render(scene, Camera((0, 0, 1.6), 0.4), (16, 16)).astype(int)
    assert (view[:6, :, 2] > view[:6, :, 1]).all()
    assert (view[-4:, :, 1] > view[-4:, :, 2]).all()


def test_a_lamp_lights_near_surfaces():
    scene = cube_room()
    scene.textures = [plain(200, 200, 200)] * 7
    scene.ambient, scene.lamps = 0.1, [np.array([9.0, 1.0, 2.5], np.float32)]
    view = render(scene, Camera((1, 4, 1.5), 0.0), (40, 30)).astype(int)
    assert view[12, 34, 0] > view[12, 6, 0] + 20
