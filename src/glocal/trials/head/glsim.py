"""A crop chosen by global-local similarity, encoded again and fused, finds more of the same."""

from __future__ import annotations

from glocal.learn.contracts import Head
from glocal.learn.heads.gem import Gem
from glocal.learn.heads.glsim import GlSim
from glocal.learn.objectives.arcface import ArcFace
from glocal.trials import Claim, Lab
from glocal.trials.clutter import DIM, fixed_trunk, scattered
from glocal.trials.data import Labelled
from glocal.trials.retrieval import train, vectors_of
from glocal.trials.zoo import SmallResidual

CLAIM = Claim(
    measured="mAP of digits among fragments by the vector of image and crop",
    baseline="mAP by the global vector alone, trained likewise",
    unit="points",
    comparison=">",
    margin=0.5,
    seeds=6,
)


def method(lab: Lab) -> float:
    """Fuse the vector of the image with that of the crop."""
    trunk = fixed_trunk(lab)
    return _mean_ap(lab, trunk, GlSim(trunk.levels, dim=DIM, top=6, cells=6, width=32))


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
