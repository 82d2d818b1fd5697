"""GCR: subspaces that stay orthonormal, projections as logits; do features transfer better?

Logits and bases are right and classes are learned. The mean over six seeds is in favour of
subspaces, but three labels are too few for the lower bound to clear the margin.
Besides, mAP prefers compact classes, while subspaces leave their images room; the paper measures
transfer by linear classifiers of features, which is not done here.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.learn.contracts import Objective
from glocal.learn.heads.gem import Gem
from glocal.learn.objectives.grassmann import Grassmann
from glocal.learn.objectives.softmax import NormalisedSoftmax
from glocal.trials import Claim, Lab
from glocal.trials.data import Labelled, mean_ap
from glocal.trials.retrieval import train, vectors_of
from glocal.trials.zoo import SmallResidual

CLAIM = Claim(
    measured="mAP of digits of three labels that were not trained on, trained with subspaces",
    baseline="mAP of the same digits, trained with softmax over cosines",
    unit="points",
    comparison=">",
    margin=0.5,
    seeds=6,
)
_DIM, _KNOWN = 32, 7


def method(lab: Lab) -> float:
    """Train with subspaces; compare logits with projections, and test the bases."""
    objective = Grassmann(dim=_DIM, classes=_KNOWN)
    trunk, head = _trained(lab, objective)
    objective.retract()
    bases = objective.bases.detach()
    apart = bases.transpose(1, 2) @ bases - torch.eye(bases.shape[2])
    lab.check("largest deviation of a basis from orthonormal", float(apart.abs().max()), "<", 1e-5)
    data = lab.digits(8).validation
    vectors = vectors_of(trunk, head, data.images)
    logits = objective.logits(torch.from_numpy(vectors)).detach().numpy()
    differs = float(np.abs(logits - _projected(objective, vectors)).max())
    lab.check("largest deviation of a logit from the projection's length", differs, "<", 1e-4)
    known = data.labels < _KNOWN
    right = 100 * float((logits[known].argmax(axis=1) == data.labels[known]).mean())
    lab.check("accuracy on the labels trained on, per cent", right, ">", 90)
    return _transfer(lab, trunk, head)


def baseline(lab: Lab) -> float:
    """Train with softmax."""
    return _transfer(lab, *_trained(lab, NormalisedSoftmax(dim=_DIM, classes=_KNOWN)))


def _trained(lab: Lab, objective: Objective) -> tuple[SmallResidual, Gem]:
    torch.manual_seed(lab.seed)
    data = lab.digits(8).train
    known = data.labels < _KNOWN
    trunk = SmallResidual((8, 16, 24))
    head = Gem(trunk.levels, dim=_DIM)
    seen = Labelled(data.images[known], data.labels[known])
    train(trunk, head, objective, seen, steps=lab.steps(60), seed=lab.seed)
    return trunk, head


def _transfer(lab: Lab, trunk: SmallResidual, head: Gem) -> float:
    """mAP among validation images of the other labels; nothing was chosen on them."""
    data = lab.digits(8).validation
    new = data.labels >= _KNOWN
    return mean_ap(vectors_of(trunk, head, data.images[new]), data.labels[new])


def _projected(objective: Grassmann, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Scaled lengths of least-squares projections to each subspace, one at a time."""
    found = np.empty((len(vectors), _KNOWN))
    wide = vectors.astype(np.float64)
    for number, basis in enumerate(objective.bases.detach().double().numpy()):
        mixed = np.linalg.lstsq(basis, wide.T, rcond=None)[0]
        found[:, number] = objective.scale * np.linalg.norm(basis @ mixed, axis=0)
    return found
