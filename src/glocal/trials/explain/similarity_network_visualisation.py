"""Pairwise heat maps add up to the similarity under several poolings, and regions restrict them."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from glocal.explain.similarity import decompose, region_weights
from glocal.learn.backbones.efficientnet_lite import EfficientNetLite0
from glocal.learn.heads.average import Average
from glocal.learn.heads.gem import Gem
from glocal.learn.heads.pooled import Pooled
from glocal.trials import Claim, Lab
from glocal.trials.zoo import pixels

CLAIM = Claim(
    measured="sums of the heat maps of two photos, for average, GeM and whitened GeM pooling",
    baseline="similarities of the photos' vectors",
    unit="cosine",
    comparison="=",
    margin=1e-4,
    seeds=5,
)
_SIDE = 192


def method(lab: Lab) -> NDArray[np.float64]:
    """Sums of the heat maps, and of those of the two halves of the query."""
    found = []
    for head in _heads():
        one, two = (_contributions(head, maps) for maps in _maps(lab))
        parts = decompose(one, two)
        halves = [
            parts.map_for(region_weights((x, 0.0, 0.5, 1.0), one.shape[:2])).sum()
            for x in (0.0, 0.5)
        ]
        apart = abs(float(sum(halves)) - parts.score)
        lab.check("halves of the query against the whole", apart, "<", 1e-4)
        found += [parts.query_map.sum(), parts.hit_map.sum()]
    _check_region(lab)
    return np.array(found)


def baseline(lab: Lab) -> NDArray[np.float64]:
    """Scalar products of the heads' vectors."""
    found = []
    for head in _heads():
        with torch.no_grad():
            one, two = (head(maps).vector[0] for maps in _maps(lab))
        found += [float(one @ two)] * 2
    return np.array(found)


def _check_region(lab: Lab) -> None:
    """A query of two photos side by side: by each half, the photo that is there wins."""
    photos = lab.photos(_SIDE)
    first, second = (photos[n] for n in lab.random().permutation(len(photos))[:2])
    both = np.concatenate([first, second], axis=1)
    head = _heads()[1]
    query, *hits = (
        _contributions(head, _backbone()(pixels(each[None]))) for each in (both, first, second)
    )
    for number, x in enumerate((0.0, 0.5)):
        weights = region_weights((x, 0.0, 0.5, 1.0), query.shape[:2])
        scores = [float(decompose(query, hit).map_for(weights).sum()) for hit in hits]
        lead = scores[number] - scores[1 - number]
        lab.check("lead of the photo in the chosen half of the query", lead, ">", 0)


@torch.no_grad()
def _contributions(head: Pooled, maps: list[Tensor]) -> NDArray[np.float32]:
    return head.contributions(maps)[0].numpy()


def _maps(lab: Lab) -> list[list[Tensor]]:
    photos = lab.photos(_SIDE)
    chosen = lab.random().permutation(len(photos))[:2]
    with torch.no_grad():
        return [_backbone()(pixels(photos[n][None])) for n in chosen]


@cache
def _backbone() -> EfficientNetLite0:
    return EfficientNetLite0().eval().requires_grad_(False)


@cache
def _heads() -> tuple[Pooled, ...]:
    torch.manual_seed(0)
    levels = _backbone().levels
    return Average(levels).eval(), Gem(levels).eval(), Gem(levels, dim=128).eval()
