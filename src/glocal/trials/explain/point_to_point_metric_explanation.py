"""The similarity of two images is the sum over pairs of regions, and a point lights its match."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.explain.similarity import decompose, point_weights
from glocal.learn.backbones.efficientnet_lite import EfficientNetLite0
from glocal.learn.heads.gem import Gem
from glocal.trials import Claim, Lab
from glocal.trials.zoo import pixels

CLAIM = Claim(
    measured="sum over the pairs of regions of two photos",
    baseline="similarity of the photos' vectors",
    unit="cosine",
    comparison="=",
    margin=1e-4,
    seeds=5,
)
_SIDE, _CUT = 256, 96


def method(lab: Lab) -> NDArray[np.float64]:
    """Sums of the pairs; a point on a detail that both photos have lights the detail."""
    query, hit, places = pair_with_shared_detail(lab)
    found = decompose(contributions(query), contributions(hit))
    x, y, side = places[1]
    lit = found.map_for(point_weights(places[0][:2], found.query_map.shape))
    row, column = np.unravel_index(int(lit.argmax()), lit.shape)
    apart = max(abs((column + 0.5) / lit.shape[1] - x), abs((row + 0.5) / lit.shape[0] - y))
    reach = side / 2 + 0.5 / lit.shape[0]
    lab.check("distance of the brightest region from the detail's centre", apart, "<", reach)
    return np.array([found.table.sum(), found.query_map.sum(), found.hit_map.sum()])


def baseline(lab: Lab) -> NDArray[np.float64]:
    """Scalar product of the vectors that the head gives."""
    query, hit, _ = pair_with_shared_detail(lab)
    backbone, head = _network()
    with torch.no_grad():
        one, two = (head(backbone(pixels(image[None]))).vector[0] for image in (query, hit))
    return np.full(3, float(one @ two))


def pair_with_shared_detail(
    lab: Lab,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], list[tuple[float, float, float]]]:
    """Two photos with one detail of a third at different places.

    Returns:
        Both photos, and in each the detail's centre x, y and its side, in parts of the photo.
    """
    random = lab.random()
    photos = lab.photos(_SIDE)
    first, second, third = (photos[n] for n in random.permutation(len(photos))[:3])
    y, x = random.integers(32, _SIDE - _CUT - 32, 2)
    detail = third[y : y + _CUT, x : x + _CUT]
    query, hit = first.copy(), second.copy()
    places = []
    for image in (query, hit):
        top, left = (32 * int(n) for n in random.integers(0, (_SIDE - _CUT) // 32 + 1, 2))
        image[top : top + _CUT, left : left + _CUT] = detail
        places.append(((left + _CUT / 2) / _SIDE, (top + _CUT / 2) / _SIDE, _CUT / _SIDE))
    return query, hit, places


@torch.no_grad()
def contributions(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """What each cell adds to the vector of a network with ImageNet's weights, ``(h, w, d)``."""
    backbone, head = _network()
    return head.contributions(backbone(pixels(image[None])))[0].numpy()


@cache
def _network() -> tuple[EfficientNetLite0, Gem]:
    backbone = EfficientNetLite0().eval()
    return backbone, Gem(backbone.levels).eval()
