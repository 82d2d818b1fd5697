"""Three tunings of one trunk become one encoder, by signs that are voted on and by the mean."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.learn.mergers.average import Average
from glocal.learn.mergers.merger import Merger
from glocal.learn.mergers.ties import Ties
from glocal.trials import Claim, Lab
from glocal.trials.data import Labelled, mean_ap
from glocal.trials.zoo import Classifier, SmallResidual, fit, pixels

CLAIM = Claim(
    measured="mAP of digits turned, negative and mirrored, mean of the three, by a network merged "
    "of three that were tuned on one each",
    baseline="the same of the mean of their weights",
    unit="per cent",
    comparison=">",
    margin=1.0,
    seeds=6,
)
_STEPS, _TUNING = 80, 60


def method(lab: Lab) -> float:
    """Merge with the paper's settings; nothing is chosen, so validation images are for testing."""
    return _merged_ap(lab, Ties())


def baseline(lab: Lab) -> float:
    """Average."""
    return _merged_ap(lab, Average())


def _merged_ap(lab: Lab, merger: Merger) -> float:
    base, tuned = _networks(lab.seed, lab.smoke)
    merged = merger.merge(base, tuned)
    data = lab.digits(8).validation
    found = []
    for images in _domains(data.images):
        with torch.no_grad():
            vectors = merged.vectors(pixels(images)).numpy()
        found.append(mean_ap(vectors, data.labels))
    return float(np.mean(found))


def _domains(images: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], ...]:
    """Images ``(n, 8, 8, 3)`` turned by a right angle, negative, and mirrored upside down."""
    turned = np.rot90(images, axes=(1, 2))
    return np.ascontiguousarray(turned), 255 - images, np.ascontiguousarray(images[:, ::-1])


@cache
def _networks(seed: int, smoke: bool) -> tuple[Classifier, list[Classifier]]:
    """A network that has learned digits as they are, and copies tuned on each domain."""
    import copy

    lab = Lab(seed, smoke=smoke)
    torch.manual_seed(seed)
    data = lab.digits(8)
    base = Classifier(SmallResidual((8, 16, 24)), data.classes)
    fit(base, data.train, steps=lab.steps(_STEPS), seed=seed)
    tuned = []
    for number, images in enumerate(_domains(data.train.images)):
        network = copy.deepcopy(base)
        seen = Labelled(images, data.train.labels)
        fit(network, seen, steps=lab.steps(_TUNING), seed=seed + number, lr=1e-3)
        tuned.append(network)
    return base, tuned
