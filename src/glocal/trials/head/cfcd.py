"""CFCD: scheduled margin and scale and triplets of local descriptors; do they raise mAP?"""

from __future__ import annotations

import torch

from glocal.learn.contracts import Head, Objective
from glocal.learn.heads.cfcd import Cfcd
from glocal.learn.heads.gem import Gem
from glocal.learn.objectives.adaptive import AdaptiveSoftmax
from glocal.learn.objectives.arcface import ArcFace
from glocal.trials import Claim, Lab
from glocal.trials.retrieval import train, vectors_of
from glocal.trials.zoo import SmallResidual, pixels

CLAIM = Claim(
    measured="mAP of digits by CFCD, with its fine stage",
    baseline="mAP by GeM and ArcFace, trained likewise",
    unit="points",
    comparison=">",
    margin=0.5,
    seeds=6,
)
_DIM = 32


def method(lab: Lab) -> float:
    """Train in two stages; with the first seed compare the local triplets with the fine stage off."""
    trunk, head = _cfcd(lab, coarse=0.5)
    lab.check("fine stage reached (1 is yes)", head.fine, "=", 1)
    if lab.seed == 0 and not lab.smoke:
        on = _local_cost(lab, trunk, head)
        off = _local_cost(lab, *_cfcd(lab, coarse=2.0))
        lab.check("cost of local triplets, in parts of that without the fine stage", on / off,
                  "<", 0.95)  # fmt: skip
    data = lab.digits(16)
    return data.test.mean_ap(vectors_of(trunk, head, data.test.images))


def baseline(lab: Lab) -> float:
    """Train GeM with ArcFace."""
    trunk = SmallResidual((8, 16, 24))
    head = Gem(trunk.levels, dim=_DIM)
    _train(lab, trunk, head, ArcFace(dim=_DIM, classes=10))
    data = lab.digits(16)
    return data.test.mean_ap(vectors_of(trunk, head, data.test.images))


def _cfcd(lab: Lab, *, coarse: float) -> tuple[SmallResidual, Cfcd]:
    """CFCD with the fine stage after the part ``coarse``; more than 1 is never."""
    torch.manual_seed(lab.seed)
    trunk = SmallResidual((8, 16, 24))
    head = Cfcd(trunk.levels, dim=_DIM, finer=True, coarse=coarse)
    _train(lab, trunk, head, AdaptiveSoftmax(dim=_DIM, classes=10))
    return trunk, head


def _train(lab: Lab, trunk: SmallResidual, head: Head, objective: Objective) -> None:
    train(trunk, head, objective, lab.digits(16).train, steps=lab.steps(60), seed=lab.seed,
          batch=24)  # fmt: skip


@torch.no_grad()
def _local_cost(lab: Lab, trunk: SmallResidual, head: Cfcd) -> float:
    """The loss of local triplets on validation images."""
    seen = lab.digits(16).validation
    head.train()
    head.fine = True
    cost = float(
        head.loss(head(trunk(pixels(seen.images[:96]))), torch.from_numpy(seen.labels[:96]))
    )
    head.eval()
    return cost
