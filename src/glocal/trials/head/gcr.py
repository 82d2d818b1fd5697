"""Logits of GCR are lengths of projections to subspaces that stay orthonormal while they learn."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.learn.heads.gem import Gem
from glocal.learn.objectives.grassmann import Grassmann
from glocal.trials import Claim, Lab
from glocal.trials.data import Labelled, mean_ap
from glocal.trials.retrieval import train, vectors_of
from glocal.trials.zoo import SmallResidual

CLAIM = Claim(
    measured="logits of class subspaces after training",
    baseline="lengths of the vectors' least-squares projections to the same subspaces",
    unit="logit",
    comparison="=",
    margin=1e-5,
    seeds=3,
)
_DIM, _KNOWN = 32, 7


def method(lab: Lab) -> NDArray[np.float64]:
    """Logits; orthonormality; transfer to digits of labels that were not trained on."""
    trunk, head, objective = _trained(lab)
    bases = objective.bases.detach()
    apart = bases.transpose(1, 2) @ bases - torch.eye(bases.shape[2])
    lab.check("largest deviation of a basis from orthonormal", float(apart.abs().max()), "<", 1e-5)
    data = lab.digits(8).validation
    known = data.labels < _KNOWN
    vectors = vectors_of(trunk, head, data.images)
    logits = objective.logits(torch.from_numpy(vectors)).detach().numpy()
    right = 100 * float((logits[known].argmax(axis=1) == data.labels[known]).mean())
    lab.check("accuracy on the labels trained on, per cent", right, ">", 90)
    new, labels = data.images[~known], data.labels[~known]
    fresh = SmallResidual()
    before = mean_ap(vectors_of(fresh, Gem(fresh.levels, dim=_DIM), new), labels)
    after = mean_ap(vectors[~known], labels)
    lab.check("mAP gained on labels not trained on, points", after - before, ">", 3)
    return logits.astype(np.float64)


def baseline(lab: Lab) -> NDArray[np.float64]:
    """Project each vector to each subspace by least squares, one at a time."""
    trunk, head, objective = _trained(lab)
    vectors = vectors_of(trunk, head, lab.digits(8).validation.images).astype(np.float64)
    found = np.empty((len(vectors), _KNOWN))
    for number, basis in enumerate(objective.bases.detach().double().numpy()):
        mixed = np.linalg.lstsq(basis, vectors.T, rcond=None)[0]
        found[:, number] = objective.scale * np.linalg.norm(basis @ mixed, axis=0)
    return found


def _trained(lab: Lab) -> tuple[SmallResidual, Gem, Grassmann]:
    torch.manual_seed(lab.seed)
    data = lab.digits(8).train
    known = data.labels < _KNOWN
    trunk = SmallResidual()
    head = Gem(trunk.levels, dim=_DIM)
    objective = Grassmann(dim=_DIM, classes=_KNOWN)
    seen = Labelled(data.images[known], data.labels[known])
    train(trunk, head, objective, seen, steps=lab.steps(80), seed=lab.seed)
    objective.retract()
    return trunk, head, objective
