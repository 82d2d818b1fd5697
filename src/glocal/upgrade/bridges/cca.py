"""Canonical correlation: the directions in which both spaces say the same."""

from __future__ import annotations

import numpy as np

from glocal.errors import BridgeError
from glocal.upgrade.correlation import Doubles, correlated_axes
from glocal.upgrade.linear import LinearBridge
from glocal.upgrade.two_sided import TwoSidedBridge

RIDGE = 1.0
"""Penalty, in parts of the mean variance of a direction: with few pairs, .1 loses a third."""


class CanonicalCorrelation(TwoSidedBridge):
    """Both spaces along their most correlated directions, each weighed by its correlation ``ρ_k``.

    The weight lets what the spaces do not share count little; see
    `glocal.upgrade.correlation.correlated_axes` for the directions.

    Source: Hotelling, Relations Between Two Sets of Variates, 1936.

    Deviations: ``ridge`` of the mean variance is added to each direction's before whitening, and
    directions are weighed.

    Args:
        ridge: Penalty, in parts of the mean variance of a direction.
        dim: Number of directions to keep; None keeps all.
    """

    name = "cca"

    def __init__(self, ridge: float = RIDGE, dim: int | None = None) -> None:
        super().__init__()
        if not (np.isfinite(ridge) and ridge > 0):
            raise BridgeError(f"ridge must be a number above 0, not {ridge!r}")
        if dim is not None and dim < 1:
            raise BridgeError(f"dim must be at least 1, not {dim!r}")
        self.ridge, self._most = ridge, dim

    def _solve(self, new: Doubles, old: Doubles) -> tuple[Doubles, Doubles]:
        axes = correlated_axes(new, old, self.ridge)
        kept = slice(self._most)
        weights = axes.correlations[kept]
        return axes.first[:, kept] * weights, axes.second[:, kept] * weights


class KeptCanonicalCorrelation(LinearBridge):
    """The inner product of canonical correlation, ``x A diag(ρ) Bᵀ y``, with the gallery as it is.

    All of the map is moved to the query: ``q = (x - μ_x) A diag(ρ) Bᵀ``. What is lost against
    `CanonicalCorrelation` is the length of each old vector along the shared directions, which is
    not divided by. The old mean is not added to the query: it would rank the gallery by likeness to
    the mean image. The result is no longer a prediction of the old vector: where old is new, it is
    the old vector with its strongest directions held back.

    Source: Hotelling, Relations Between Two Sets of Variates, 1936.

    Deviations: as `CanonicalCorrelation`, and the gallery is not mapped.

    Args:
        ridge: Penalty, in parts of the mean variance of a direction.
    """

    name = "cca-kept"
    adds_mean = False

    def __init__(self, ridge: float = RIDGE) -> None:
        super().__init__()
        if not (np.isfinite(ridge) and ridge > 0):
            raise BridgeError(f"ridge must be a number above 0, not {ridge!r}")
        self.ridge = ridge

    def _solve(self, new: Doubles, old: Doubles, old_mean: Doubles) -> Doubles:
        axes = correlated_axes(new, old, self.ridge)
        return np.asarray((axes.first * axes.correlations) @ axes.second.T, np.float64)
