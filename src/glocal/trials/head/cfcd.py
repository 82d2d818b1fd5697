"""CFCD's scheduled softmax and matched local descriptors beat plain ArcFace with GeM."""

from __future__ import annotations

from glocal.learn.contracts import Head, Objective
from glocal.learn.heads.cfcd import Cfcd
from glocal.learn.heads.gem import Gem
from glocal.learn.objectives.adaptive import AdaptiveSoftmax
from glocal.learn.objectives.arcface import ArcFace
from glocal.trials import Claim, Lab
from glocal.trials.retrieval import train, vectors_of
from glocal.trials.zoo import SmallResidual

CLAIM = Claim(
    measured="mAP of digits by CFCD",
    baseline="mAP by GeM and ArcFace, trained likewise",
    unit="points",
    comparison=">",
    margin=0.5,
    seeds=6,
)
_DIM = 32


def method(lab: Lab) -> float:
    """Train in two stages, the second with triplets of local descriptors."""
    trunk = SmallResidual((8, 16, 24))
    head = Cfcd(trunk.levels, dim=_DIM)
    found = _mean_ap(lab, trunk, head, AdaptiveSoftmax(dim=_DIM, classes=10))
    lab.check("fine stage reached (1 is yes)", head.fine, "=", 1)
    return found


def baseline(lab: Lab) -> float:
    """Train GeM with ArcFace."""
    trunk = SmallResidual((8, 16, 24))
    return _mean_ap(lab, trunk, Gem(trunk.levels, dim=_DIM), ArcFace(dim=_DIM, classes=10))


def _mean_ap(lab: Lab, trunk: SmallResidual, head: Head, objective: Objective) -> float:
    data = lab.digits(16)
    train(trunk, head, objective, data.train, steps=lab.steps(60), seed=lab.seed, batch=24)
    return data.test.mean_ap(vectors_of(trunk, head, data.test.images))
