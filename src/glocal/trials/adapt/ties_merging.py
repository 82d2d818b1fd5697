"""Three tunings of one network become one encoder, by signs that are voted on and by the mean.

The network is a perceptron that has learned digits; each copy is tuned on one of three kinds that
want different things of the weights: turned by a right angle, negative, and mirrored. Both mergers
have the settings of their papers.

It takes such a conflict. In divisions of seeds 100 and 101 the plain mean was better by one to four
points where the three kinds were digits moved by a pixel or two, or made pale; so it was, by two
and seven, for a small residual network tuned on the three kinds of this trial, whose running
statistics no merger brings together.
"""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from glocal.learn.mergers.average import Average
from glocal.learn.mergers.merger import Merger
from glocal.learn.mergers.ties import Ties
from glocal.trials import Claim, Lab
from glocal.trials.data import Labelled, mean_ap
from glocal.trials.tuned_digits import grey, learned, tune

CLAIM = Claim(
    measured="mAP of digits turned, negative and mirrored, mean of the three, by a network merged "
    "of three that were tuned on one each",
    baseline="the same of the mean of their weights",
    unit="per cent",
    comparison=">",
    margin=0.5,
    seeds=6,
)
_STEPS, _RATE = 60, 1e-3


def method(lab: Lab) -> float:
    """Merge by trimming, electing signs, and the mean of those that agree."""
    return _merged_ap(lab, Ties())


def baseline(lab: Lab) -> float:
    """Average."""
    return _merged_ap(lab, Average())


def _merged_ap(lab: Lab, merger: Merger) -> float:
    merged = merger.merge(learned(lab.seed, lab.smoke), _tuned(lab.seed, lab.smoke))
    data = lab.digits(8).validation
    found = []
    for images in _kinds(data.images):
        with torch.no_grad():
            vectors = merged[:-1](grey(images)).numpy()
        found.append(mean_ap(vectors, data.labels))
    return float(np.mean(found))


def _kinds(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Images ``(n, 8, 8, 3)`` turned by a right angle, negative, and mirrored upside down."""
    turned = np.rot90(images, axes=(1, 2))
    return np.ascontiguousarray(turned), 255 - images, np.ascontiguousarray(images[:, ::-1])


@cache
def _tuned(seed: int, smoke: bool) -> list[nn.Sequential]:
    """A copy of the network for each kind."""
    lab = Lab(seed, smoke=smoke)
    data, found = lab.digits(8).train, []
    for images in _kinds(data.images):
        network = copy.deepcopy(learned(seed, smoke))
        tune(network, Labelled(images, data.labels), lr=_RATE, steps=lab.steps(_STEPS))
        found.append(network)
    return found
