"""Walks through rendered scenes: many views at once, cast on the device that trains.

The scenes are those of `glocal.learn.places`, whose own renderer makes one view at a time on the
processor. Each pixel also tells which point of the scene it shows, in metres.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from glocal.learn.places.boxes import Camera, Scene

TEXEL = 128
_LEVELS = 5
_MOST_LAMPS = 16
_NOWHERE = 1e7


@dataclass(frozen=True, slots=True)
class Cameras:
    """Where views are taken from, all tensors on one device.

    Attributes:
        scene: ``(v,)`` int64.
        position: ``(v, 3)`` metres.
        axes: ``(v, 3, 3)`` unit vectors ahead, to the right and up.
        reach: ``(v,)`` tangent of half the horizontal field of view.
        lens: ``(v,)`` radial distortion: 0 for none, negative for a barrel.
        ambient: ``(v,)`` share of the light that comes from all sides.
        lamps: ``(v,)`` strength of the lamps.
    """

    scene: Tensor
    position: Tensor
    axes: Tensor
    reach: Tensor
    lens: Tensor
    ambient: Tensor
    lamps: Tensor


class World:
    """Scenes as tensors.

    Args:
        scenes: the scenes.
        device: where the tensors live.
    """

    def __init__(self, scenes: Sequence[Scene], device: torch.device) -> None:
        self.device = device
        count, boxes = len(scenes), max(len(scene.lows) for scene in scenes)
        lows = np.full((count, boxes, 3), _NOWHERE, np.float32)
        highs = np.full((count, boxes, 3), -_NOWHERE, np.float32)
        texture = np.zeros((count, boxes, 6), np.int64)
        repeat = np.ones((count, boxes, 6, 2), np.float32)
        lamps = np.full((count, _MOST_LAMPS, 3), _NOWHERE, np.float32)
        sky = np.full(count, -1)
        images: list[np.ndarray] = []
        for number, scene in enumerate(scenes):
            first = len(images)
            images += [shrunk(image) for image in scene.textures]
            for box, (low, high, faces) in enumerate(
                zip(scene.lows, scene.highs, scene.faces, strict=True)
            ):
                lows[number, box], highs[number, box] = low, high
                for side, face in enumerate(faces):
                    across, up = ((1, 2), (0, 2), (0, 1))[side // 2]
                    whole = (high[across] - low[across], high[up] - low[up])
                    texture[number, box, side] = first + face.texture
                    repeat[number, box, side] = face.repeat or whole
            for lamp, spot in enumerate(scene.lamps[:_MOST_LAMPS]):
                lamps[number, lamp] = spot
            if scene.sky is not None:
                sky[number] = first + scene.sky
        self.lows, self.highs = self._on(lows), self._on(highs)
        self.texture, self.repeat = self._on(texture), self._on(repeat)
        self.lamps, self.sky = self._on(lamps), self._on(sky)
        self.ambient = self._on(np.array([scene.ambient for scene in scenes], np.float32))
        self._fill_atlas(images)

    def _on(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    def _fill_atlas(self, images: Sequence[np.ndarray]) -> None:
        """Keep each texture in five sizes, one after another in one array of colours."""
        level, levels, firsts, first = self._on(np.stack(images)), [], [], 0
        for _ in range(_LEVELS):
            levels.append(level.reshape(-1, 3))
            firsts.append(first)
            first += len(levels[-1])
            small = level.permute(0, 3, 1, 2)
            halves = [torch.nn.functional.avg_pool2d(p.float(), 2) for p in small.split(512)]
            level = torch.cat([h.to(torch.uint8) for h in halves]).permute(0, 2, 3, 1)
        self.atlas = torch.cat(levels)
        self._firsts = torch.tensor(firsts, device=self.device)

    def texels(self, texture: Tensor, u: Tensor, v: Tensor, level: Tensor) -> Tensor:
        """Sample textures bilinearly at positions in copies of the texture; ``(..., 3)``."""
        side = TEXEL >> level
        u, v = u * side - 0.5, v * side - 0.5
        column, row = u.floor(), v.floor()
        right, down = (u - column)[..., None], (v - row)[..., None]
        c0, r0 = column.long() % side, row.long() % side
        c1, r1 = (c0 + 1) % side, (r0 + 1) % side
        first = self._firsts[level] + texture * side * side

        def colour(r: Tensor, c: Tensor) -> Tensor:
            return self.atlas[first + r * side + c].float()

        top = colour(r0, c0) * (1 - right) + colour(r0, c1) * right
        bottom = colour(r1, c0) * (1 - right) + colour(r1, c1) * right
        return (top * (1 - down) + bottom * down) / 255


def shrunk(image: np.ndarray) -> np.ndarray:
    """A texture as the world keeps it."""
    small = Image.fromarray(image).resize((TEXEL, TEXEL), Image.Resampling.BOX)
    return np.asarray(small)


def render(world: World, cameras: Cameras, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Render views.

    Args:
        world: the scenes.
        cameras: one for each view.
        size: width and height in pixels.

    Returns:
        Views ``(v, 3, h, w)`` float in [0, 1], and what they show, ``(v, h, w, 3)`` in metres.
    """
    width, height = size
    rays = _rays(cameras, width, height)
    rays = torch.where(rays.abs() < 1e-6, torch.full_like(rays, 1e-6), rays)
    slowness, origin = 1 / rays, cameras.position[:, None, :]
    lows, highs = world.lows[cameras.scene], world.highs[cameras.scene]
    far = torch.maximum((lows[:, :1] - origin) * slowness, (highs[:, :1] - origin) * slowness)
    distance, axis = far.min(dim=-1)
    box = torch.zeros_like(axis)
    face = 2 * axis + (rays.gather(2, axis[..., None])[..., 0] > 0)
    for number in range(1, lows.shape[1]):
        one = (lows[:, number, None] - origin) * slowness
        two = (highs[:, number, None] - origin) * slowness
        enter, side = torch.minimum(one, two).max(dim=-1)
        leave = torch.maximum(one, two).amin(dim=-1)
        hit = (enter < leave) & (enter > 0.02) & (enter < distance)
        against = rays.gather(2, side[..., None])[..., 0] < 0
        distance = torch.where(hit, enter, distance)
        box = torch.where(hit, torch.full_like(box, number), box)
        face = torch.where(hit, 2 * side + against, face)
    points = origin + distance[..., None] * rays
    colours = _painted(world, cameras, box, face, points, distance, width)
    colours = colours * _light(world, cameras, box, face, points)[..., None]
    sky = world.sky[cameras.scene]
    above = (sky[:, None] >= 0) & (box == 0) & (face != 4)
    if bool(above.any()):
        colours = torch.where(above[..., None], _sky(world, sky, rays), colours)
    views = colours.clamp(0, 1).reshape(-1, height, width, 3).permute(0, 3, 1, 2)
    return views.contiguous(), points.reshape(-1, height, width, 3)


