"""FreeBind's bonds add an expert to a space whose gallery stays as it is, and searches improve.

The paper adds experts for sound and images to ImageBind; here all spaces are of photos. What was
there before is kept exactly: the gallery's vectors do not change, and neither does a search without
the expert.
"""

from __future__ import annotations

import numpy as np

from glocal.trials import Claim, Lab
from glocal.trials.trunk_vectors import spaces, tested_ap, validation_ap
from glocal.upgrade import make_bridge

CLAIM = Claim(
    measured="mAP by lite0 and, bound to it by projectors, lite2, among photos encoded by lite0",
    baseline="mAP by lite0 alone",
    unit="points",
    comparison=">",
    margin=0.5,
    seeds=5,
)
FACTORS = (0.1, 0.3, 0.5)


def method(lab: Lab) -> float:
    """The expert's weight is chosen on validation images."""
    at = spaces(lab, "lite0", "lite2")
    train, validation, test = (
        np.concatenate([side["lite0"], side["lite2"]], axis=1)
        for side in (at.train, at.validation, at.test)
    )
    bonds = {
        factor: make_bridge("combination", factor=factor).fit(at.train["lite0"], train)
        for factor in FACTORS
    }

    def score(factor: float) -> float:
        return validation_ap(at, bonds[factor].queries(validation), at.validation["lite0"])

    bond = bonds[lab.choose(FACTORS, score, on="validation")]
    before = at.test["lite0"].tobytes()
    kept = bond.gallery(at.test["lite0"])
    lab.check("bytes of the gallery that changed",
              sum(a != b for a, b in zip(kept.tobytes(), before, strict=True)), "=", 0)  # fmt: skip
    none = make_bridge("combination", factor=0).fit(at.train["lite0"], train)
    apart = np.abs(none.queries(test) - at.test["lite0"]).max()
    lab.check("change of a query without the expert", float(apart), "<", 1e-6)
    _check_displacement(lab)
    return tested_ap(lab, bond.queries(test), kept)


def baseline(lab: Lab) -> float:
    """The space before."""
    at = spaces(lab, "lite0")
    return tested_ap(lab, at.test["lite0"], at.test["lite0"])


def _check_displacement(lab: Lab) -> None:
    """The other bond moves the gallery into the expert's space, where the expert can search."""
    at = spaces(lab, "lite0", "lite2")
    bond = at.fit("displacement", "lite0", "lite2")
    validation = at.validation
    found = validation_ap(at, validation["lite2"], bond.gallery(validation["lite0"]))
    plain = validation_ap(at, validation["lite2"], validation["lite0"])
    lab.check("mAP of the expert's queries after displacement, points above the spaces as they are",
              found - plain, ">", 5)  # fmt: skip
