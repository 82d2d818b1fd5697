"""Layers on which the loss hangs stay denser, by forward passes alone; a uniform sparsity fails.

A classifier of digits keeps 30 % of its weights and is not trained afterwards. Within each layer
both sides remove the same kind of weights, by Wanda's criterion. Convolutions of 8x8 images stand
for the transformers of vision and language that the paper prunes.
"""

from __future__ import annotations

from glocal.learn.compress.ecoflap import CoarseToFine
from glocal.trials import Claim, Lab
from glocal.trials.pruned_digits import evidence, tested_ap, trained

CLAIM = Claim(
    measured="mAP with 30 % of the weights, layers as sparse as zeroth-order scores say",
    baseline="mAP with 30 % of the weights of each layer",
    unit="points",
    comparison=">",
    margin=10.0,
    seeds=5,
)
KEEP = 0.3


def method(lab: Lab) -> float:
    """Score, share out, prune locally."""
    plan = CoarseToFine(seed=lab.seed).plan(trained(lab), KEEP, evidence(lab))
    lab.check("share of the weights less the goal", abs(plan.kept - KEEP), "<", 0.001)
    shares = [float(mask.float().mean()) for mask in plan.masks.values()]
    lab.check("densest layer less the sparsest", max(shares) - min(shares), ">", 0.05)
    return tested_ap(lab, plan.apply(trained(lab)))


def baseline(lab: Lab) -> float:
    """Prune each layer by the same share."""
    plan = CoarseToFine(uniform=True).plan(trained(lab), KEEP, evidence(lab))
    return tested_ap(lab, plan.apply(trained(lab)))
