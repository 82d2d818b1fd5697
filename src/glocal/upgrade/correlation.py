"""Linear algebra that several bridges share: thin decompositions, whitening, correlated axes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]

_NOTHING = 1e-10  # of the largest variance: what rounding makes of a direction without any


@dataclass(frozen=True, slots=True, eq=False)
class CorrelatedAxes:
    """Directions of two spaces, most correlated first.

    Attributes:
        first: ``(d_1, k)``; centred rows times this are uncorrelated.
        second: ``(d_2, k)``.
        correlations: ``(k,)`` of each pair of directions, descending, below 1.
    """

    first: Doubles
    second: Doubles
    correlations: Doubles


def thin_svd(rows: Doubles) -> tuple[Doubles, Doubles, Doubles]:
    """``U, s, V`` of centred rows ``(n, d)``, without the directions in which they do not differ.

    By the smaller of both Gram matrices, which for 5,000 rows of 512 takes a tenth of the time of
    a direct decomposition.

    Returns:
        ``(n, k)``, ``(k,)`` descending, and ``(d, k)``.
    """
    tall = rows.shape[0] >= rows.shape[1]
    squares, axes = np.linalg.eigh(rows.T @ rows if tall else rows @ rows.T)
    there = (squares > max(squares[-1], 0) * _NOTHING) & (squares > 1e-30)
    lengths, axes = np.sqrt(squares[there])[::-1], axes[:, there][:, ::-1]
    if tall:
        return rows @ (axes / lengths), lengths, axes
    return axes, lengths, rows.T @ (axes / lengths)


def correlated_axes(first: Doubles, second: Doubles, ridge: float) -> CorrelatedAxes:
    """Canonical correlation of two sets of centred rows, with a penalty on small variances.

    With ``X' = X (Σ_X + r I)^-½`` and ``Y'`` likewise, ``X'ᵀ Y' / n = U diag(ρ) Vᵀ``; the axes are
    ``(Σ_X + r I)^-½ U`` and ``(Σ_Y + r I)^-½ V``, where r is ``ridge`` times the mean variance.

    Source: Hotelling, Relations Between Two Sets of Variates, 1936; Vinod, Canonical Ridge and
    Econometrics of Joint Production, 1976.

    Args:
        first: ``(n, d_1)``.
        second: ``(n, d_2)``.
        ridge: Penalty, in parts of the mean variance of a direction.
    """
    count = len(first)
    left, left_lengths, left_axes = thin_svd(first)
    right, right_lengths, right_axes = thin_svd(second)
    damped, stretched = _damped(left_lengths, count, ridge, first.shape[1])
    damped_too, stretched_too = _damped(right_lengths, count, ridge, second.shape[1])
    u, correlations, vt = np.linalg.svd(
        damped[:, None] * (left.T @ right) * damped_too, full_matrices=False
    )
    return CorrelatedAxes(
        left_axes @ (stretched[:, None] * u),
        right_axes @ (stretched_too[:, None] * vt.T),
        correlations,
    )


def _damped(lengths: Doubles, count: int, ridge: float, dim: int) -> tuple[Doubles, Doubles]:
    """What whitening makes of each singular direction, and the factor that whitens it."""
    variances = lengths**2 / count
    whiten = 1 / np.sqrt(variances + ridge * variances.sum() / dim)
    return np.sqrt(variances) * whiten, whiten
