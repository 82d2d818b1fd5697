"""Scenes of upright boxes, and a pinhole camera that casts one ray for each pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Floats = NDArray[np.float32]
TEXEL = 256


@dataclass(frozen=True, slots=True)
class Face:
    """Appearance of one side of a box.

    Attributes:
        texture: number of the texture in the scene.
        repeat: width and height in metres of one copy of the texture; None stretches one copy over
            the whole face.
    """

    texture: int
    repeat: tuple[float, float] | None = None


@dataclass(slots=True)
class Scene:
    """Boxes around and in front of a camera; x and y are horizontal, z is up, all in metres.

    Attributes:
        textures: textures, ``(256, 256, 3)`` uint8 each.
        lows: ``(3,)`` lowest corner of each box. The first box is the hull, seen from inside.
        highs: ``(3,)`` highest corner of each box.
        faces: six faces of each box: low x, high x, low y, high y, low z, high z.
        lamps: ``(3,)`` positions of the lamps.
        ambient: share of the light that comes from all directions, in [0, 1].
        sky: number of the texture seen instead of the hull, except its floor; None for no sky.
    """

    textures: list[NDArray[np.uint8]] = field(default_factory=list)
    lows: list[Floats] = field(default_factory=list)
    highs: list[Floats] = field(default_factory=list)
    faces: list[tuple[Face, ...]] = field(default_factory=list)
    lamps: list[Floats] = field(default_factory=list)
    ambient: float = 0.5
    sky: int | None = None

    def add(
        self, low: tuple[float, float, float], high: tuple[float, float, float], *faces: Face
    ) -> None:
        """Add a box with six faces; one face means all six, three mean the pairs along x, y, z."""
        if len(faces) == 1:
            faces = faces * 6
        elif len(faces) == 3:
            faces = tuple(face for pair in faces for face in (pair, pair))
        self.lows.append(np.array(low, np.float32))
        self.highs.append(np.array(high, np.float32))
        self.faces.append(faces)


@dataclass(frozen=True, slots=True)
class Camera:
    """Position and direction of a camera.

    Attributes:
        position: x, y, z in metres.
        yaw: horizontal direction, in radians from x to y.
        pitch: upward angle, in radians.
        roll: rotation about the viewing direction, in radians.
        field_of_view: horizontal field of view, in radians.
    """

    position: tuple[float, float, float]
    yaw: float
    pitch: float = 0.0
    roll: float = 0.0
    field_of_view: float = math.radians(65)

    def axes(self) -> Floats:
        """``(3, 3)`` unit vectors: ahead, to the right, and up in the image."""
        flat = np.array([math.cos(self.yaw), math.sin(self.yaw), 0.0])
        side = np.array([math.sin(self.yaw), -math.cos(self.yaw), 0.0])
        rise = np.array([0.0, 0.0, 1.0])
        ahead = math.cos(self.pitch) * flat + math.sin(self.pitch) * rise
        above = math.cos(self.pitch) * rise - math.sin(self.pitch) * flat
        right = math.cos(self.roll) * side + math.sin(self.roll) * above
        up = math.cos(self.roll) * above - math.sin(self.roll) * side
        axes: Floats = np.stack([ahead, right, up]).astype(np.float32)
        return axes

    def rays(self, size: tuple[int, int]) -> Floats:
        """``(h, w, 3)`` directions through the pixel centres, one unit long along the view axis."""
        width, height = size
        reach = math.tan(self.field_of_view / 2)
        across = np.float32(reach) * ((np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1)
        tall = np.float32(reach * height / width)
        upwards = tall * (1 - (np.arange(height, dtype=np.float32) + 0.5) / height * 2)
        ahead, right, up = self.axes()
        rays: Floats = ahead + across[:, None] * right + upwards[:, None, None] * up
        return rays.astype(np.float32, copy=False)


def render(scene: Scene, camera: Camera, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Render a view.

    Args:
        scene: scene with at least the hull, which contains the camera.
        camera: camera to render from.
        size: width and height in pixels.

    Returns:
        ``(h, w, 3)`` uint8 RGB.
    """
    origin = np.array(camera.position, np.float32)
    distance, box, face = nearest(scene, camera, size)
    rays = camera.rays(size).reshape(-1, 3)
    points = origin + distance[:, None] * rays
    # The size of a pixel on the surface decides the level of detail of the texture.
    spread = distance * np.float32(2 * math.tan(camera.field_of_view / 2) / size[0])
    colours = np.zeros((len(rays), 3), np.float32)
    key = box * 6 + face
    for number in np.unique(key):
        shown = np.flatnonzero(key == number)
        which, side = divmod(int(number), 6)
        colours[shown] = _painted(scene, which, side, points[shown], spread[shown])
        colours[shown] *= _light(scene, which, side, points[shown])[:, None]
    if scene.sky is not None:
        above = np.flatnonzero((box == 0) & (face != 4))
        colours[above] = _sky(scene.textures[scene.sky], rays[above])
    pixels = np.clip(colours, 0, 255).astype(np.uint8)
    return pixels.reshape(size[1], size[0], 3)


