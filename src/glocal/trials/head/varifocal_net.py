"""A box that the global pass proposes, zoomed into and encoded again, adds to the global vector."""

from __future__ import annotations

from glocal.learn.contracts import Head
from glocal.learn.heads.gem import Gem
from glocal.learn.heads.varifocal import Varifocal
from glocal.learn.objectives.arcface import ArcFace
from glocal.trials import Claim, Lab
from glocal.trials.clutter import DIM, fixed_trunk, scattered
from glocal.trials.data import Labelled
from glocal.trials.retrieval import train, vectors_of
from glocal.trials.zoo import SmallResidual

CLAIM = Claim(
    measured="mAP of digits among fragments by the global and the local vector",
    baseline="mAP by the global vector alone, trained likewise",
    unit="points",
    comparison=">",
    margin=0.5,
    seeds=6,
)


def method(lab: Lab) -> float:
    """Concatenate the vectors of the image and of the box."""
    trunk = fixed_trunk(lab)
    return _mean_ap(lab, trunk, Varifocal(trunk.levels, dim=DIM, cells=6, most=0.5))


def baseline(lab: Lab) -> float:
    """The image alone."""
    trunk = fixed_trunk(lab)
    return _mean_ap(lab, trunk, Gem(trunk.levels, dim=DIM))


def _mean_ap(lab: Lab, trunk: SmallResidual, head: Head) -> float:
    data, random = lab.digits(8), lab.random()
    objective = ArcFace(dim=DIM, classes=data.classes)
    seen = Labelled(scattered(data.train.images, random), data.train.labels)
    train(trunk, head, objective, seen, steps=lab.steps(200), seed=lab.seed, batch=32)
    return data.test.mean_ap(vectors_of(trunk, head, scattered(data.test.images, random)))
