"""Vectors of Grocery's photos by trunks that were trained apart, and searches across them.

The trunks are EfficientNet-Lite of three sizes with the weights of ImageNet; their last maps are
pooled by the generalised mean. Each image is encoded once a process.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.learn.backbones.efficientnet_lite import (
    EfficientNetLite,
    EfficientNetLite0,
    EfficientNetLite1,
    EfficientNetLite2,
)
from glocal.learn.heads.gem import generalised_mean
from glocal.trials.data import mean_ap_of_scores
from glocal.trials.lab import Lab
from glocal.trials.vectors import Floats, unit
from glocal.upgrade.bridge import Bridge, make_bridge

SIDE = 128
Trunk = Literal["lite0", "lite1", "lite2"]
_CLASSES: dict[Trunk, type[EfficientNetLite]] = {
    "lite0": EfficientNetLite0,
    "lite1": EfficientNetLite1,
    "lite2": EfficientNetLite2,
}
_KEPT: dict[tuple[Trunk, bytes], Floats] = {}


@dataclass(frozen=True, slots=True, eq=False)
class Spaces:
    """Vectors of the images of one division, in each of some spaces.

    Attributes:
        train: ``(n, 1280)`` by trunk, the anchors.
        validation: Likewise.
        validation_labels: ``(n,)``.
        test: Likewise; their labels are hidden.
    """

    train: dict[Trunk, Floats]
    validation: dict[Trunk, Floats]
    validation_labels: NDArray[np.int64]
    test: dict[Trunk, Floats]

    def fit(self, name: str, old: Trunk, new: Trunk, **settings: object) -> Bridge:
        """A bridge from the new space to the old one, fitted to the training images."""
        return make_bridge(name, **settings).fit(self.train[old], self.train[new])


def spaces(lab: Lab, *trunks: Trunk) -> Spaces:
    """Vectors of Grocery's photos, 12 of each class, by these trunks."""
    data = lab.grocery(_side(lab))
    images = (data.train.images, data.validation.images, data.test.images)
    train, validation, test = (
        {trunk: vectors_of(trunk, each) for trunk in trunks} for each in images
    )
    return Spaces(train, validation, data.validation.labels, test)


@torch.no_grad()
def vectors_of(trunk: Trunk, images: NDArray[np.uint8]) -> Floats:
    """Unit vectors ``(n, 1280)`` of images ``(n, 128, 128, 3)``."""
    found = []
    for image in images:
        key = trunk, image.tobytes()
        if key not in _KEPT:
            pixels = torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255
            _KEPT[key] = generalised_mean(_trunk(trunk)(pixels)[-1], 3.0)[0].numpy()
        found.append(_KEPT[key])
    return unit(np.stack(found))


def tested_ap(lab: Lab, queries: Floats, gallery: Floats) -> float:
    """Mean average precision of the test images across both, in per cent; scored once a side."""
    return lab.grocery(_side(lab)).test.mean_ap_of_scores(scores(queries, gallery))


def validation_ap(at: Spaces, queries: Floats, gallery: Floats) -> float:
    """Likewise of the validation images, which may be scored as often as one likes."""
    return mean_ap_of_scores(scores(queries, gallery), at.validation_labels)


def scores(queries: Floats, gallery: Floats) -> Floats:
    """Similarities ``(n, n)`` of each query with each image."""
    return unit(queries) @ unit(gallery).T


def _side(lab: Lab) -> int:
    return 32 if lab.smoke else SIDE


@cache
def _trunk(name: Trunk) -> EfficientNetLite:
    return _CLASSES[name]().eval().requires_grad_(False)
