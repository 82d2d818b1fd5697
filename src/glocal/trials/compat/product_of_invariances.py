"""Four measures together find more than one of them chosen blindly.

Which measure suits a pair of encoders is not known before; here cosine and Euclidean distance suit
best, L∞ least, and the best one alone can be better than all together.
"""

from __future__ import annotations

from glocal.trials import Claim, Lab
from glocal.trials.trunk_vectors import spaces, tested_ap
from glocal.upgrade.bridges.product import MEASURES

CLAIM = Claim(
    measured="mAP of queries by lite2 among photos encoded by lite0, by the product of four "
    "relative spaces",
    baseline="mAP by one of the four, chosen at random by the seed",
    unit="points",
    comparison=">",
    margin=1.0,
    seeds=8,
)


def method(lab: Lab) -> float:
    """All four, of the same anchors."""
    return _test_ap(lab, MEASURES)


def baseline(lab: Lab) -> float:
    """Each of the four for two of the seeds."""
    return _test_ap(lab, (MEASURES[lab.seed % len(MEASURES)],))


def _test_ap(lab: Lab, measures: tuple[str, ...]) -> float:
    at = spaces(lab, "lite0", "lite2")
    bridge = at.fit("product", "lite0", "lite2", measures=measures)
    return tested_ap(lab, bridge.queries(at.test["lite2"]), bridge.gallery(at.test["lite0"]))
