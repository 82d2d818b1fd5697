"""Orthogonal Procrustes: the rotation that brings new vectors closest to the old ones."""

from __future__ import annotations

import numpy as np

from glocal.upgrade.correlation import Doubles
from glocal.upgrade.linear import LinearBridge


class Procrustes(LinearBridge):
    """The orthogonal ``R`` that minimises ``‖X R - Y‖`` for centred new X and old Y.

    ``R = U Vᵀ`` where ``Xᵀ Y = U S Vᵀ``; in spaces of different length its rows or columns are
    orthonormal. It cannot stretch, so it needs few pairs and keeps all distances between queries.

    Source: Schönemann, A Generalized Solution of the Orthogonal Procrustes Problem, 1966.

    Deviations: both sides are centred before, and the old mean is added after.
    """

    name = "procrustes"

    def _solve(self, new: Doubles, old: Doubles, old_mean: Doubles) -> Doubles:
        left, _, right = np.linalg.svd(new.T @ old, full_matrices=False)
        return np.asarray(left @ right, np.float64)
