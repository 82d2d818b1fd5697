"""A box that the global pass proposes, zoomed into and encoded again, adds to the global vector."""

from __future__ import annotations

from glocal.learn.heads.gem import Gem
from glocal.learn.heads.varifocal import Varifocal
from glocal.trials import Claim, Lab
from glocal.trials.clutter import DIM, fixed_trunk, trained_ap

CLAIM = Claim(
    measured="mAP of digits over noise by the global and the local vector",
    baseline="mAP by the global vector alone, trained likewise",
    unit="points",
    comparison=">",
    margin=0.5,
    seeds=6,
)


def method(lab: Lab) -> float:
    """Concatenate the vectors of the image and of the box."""
    trunk = fixed_trunk(lab)
    return trained_ap(lab, trunk, Varifocal(trunk.levels, dim=DIM, cells=6, most=0.5))


def baseline(lab: Lab) -> float:
    """The image alone."""
    trunk = fixed_trunk(lab)
    return trained_ap(lab, trunk, Gem(trunk.levels, dim=DIM))
