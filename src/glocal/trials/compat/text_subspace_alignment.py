"""An affine map between shared subspaces finds more than one between the whole spaces.

The paper aligns encoders of shapes and of text, which are not here: two encoders of photos, trained
apart, stand for them. There are fewer anchors than dimensions, as there.
"""

from __future__ import annotations

import numpy as np

from glocal.trials import Claim, Lab
from glocal.trials.trunk_vectors import spaces, tested_ap

CLAIM = Claim(
    measured="mAP of queries by lite2 among photos encoded by lite0, aligned in shared subspaces",
    baseline="mAP after an affine map of the whole space, fitted to the same images",
    unit="points",
    comparison=">",
    margin=1.0,
    seeds=8,
)


def method(lab: Lab) -> float:
    """The number of directions is chosen on part of the anchors."""
    at = spaces(lab, "lite0", "lite2")
    bridge = at.fit("subspace", "lite0", "lite2")
    lab.check("directions that are kept, of 1,280", bridge.dim, "<", 1280)
    return tested_ap(lab, bridge.queries(at.test["lite2"]), bridge.gallery(at.test["lite0"]))


def baseline(lab: Lab) -> float:
    """Least squares of the smallest norm."""
    at = spaces(lab, "lite0", "lite2")
    old, new = at.train["lite0"], at.train["lite2"]
    old_mean, new_mean = old.mean(axis=0), new.mean(axis=0)
    found = np.linalg.lstsq(new - new_mean, old - old_mean, rcond=1e-6)[0]
    queries = (at.test["lite2"] - new_mean) @ found
    return tested_ap(lab, queries.astype(np.float32), at.test["lite0"] - old_mean)