def nearest(
    scene: Scene, camera: Camera, size: tuple[int, int]
) -> tuple[Floats, NDArray[np.intp], NDArray[np.intp]]:
    """Find what the ray of each pixel hits first.

    Returns:
        ``(h * w,)`` each: the distance in lengths of the ray, the number of the box, and the
        number of the face, from 0 to 5.
    """
    width, height = size
    rays = camera.rays(size)
    rays = np.where(np.abs(rays) < 1e-6, np.float32(1e-6), rays)
    slowness, origin = 1 / rays, np.array(camera.position, np.float32)
    far = np.maximum((scene.lows[0] - origin) * slowness, (scene.highs[0] - origin) * slowness)
    axis = far.argmin(axis=2)
    distance, box = _least(far), np.zeros((height, width), np.intp)
    face = 2 * axis + (np.take_along_axis(rays, axis[:, :, None], 2)[:, :, 0] > 0)
    for number in range(1, len(scene.lows)):
        low, high = scene.lows[number] - origin, scene.highs[number] - origin
        window = _in_view(low, high, camera, size)
        if window is None:
            continue
        one, two = low * slowness[window], high * slowness[window]
        near = np.minimum(one, two)
        enter = -_least(-near)
        leave = _least(np.maximum(one, two))
        hit = (enter < leave) & (enter > 0.02) & (enter < distance[window])
        if hit.any():
            side = near[hit].argmax(axis=1)
            against = rays[window][hit][np.arange(len(side)), side] < 0
            distance[window][hit] = enter[hit]
            box[window][hit] = number
            face[window][hit] = 2 * side + against
    return distance.ravel(), box.ravel(), face.ravel()


def _least(vectors: Floats) -> Floats:
    """The smallest of the three numbers of each vector; numpy is slow along such a short axis."""
    least: Floats = np.minimum(np.minimum(vectors[..., 0], vectors[..., 1]), vectors[..., 2])
    return least


def _in_view(
    low: Floats, high: Floats, camera: Camera, size: tuple[int, int]
) -> tuple[slice, slice] | None:
    """Rows and columns of the pixels that may show a box; None if none can."""
    width, height = size
    corners = np.array([(x, y, z) for x in (low[0], high[0]) for y in (low[1], high[1])
                        for z in (low[2], high[2])])  # fmt: skip
    ahead, right, up = (corners @ camera.axes().T).T
    if (ahead < 0.02).all():
        return None
    if (ahead < 0.02).any():
        return slice(0, height), slice(0, width)
    focal = width / 2 / math.tan(camera.field_of_view / 2)
    column = width / 2 + focal * right / ahead
    row = height / 2 - focal * up / ahead
    left, top = max(0, int(column.min()) - 1), max(0, int(row.min()) - 1)
    end, bottom = min(width, int(column.max()) + 2), min(height, int(row.max()) + 2)
    return (slice(top, bottom), slice(left, end)) if left < end and top < bottom else None


