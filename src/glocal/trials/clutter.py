"""Small digits somewhere in a larger image: what a crop can find and enlarge."""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.learn.contracts import Head
from glocal.learn.heads.gem import Gem
from glocal.learn.objectives.arcface import ArcFace
from glocal.trials.data import Labelled
from glocal.trials.lab import Lab
from glocal.trials.retrieval import train, vectors_of
from glocal.trials.zoo import SmallResidual

SIDE, DIM = 24, 32
_NOISE = 96


def scattered(
    images: NDArray[np.uint8], random: np.random.Generator, *, scale: int = 1
) -> NDArray[np.uint8]:
    """Each image whole at a random place, over noise.

    Args:
        images: ``(n, 8, 8, 3)``.
        random: chooses places and noise.
        scale: whole factor by which images are enlarged, 1 or 2.

    Returns:
        ``(n, 24, 24, 3)``.
    """
    side = 8 * scale
    noise = random.integers(0, _NOISE, (len(images), SIDE, SIDE, 1))
    found = noise.repeat(3, axis=3).astype(np.uint8)
    large = images.repeat(scale, axis=1).repeat(scale, axis=2)
    for canvas, image in zip(found, large, strict=True):
        top, left = random.integers(0, SIDE - side + 1, 2)
        place = canvas[top : top + side, left : left + side]
        np.maximum(place, image, out=place)
    return found


def fixed_trunk(lab: Lab) -> SmallResidual:
    """A backbone that has learned digits in both sizes, and learns no more."""
    trunk = copy.deepcopy(_trained(lab.seed, lab.smoke))
    trunk.freeze(len(trunk.stages))
    torch.manual_seed(lab.seed)
    return trunk


def trained_ap(lab: Lab, trunk: SmallResidual, head: Head) -> float:
    """mAP on test images of a head that was trained on such images, the trunk being fixed."""
    data, random = lab.digits(8), lab.random()
    objective = ArcFace(dim=DIM, classes=data.classes)
    seen = Labelled(scattered(data.train.images, random), data.train.labels)
    train(trunk, head, objective, seen, steps=lab.steps(200), seed=lab.seed, batch=32)
    return data.test.mean_ap(vectors_of(trunk, head, scattered(data.test.images, random)))


@cache
def _trained(seed: int, smoke: bool) -> SmallResidual:
    lab = Lab(seed, smoke=smoke)
    torch.manual_seed(seed)
    data, random = lab.digits(8).train, lab.random()
    both = np.concatenate([scattered(data.images, random, scale=scale) for scale in (1, 2)])
    trunk = SmallResidual((8, 16, 24))
    head, objective = Gem(trunk.levels, dim=DIM), ArcFace(dim=DIM, classes=10)
    seen = Labelled(both, np.tile(data.labels, 2))
    train(trunk, head, objective, seen, steps=lab.steps(200), seed=seed, batch=32)
    return trunk
