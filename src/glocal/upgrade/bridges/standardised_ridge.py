"""Ridge regression on coordinates of equal variance."""

from __future__ import annotations

import numpy as np

from glocal.upgrade.bridges.ridge import Ridge
from glocal.upgrade.correlation import Doubles

LEAST_DEVIATION = 1e-6
"""In parts of the largest; a coordinate that varies less is noise, and is not enlarged further."""


class StandardisedRidge(Ridge):
    """`Ridge` of ``x / σ``, with the standard deviation σ of each coordinate of the new space.

    Ridge shrinks what varies little most. Where rare detail is what tells images apart, as with
    texts, it is better that every coordinate costs the same. It is still one linear map of x:
    ``A = diag(1 / σ) A'`` with the solution A' for the standardised coordinates.

    Source: Hoerl and Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems, 1970,
    who write the problem in standardised variables; Moayeri, Rezaei, Sanjabi and Feizi,
    Text-To-Concept (and Back) via Cross-Model Alignment, 2023.

    Deviations: those of `Ridge`.
    """

    name = "ridge-standardised"

    def _solve(self, new: Doubles, old: Doubles, old_mean: Doubles) -> Doubles:
        deviation = new.std(axis=0)
        scale = np.maximum(deviation, LEAST_DEVIATION * max(float(deviation.max()), 1e-12))
        return np.asarray(super()._solve(new / scale, old, old_mean) / scale[:, None])
