"""Four measures together find more than one of them does on average.

Which measure suits a pair of encoders is not known before. Here L1 suits best and L∞ least; the
best one alone finds more than all together, which L∞ holds back.
"""

from __future__ import annotations

import numpy as np

from glocal.trials import Claim, Lab
from glocal.trials.trunk_vectors import spaces, validation_ap
from glocal.upgrade.bridges.product import MEASURES

CLAIM = Claim(
    measured="mAP of queries by lite2 among photos encoded by lite0, by the product of four "
    "relative spaces",
    baseline="mean mAP of the four alone, as of one that is chosen blindly",
    unit="points",
    comparison=">",
    margin=0.5,
    seeds=6,
)


def method(lab: Lab) -> float:
    """All four, of the same anchors; nothing is chosen, so validation images can be scored."""
    return _ap(lab, MEASURES)


def baseline(lab: Lab) -> float:
    """Each of the four."""
    return float(np.mean([_ap(lab, (measure,)) for measure in MEASURES]))


def _ap(lab: Lab, measures: tuple[str, ...]) -> float:
    at = spaces(lab, "lite0", "lite2")
    bridge = at.fit("product", "lite0", "lite2", measures=measures)
    queries, gallery = at.validation["lite2"], at.validation["lite0"]
    return validation_ap(at, bridge.queries(queries), bridge.gallery(gallery))
