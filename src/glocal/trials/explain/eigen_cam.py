"""The main direction of an image's contributions lights the thing in it, without label or gradient.

Each image has one thing: a product of Grocery, cut out and pasted on grass, gravel or brick. The
box is the one around the largest area of the heat map above a fifth of its maximum, as
Zhou et al. (2016) draw boxes from class activation maps. The baseline is the central square of half
the side, which overlaps such boxes most of the central squares tried, in other divisions.

The ground matters: on photos that have things of their own, these stand out as well, and the boxes
overlap little better than the central square.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from glocal.explain.eigen_cam import eigen_cam
from glocal.trials import Claim, Lab
from glocal.trials.explain.point_to_point_metric_explanation import contributions
from glocal.trials.grocery_products import product_images

CLAIM = Claim(
    measured="overlap of the heat map's box with the box of the thing, mean of 24 images",
    baseline="overlap of the central square of half the side with it",
    unit="intersection over union",
    comparison=">",
    margin=0.15,
    seeds=5,
)
_SIDE, _IMAGES, _BRIGHT = 320, 24, 0.2
_SMALLEST, _LARGEST = 0.35, 0.65
_WHITE = 248

Box = tuple[int, int, int, int]
Pixels = NDArray[np.uint8]


def method(lab: Lab) -> float:
    """The box of the heat map of what each cell adds to the vector."""
    found = []
    for image, box in _images(lab):
        found.append(_overlap(_bright_box(eigen_cam(contributions(image))), box))
    return float(np.mean(found))


def baseline(lab: Lab) -> float:
    """The central square."""
    edge = _SIDE // 4
    centre = (edge, edge, _SIDE - edge, _SIDE - edge)
    return float(np.mean([_overlap(centre, box) for _, box in _images(lab)]))


def _images(lab: Lab) -> list[tuple[Pixels, Box]]:
    """Images of one thing each, and the thing's box: top, left, bottom, right."""
    random = lab.random()
    return [_pasted(random) for _ in range(2 if lab.smoke else _IMAGES)]


def _pasted(random: np.random.Generator) -> tuple[Pixels, Box]:
    from PIL import Image

    grounds, things = _grounds(), product_images()
    ground = grounds[int(random.integers(len(grounds)))]
    top, left = (int(n) for n in random.integers(0, len(ground) - _SIDE + 1, 2))
    made = ground[top : top + _SIDE, left : left + _SIDE].astype(np.float32)
    cut = Image.fromarray(_cut_out(things[int(random.integers(len(things)))]))
    cut = cut.crop(cut.getchannel("A").getbbox())
    scale = random.uniform(_SMALLEST, _LARGEST) * _SIDE / max(cut.size)
    width, height = (max(8, round(scale * each)) for each in cut.size)
    pixels = np.asarray(cut.resize((width, height), Image.Resampling.LANCZOS), np.float32)
    left = int(random.integers(_SIDE - width + 1))
    top = int(random.integers(_SIDE - height + 1))
    alpha = pixels[..., 3:] / 255
    place = made[top : top + height, left : left + width]
    place[:] = alpha * pixels[..., :3] + (1 - alpha) * place
    return made.round().astype(np.uint8), (top, left, top + height, left + width)


def _cut_out(image: Pixels) -> Pixels:
    """What is not white, or is enclosed by what is not, ``(h, w, 4)`` with alpha."""
    from scipy.ndimage import binary_fill_holes  # type: ignore[import-untyped]

    shown = binary_fill_holes(image.min(axis=2) <= _WHITE)
    return np.concatenate([image, np.where(shown, 255, 0).astype(np.uint8)[..., None]], axis=2)


@cache
def _grounds() -> tuple[Pixels, ...]:
    """Grey photos of grass, gravel and brick, ``(512, 512, 3)``."""
    from skimage import data

    return tuple(
        np.repeat(made()[..., None], 3, axis=2)  # type: ignore[no-untyped-call]
        for made in (data.grass, data.gravel, data.brick)
    )


def _bright_box(heat: NDArray[np.float32]) -> Box:
    """The box around the largest area that is brighter than a share of the maximum."""
    from skimage.measure import label, regionprops
    from skimage.transform import resize

    large = resize(heat, (_SIDE, _SIDE), order=1, mode="edge")  # type: ignore[no-untyped-call]
    areas = regionprops(label(large >= _BRIGHT * large.max()))  # type: ignore[no-untyped-call]
    top, left, bottom, right = max(areas, key=lambda area: area.area).bbox
    return int(top), int(left), int(bottom), int(right)


def _overlap(one: Box, other: Box) -> float:
    """Intersection over union of two boxes."""
    high = max(0, min(one[2], other[2]) - max(one[0], other[0]))
    wide = max(0, min(one[3], other[3]) - max(one[1], other[1]))
    both = high * wide
    return both / (_area(one) + _area(other) - both)


def _area(box: Box) -> int:
    return (box[2] - box[0]) * (box[3] - box[1])
