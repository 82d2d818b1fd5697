"""Ridge regression: the linear map with the least error, its length held in check."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glocal.errors import BridgeError
from glocal.upgrade.correlation import Doubles, thin_svd
from glocal.upgrade.linear import LinearBridge
from glocal.upgrade.ranks import mean_reciprocal_rank

PENALTIES = tuple(10.0**power for power in range(-6, 2))
"""Penalties to choose from, in parts of the mean variance of a direction of the new space."""

LEAST_FREE = 1e-6
"""A pair that the map could only have learnt by heart says nothing about its error."""


class Ridge(LinearBridge):
    """``A`` that minimises ``‖X A - Y‖² + λ ‖A‖²`` for centred new X and old Y.

    The penalty λ is the one whose predictions, each by the map fitted to all other pairs, find
    their old vectors best, by the mean of 1 / rank. With ``X = U S Vᵀ`` that needs no second fit:
    the residual of pair i, left out, is its residual divided by ``1 - h_i``, with the leverage
    ``h_i = 1/n + Σ_k U_ik² s_k²/(s_k² + λ)``.

    Source: Hoerl and Kennard, Ridge Regression: Biased Estimation for Nonorthogonal Problems, 1970;
    Golub, Heath and Wahba, Generalized Cross-Validation, 1979, for the leave-one-out residuals.

    Deviations: ranks choose λ, not the squared error, which prefers maps that shrink all towards
    the mean.

    Args:
        penalties: Values of λ to choose from, in parts of the mean of ``s_k²``.
    """

    name = "ridge"

    def __init__(self, penalties: Sequence[float] = PENALTIES) -> None:
        super().__init__()
        if not penalties or not all(np.isfinite(p) and p > 0 for p in penalties):
            raise BridgeError(f"penalties must be numbers above 0, not {penalties!r}")
        self.penalties = tuple(penalties)
        self.penalty = float("nan")

    def _solve(self, new: Doubles, old: Doubles, old_mean: Doubles) -> Doubles:
        basis, lengths, axes = thin_svd(new)
        squares, target = lengths**2, basis.T @ old
        chosen = np.zeros_like(squares)
        best = -np.inf
        for penalty in self.penalties:
            kept = squares / (squares + penalty * squares.sum() / new.shape[1])
            leverage = 1 / len(new) + (basis**2) @ kept
            free = np.maximum(1 - leverage, LEAST_FREE)[:, None]
            residual = (old - basis @ (kept[:, None] * target)) / free
            score = mean_reciprocal_rank(old + old_mean - residual, old + old_mean)
            if score > best:
                best, self.penalty, chosen = score, penalty, kept
        return np.asarray(axes @ ((chosen / lengths)[:, None] * target), np.float64)