def _painted(scene: Scene, box: int, side: int, points: Floats, spread: Floats) -> Floats:
    """Colours of the texture at points on one face."""
    face, axis = scene.faces[box][side], side // 2
    across, up = ((1, 2), (0, 2), (0, 1))[axis]
    low, high = scene.lows[box], scene.highs[box]
    u, v = points[:, across] - low[across], high[up] - points[:, up]
    if face.repeat is None:
        wide, tall = float(high[across] - low[across]), float(high[up] - low[up])
    else:
        wide, tall = face.repeat
    # Flip the texture on some faces, so that text is not mirrored on any.
    if side in {1, 2} if box == 0 else side in {0, 3}:
        u = wide - u
    texels = float(np.median(spread)) / (wide + tall) * 2 * TEXEL
    texture, side_texels = _coarser(scene.textures[face.texture], texels)
    return _sampled(texture, u / wide * side_texels, v / tall * side_texels)


def _coarser(texture: NDArray[np.uint8], texels: float) -> tuple[NDArray[np.uint8], int]:
    """The texture, shrunk so that a pixel of the view spans about one texel."""
    side = TEXEL
    while texels > 1.4 and side > 4:
        texels, side = texels / 2, side // 2
    if side == TEXEL:
        return texture, side
    return np.asarray(Image.fromarray(texture).resize((side, side), Image.Resampling.BOX)), side


def _sampled(texture: NDArray[np.uint8], u: Floats, v: Floats) -> Floats:
    """Sample a repeating texture bilinearly."""
    u, v = u - 0.5, v - 0.5
    column, row = np.floor(u).astype(np.intp), np.floor(v).astype(np.intp)
    right, down = (u - column)[:, None], (v - row)[:, None]
    side = len(texture)
    c0, c1, r0, r1 = column % side, (column + 1) % side, row % side, (row + 1) % side
    top = texture[r0, c0] * (1 - right) + texture[r0, c1] * right
    bottom = texture[r1, c0] * (1 - right) + texture[r1, c1] * right
    blended: Floats = (top * (1 - down) + bottom * down).astype(np.float32)
    return blended


def _light(scene: Scene, box: int, side: int, points: Floats) -> Floats:
    """Light at points of a face: ambient light, and lamps by angle and distance."""
    axis = side // 2
    outwards = 1.0 if side % 2 else -1.0
    if box == 0:
        outwards = -outwards
    # Ambient light differs a little between walls, floor and ceiling.
    light = np.full(len(points), scene.ambient * (1.0, 0.9, 0.85 + 0.05 * outwards)[axis])
    for lamp in scene.lamps:
        away = lamp - points
        squared = (away * away).sum(axis=1) + 0.3
        facing = np.maximum(0, away[:, axis] * outwards) / np.sqrt(squared)
        light += (1 - scene.ambient) * 9 * facing / (squared + 6)
    return light.astype(np.float32)


def _sky(texture: NDArray[np.uint8], rays: Floats) -> Floats:
    """Colours of the sky: an image that spans the horizon twice, with its lower edge on it."""
    yaw = np.arctan2(rays[:, 1], rays[:, 0]) / math.pi * TEXEL
    # The second copy is mirrored, so that there is no seam.
    yaw = np.abs((yaw % (2 * TEXEL)) - TEXEL)
    rise = np.arctan2(rays[:, 2], np.hypot(rays[:, 0], rays[:, 1])) / (math.pi / 2)
    return _sampled(
        texture,
        np.clip(yaw, 0.5, TEXEL - 0.51).astype(np.float32),
        np.clip((1 - rise) * TEXEL, 0.5, TEXEL - 0.51).astype(np.float32),
    )
