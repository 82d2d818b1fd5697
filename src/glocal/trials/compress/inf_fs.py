"""Dimensions chosen by Inf-FS find more than as many random ones; both take 128 of 1,280 numbers.

Vectors are those of an EfficientNet-Lite0 whose last map is pooled; planned is on the training
images, without labels, and the weight of the spread is chosen on the validation images. The script
``benchmarks/dimensions.py`` compares with variance and principal components at several lengths.
"""

from __future__ import annotations

import numpy as np

from glocal.compress.inf_fs import InfiniteFeatureSelection
from glocal.trials import Claim, Lab
from glocal.trials.trunk_vectors import Spaces, spaces, tested_ap, validation_ap
from glocal.trials.vectors import Floats, unit

CLAIM = Claim(
    measured="mAP by 128 of 1,280 numbers of each vector, chosen by Inf-FS",
    baseline="mAP by 128 random ones",
    unit="points",
    comparison=">",
    margin=1.0,
    seeds=6,
)
_DIM = 128
_ALPHAS = (0.0, 0.25, 0.5, 0.75, 1.0)


def method(lab: Lab) -> float:
    """Choose by the values of infinite paths."""
    at = spaces(lab, "lite0")

    def short(alpha: float, vectors: Floats) -> Floats:
        plan = InfiniteFeatureSelection(alpha).plan(at.train["lite0"], _DIM)
        return plan.apply(vectors)

    def score(alpha: float) -> float:
        kept = short(alpha, at.validation["lite0"])
        return validation_ap(at, kept, kept)

    alpha = lab.choose(_ALPHAS, score, on="validation")
    _check_paths(lab, at)
    kept = short(alpha, at.test["lite0"])
    return tested_ap(lab, kept, kept)


def baseline(lab: Lab) -> float:
    """Choose by lot."""
    vectors = spaces(lab, "lite0").test["lite0"]
    chosen = lab.random().permutation(vectors.shape[1])[:_DIM]
    kept = unit(vectors[:, chosen])
    return tested_ap(lab, kept, kept)


def _check_paths(lab: Lab, at: Spaces) -> None:
    """The closed form is the sum over paths of all lengths."""
    part = at.train["lite0"][:, :64]
    selection = InfiniteFeatureSelection(0.5)
    graph = selection.graph(part)
    graph *= selection.damping / np.linalg.eigvalsh(graph)[-1]
    walks, total = np.ones(64), np.zeros(64)
    for _ in range(400):
        walks = graph @ walks
        total += walks
    lab.check(
        "closed form less 400 lengths of paths, in parts of the largest",
        float(np.abs(selection.scores(part) - total).max() / total.max()),
        "<",
        1e-9,
    )
