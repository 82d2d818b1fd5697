"""Two models, weighed by a learned router for each query, find at least what the better one finds.

The paper binds spaces of text, images, sound and shapes; here all are of photos.
"""

from __future__ import annotations

import numpy as np

from glocal.trials import Claim, Lab
from glocal.trials.trunk_vectors import Spaces, Trunk, spaces, tested_ap, validation_ap
from glocal.upgrade import Bridge, make_bridge

CLAIM = Claim(
    measured="mAP of queries by lite1 and lite2, bound and weighed, among photos encoded by lite0",
    baseline="mAP of queries by the one of both that is better on validation images",
    unit="points",
    comparison=">",
    margin=0.0,
    seeds=5,
)
QUERIES: tuple[Trunk, ...] = ("lite1", "lite2")


def method(lab: Lab) -> float:
    """Both, with the router."""
    at = spaces(lab, "lite0", *QUERIES)
    bridge = _bound(at, QUERIES)
    test = _joined(at.test, QUERIES)
    return tested_ap(lab, bridge.queries(test), bridge.gallery(at.test["lite0"]))


def baseline(lab: Lab) -> float:
    """One, bound by the same map."""
    at = spaces(lab, "lite0", *QUERIES)

    def score(trunk: Trunk) -> float:
        bridge = _bound(at, (trunk,))
        return validation_ap(at, bridge.queries(at.validation[trunk]), at.validation["lite0"])

    best = lab.choose(QUERIES, score, on="validation")
    return tested_ap(lab, _bound(at, (best,)).queries(at.test[best]), at.test["lite0"])


def _bound(at: Spaces, trunks: tuple[Trunk, ...]) -> Bridge:
    lengths = [at.train[trunk].shape[1] for trunk in trunks]
    bridge = make_bridge("omnibind", spaces=lengths)
    return bridge.fit(at.train["lite0"], _joined(at.train, trunks))


def _joined(side: dict[Trunk, np.ndarray], trunks: tuple[Trunk, ...]) -> np.ndarray:
    return np.concatenate([side[trunk] for trunk in trunks], axis=1)
