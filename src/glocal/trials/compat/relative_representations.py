"""Similarities to anchors let two encoders search each other, whose own vectors cannot be compared.

They find far less than a map that is fitted to the same anchors; see ``bridge:cca-kept`` in
``benchmarks/bridges.py``.
"""

from __future__ import annotations

import numpy as np

from glocal.trials import Claim, Lab
from glocal.trials.trunk_vectors import spaces, tested_ap
from glocal.upgrade import make_bridge

CLAIM = Claim(
    measured="mAP of queries by lite1 among photos encoded by lite0, by similarities to anchors",
    baseline="mAP of the same queries by the vectors as they are",
    unit="points",
    comparison=">",
    margin=5.0,
    seeds=5,
)


def method(lab: Lab) -> float:
    """The training images are the anchors; the gallery's images are not encoded again."""
    at = spaces(lab, "lite0", "lite1")
    bridge = at.fit("relative", "lite0", "lite1")
    _check_rotation(lab, at.train["lite0"])
    return tested_ap(lab, bridge.queries(at.test["lite1"]), bridge.gallery(at.test["lite0"]))


def baseline(lab: Lab) -> float:
    """Both spaces have 1,280 numbers, so they can be multiplied, without a meaning."""
    at = spaces(lab, "lite0", "lite1")
    return tested_ap(lab, at.test["lite1"], at.test["lite0"])


def _check_rotation(lab: Lab, rows: np.ndarray) -> None:
    """Rotated and scaled, a space has the same relative vectors."""
    rotation = np.linalg.qr(lab.random().normal(size=(rows.shape[1],) * 2))[0].astype(np.float32)
    moved = 3 * rows @ rotation
    bridge = make_bridge("relative").fit(rows[::2], moved[::2])
    apart = np.abs(bridge.queries(moved[1::2]) - bridge.gallery(rows[1::2])).max()
    lab.check("largest difference in a rotated and scaled space", float(apart), "<", 1e-4)