def _rays(cameras: Cameras, width: int, height: int) -> Tensor:
    device = cameras.position.device
    across = (torch.arange(width, device=device) + 0.5) / width * 2 - 1
    upwards = (1 - (torch.arange(height, device=device) + 0.5) / height * 2) * height / width
    plane = torch.stack(torch.meshgrid(across, upwards, indexing="xy"), dim=-1).reshape(1, -1, 2)
    lens = cameras.lens[:, None, None]
    # A barrel shows more at the rim: rays there lead farther out.
    plane = plane * (1 - lens * (plane * plane).sum(dim=-1, keepdim=True)) / (1 - lens)
    plane = plane * cameras.reach[:, None, None]
    ahead, right, up = (cameras.axes[:, None, number] for number in range(3))
    return ahead + plane[..., :1] * right + plane[..., 1:] * up


def _picked(values: Tensor, box: Tensor) -> Tensor:
    """Rows ``(v, p, ...)`` of boxes' values ``(v, b, ...)``."""
    rows = torch.arange(len(box), device=box.device)[:, None]
    return values[rows, box]


def _painted(
    world: World,
    cameras: Cameras,
    box: Tensor,
    face: Tensor,
    points: Tensor,
    distance: Tensor,
    width: int,
) -> Tensor:
    axis = face // 2
    across, up = (axis == 0).long(), torch.where(axis == 2, 1, 2)
    low = _picked(world.lows[cameras.scene], box)
    high = _picked(world.highs[cameras.scene], box)
    u = (points - low).gather(2, across[..., None])[..., 0]
    v = (high - points).gather(2, up[..., None])[..., 0]
    rows = torch.arange(len(box), device=box.device)[:, None]
    texture = world.texture[cameras.scene][rows, box, face]
    repeat = world.repeat[cameras.scene][rows, box, face]
    wide, tall = repeat[..., 0].clamp(min=1e-3), repeat[..., 1].clamp(min=1e-3)
    inner = (face == 1) | (face == 2)
    outer = (face == 0) | (face == 3)
    u = torch.where(torch.where(box == 0, inner, outer), wide - u, u)
    spread = distance * 2 * cameras.reach[:, None] / width
    texels = spread / (wide + tall) * 2 * TEXEL
    level = (texels.clamp(min=1e-3) / 1.4).log2().ceil().clamp(0, _LEVELS - 1).long()
    return world.texels(texture, u / wide, v / tall, level)


