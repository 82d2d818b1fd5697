"""Scenes of two things each, with their masks: product images of Grocery, cut out and pasted.

Grocery has an image of each of 81 products on white; what is white and reaches the border is cut
away. Backgrounds are parts of photos that scikit-image carries, of which one is for testing only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from glocal.learn.backbones.efficientnet_lite import EfficientNetLite0
from glocal.trials.data import photos
from glocal.trials.grocery_products import product_images

SIDE, SMALLEST, LARGEST = 128, 44, 64
"""Pixels: of a scene, and of the shortest and the longest side that a thing is scaled to."""

Pixels = NDArray[np.uint8]
Mask = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Scenes:
    """Images of things, encoded.

    Attributes:
        maps: of the frozen trunk, ``(n, 112, h, w)`` and ``(n, 1280, h / 2, w / 2)``.
        things: ``(n, k)``: which things are in each.
        masks: ``(n, k, side, side)`` bool: where they are.
    """

    maps: tuple[Tensor, Tensor]
    things: NDArray[np.int64]
    masks: NDArray[np.bool_]

    def covered(self) -> Tensor:
        """``(n, k, h, w)`` float32: the share of each cell of the finer map that things cover."""
        size = self.maps[0].shape[-2:]
        return functional.adaptive_avg_pool2d(torch.from_numpy(self.masks).float(), size)


def scenes(things: NDArray[np.int64], random: np.random.Generator, *, tested: bool) -> Scenes:
    """Scenes ``(n)`` of ``(n, k)`` things, at places, sizes and turns that are drawn.

    Args:
        things: Which are in each scene; two, or one.
        random: Draws everything else.
        tested: Whether backgrounds are of the photo for testing, or of all others.
    """
    tests, *others = photos(192)
    allowed = [tests] if tested else others
    images, masks = [], []
    for row in things:
        image = _background(allowed[int(random.integers(len(allowed)))], random)
        half = SIDE // len(row)
        for place in range(len(row)):
            image, mask = _pasted(image, int(row[place]), (place * half, half), random)
            masks.append(mask)
        if random.random() < 0.5:
            image = image.transpose(1, 0, 2)
            for number in range(len(row)):
                masks[-1 - number] = masks[-1 - number].T
        images.append(image)
    shaped = np.stack(masks).reshape(*things.shape, SIDE, SIDE)
    return Scenes(_maps(images), things, shaped)


def _background(photo: Pixels, random: np.random.Generator) -> Pixels:
    top, left = random.integers(photo.shape[0] - SIDE + 1, size=2)
    part = photo[top : top + SIDE, left : left + SIDE]
    return (part if random.random() < 0.5 else part[:, ::-1]).copy()


def _pasted(
    image: Pixels, thing: int, columns: tuple[int, int], random: np.random.Generator
) -> tuple[Pixels, NDArray[np.bool_]]:
    """The image with a thing in these columns, from which and how many, and where it covers."""
    from PIL import Image

    cut = Image.fromarray(_cut_outs()[thing]).rotate(
        float(random.uniform(-25, 25)), Image.Resampling.BICUBIC, expand=True
    )
    cut = cut.crop(cut.getchannel("A").getbbox())
    left, room = columns
    longest = min(int(random.integers(SMALLEST, LARGEST + 1)), room if room < SIDE else SIDE)
    scale = longest / max(cut.size)
    width, height = (max(8, round(scale * each)) for each in cut.size)
    pixels = np.asarray(cut.resize((width, height), Image.Resampling.BOX)).astype(np.float32)
    if random.random() < 0.5:
        pixels = pixels[:, ::-1]
    x = left + int(random.integers(room - width + 1))
    y = int(random.integers(SIDE - height + 1))
    alpha = pixels[..., 3:] / 255
    light = np.clip(pixels[..., :3] * random.uniform(0.7, 1.15), 0, 255)
    made = image.astype(np.float32)
    part = made[y : y + height, x : x + width]
    made[y : y + height, x : x + width] = alpha * light + (1 - alpha) * part
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[y : y + height, x : x + width] = alpha[..., 0] > 0.5
    return made.round().astype(np.uint8), mask


@cache
def _cut_outs() -> tuple[Pixels, ...]:
    """The product images, ``(h, w, 4)`` with alpha, in the order of the classes."""
    return tuple(_cut_out(image) for image in product_images())


def _cut_out(image: Pixels) -> Pixels:
    """What is not white, or is enclosed by what is not."""
    from skimage.measure import label

    labels = label(image.min(2) > 248, connectivity=1)  # type: ignore[no-untyped-call]
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside = np.isin(labels, np.unique(border[border > 0]))
    alpha = np.where(outside, 0, 255).astype(np.uint8)
    return np.concatenate([image, alpha[..., None]], axis=2)


@torch.no_grad()
def _maps(images: list[Pixels]) -> tuple[Tensor, Tensor]:
    """Both maps of the trunk with the weights of ImageNet, which stays as it is."""
    fine, coarse = [], []
    for first in range(0, len(images), 32):
        batch = torch.from_numpy(np.stack(images[first : first + 32])).permute(0, 3, 1, 2)
        maps = _trunk()(batch.float() / 255)
        fine.append(maps[1])
        coarse.append(maps[2])
    return torch.cat(fine), torch.cat(coarse)


@cache
def _trunk() -> EfficientNetLite0:
    return EfficientNetLite0().eval().requires_grad_(False)
