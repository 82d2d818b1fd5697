"""A new task head with two attentions learns on a fixed backbone; the old head stays as it was.

The old head's outputs and the backbone do not change by anything. It fails by the accuracy of the
new head, which beside GeM's goes both ways over six seeds (-7 to 10 points): that tells neither.
"""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.learn.contracts import Head
from glocal.learn.heads.gem import Gem
from glocal.learn.heads.medusa import Medusa
from glocal.learn.objectives.arcface import ArcFace
from glocal.trials import Claim, Lab
from glocal.trials.data import Labelled
from glocal.trials.retrieval import train, vectors_of
from glocal.trials.zoo import SmallResidual, pixels

CLAIM = Claim(
    measured="mAP of digits by a Medusa head added to a backbone that learned even and odd",
    baseline="mAP by a whitened GeM head added to the same fixed backbone",
    unit="points",
    comparison=">",
    margin=1.0,
    seeds=6,
)
_DIM = 32


def method(lab: Lab) -> float:
    """Add a second Medusa head, and compare the first before and after."""
    trunk, first = _with_first_head(lab)
    second = Medusa(trunk.levels, dim=_DIM, width=24)
    images = pixels(lab.digits(16).validation.images[:64])
    weights = [weight.clone() for weight in trunk.state_dict().values()]
    before = _old_output(trunk, first, images)
    found = _added(lab, trunk, second)
    changed = (before - _old_output(trunk, first, images)).abs().max()
    lab.check("largest change of the first head's output", float(changed), "=", 0)
    kept = zip(weights, trunk.state_dict().values(), strict=True)
    differs = sum(not torch.equal(one, other) for one, other in kept)
    lab.check("tensors of the backbone that changed", differs, "=", 0)
    return found


def baseline(lab: Lab) -> float:
    """Add a GeM head, which sees the coarsest map without attention."""
    trunk, _ = _with_first_head(lab)
    return _added(lab, trunk, Gem(trunk.levels, dim=_DIM))


def _with_first_head(lab: Lab) -> tuple[SmallResidual, Medusa]:
    """A backbone trained with one head to tell even from odd digits, both then fixed."""
    torch.manual_seed(lab.seed)
    data = lab.digits(16).train
    trunk = SmallResidual((8, 16, 24))
    head = Medusa(trunk.levels, dim=_DIM, width=24)
    even = Labelled(data.images, data.labels % 2)
    objective = ArcFace(dim=_DIM, classes=2)
    train(trunk, head, objective, even, steps=lab.steps(40), seed=lab.seed)
    trunk.freeze(len(trunk.stages))
    return trunk, head


def _added(lab: Lab, trunk: SmallResidual, head: Head) -> float:
    data = lab.digits(16)
    objective = ArcFace(dim=_DIM, classes=data.classes)
    train(trunk, head, objective, data.train, steps=lab.steps(80), seed=lab.seed)
    return data.test.mean_ap(vectors_of(trunk, head, data.test.images))


@torch.no_grad()
def _old_output(trunk: SmallResidual, head: Medusa, images: Tensor) -> Tensor:
    found: Tensor = head.eval()(trunk.eval()(images)).vector
    return found