def _light(world: World, cameras: Cameras, box: Tensor, face: Tensor, points: Tensor) -> Tensor:
    axis, outwards = face // 2, (face % 2 * 2 - 1).float()
    outwards = torch.where(box == 0, -outwards, outwards)
    even = torch.where(axis == 0, 1.0, torch.where(axis == 1, 0.9, 0.85 + 0.05 * outwards))
    light = cameras.ambient[:, None] * even
    lamps = world.lamps[cameras.scene]
    for number in range(_MOST_LAMPS):
        away = lamps[:, number, None] - points
        squared = (away * away).sum(dim=-1) + 0.3
        along = away.gather(2, axis[..., None])[..., 0] * outwards
        shine = along.clamp(min=0) * squared.rsqrt() * 9 / (squared + 6)
        light = light + shine * ((1 - cameras.ambient) * cameras.lamps)[:, None]
    return light


def _sky(world: World, sky: Tensor, rays: Tensor) -> Tensor:
    yaw = torch.atan2(rays[..., 1], rays[..., 0]) / math.pi
    rise = torch.atan2(rays[..., 2], rays[..., :2].norm(dim=-1)) / (math.pi / 2)
    u = ((yaw % 2) - 1).abs().clamp(0.01, 0.99)
    v = (1 - rise).clamp(0.01, 0.99)
    texture = sky.clamp(min=0)[:, None].expand_as(u)
    return world.texels(texture, u, v, torch.zeros_like(texture))


def cameras_of(
    world: World, scene: Sequence[int], found: Sequence[Camera], lens: Tensor, light: Tensor
) -> Cameras:
    """Put cameras of `glocal.learn.places` together.

    Args:
        world: the scenes.
        scene: number of each camera's scene.
        found: the cameras.
        lens: ``(v,)`` radial distortion.
        light: ``(v, 2)`` factors of the ambient light and of the lamps.
    """
    device = world.device
    numbers = torch.tensor(scene, device=device)
    axes = np.stack([camera.axes() for camera in found])
    reach = [math.tan(camera.field_of_view / 2) for camera in found]
    return Cameras(
        numbers,
        torch.tensor([camera.position for camera in found], dtype=torch.float32, device=device),
        torch.from_numpy(axes).to(device),
        torch.tensor(reach, dtype=torch.float32, device=device),
        lens.to(device),
        (world.ambient[numbers] * light[:, 0].to(device)).clamp(0.05, 1),
        light[:, 1].to(device),
    )
