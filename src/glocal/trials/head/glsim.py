"""A crop chosen by global-local similarity, encoded again and fused, finds more of the same."""

from __future__ import annotations

from glocal.learn.heads.gem import Gem
from glocal.learn.heads.glsim import GlSim
from glocal.trials import Claim, Lab
from glocal.trials.clutter import DIM, fixed_trunk, trained_ap

CLAIM = Claim(
    measured="mAP of digits over noise by the vector of image and crop",
    baseline="mAP by the global vector alone, trained likewise",
    unit="points",
    comparison=">",
    margin=0.5,
    seeds=6,
)


def method(lab: Lab) -> float:
    """Fuse the vector of the image with that of the crop."""
    trunk = fixed_trunk(lab)
    return trained_ap(lab, trunk, GlSim(trunk.levels, dim=DIM, top=6, cells=6, width=32))


def baseline(lab: Lab) -> float:
    """The image alone."""
    trunk = fixed_trunk(lab)
    return trained_ap(lab, trunk, Gem(trunk.levels, dim=DIM))
