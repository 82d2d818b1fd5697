"""Concepts that several images share (Deep Feature Factorization; Collins et al., ECCV 2018).

The cells of all images are stacked and factorised into a few non-negative factors, without any
labels: which concept each cell shows, and how strongly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.errors import QueryError

_TINY = 1e-12


@dataclass(frozen=True, slots=True, eq=False)
class Factors:
    """A non-negative matrix as a product of two small ones.

    Attributes:
        weights: ``(n, k)`` float64, at least 0: how much of each factor is in each row.
        factors: ``(k, m)`` float64, at least 0, each of unit length unless it is all 0.
        error: Frobenius norm of the difference between matrix and product.
    """

    weights: NDArray[np.float64]
    factors: NDArray[np.float64]
    error: float


def joint_concepts(
    contributions: Sequence[NDArray[np.float32]], count: int = 4
) -> list[NDArray[np.float32]]:
    """Find the concepts that images have in common.

    The contributions to the images' vectors are factorised. They have signs, which non-negative
    factors cannot express, so each channel is split in two, its positive and its negative part,
    and a concept is a pattern of both. (Dropping the negative part, as after a ReLU, would lose
    half of what the vectors are compared by.)

    Args:
        contributions: ``(h, w, d)`` of each image; ``h`` and ``w`` may differ.
        count: Number of concepts.

    Returns:
        For each image ``(h, w, count)`` float32, from 0 to 1: how strongly each cell shows
        each concept; 1 is the maximum over all images. The concept that explains most comes first.

    Raises:
        QueryError: There are no images, or no concepts.
    """
    if not contributions or count < 1:
        raise QueryError(
            f"{count} concepts of {len(contributions)} images cannot be found; "
            "give at least one of each"
        )
    # A grid of more cells spreads the same vector thinner.
    rows = [c.reshape(-1, c.shape[2]) * (c.shape[0] * c.shape[1]) for c in contributions]
    stacked = np.concatenate(rows).astype(np.float64)
    split = np.hstack([np.maximum(stacked, 0), np.maximum(-stacked, 0)])
    weights = factorize(split, count).weights
    weights = weights[:, np.argsort(-(weights**2).sum(0), kind="stable")]
    weights = weights / np.maximum(weights.max(0), _TINY)
    ends = np.cumsum([len(r) for r in rows])[:-1]
    return [
        cells.reshape(*c.shape[:2], count).astype(np.float32)
        for cells, c in zip(np.split(weights, ends), contributions, strict=True)
    ]


def factorize(
    matrix: NDArray[np.float64], count: int, *, rounds: int = 300, tolerance: float = 1e-5
) -> Factors:
    """Non-negative matrix factorisation by multiplicative updates (Lee and Seung, NIPS 2000).

    It starts as Boutsidis and Gallopoulos do (NNDSVD, Pattern Recognition 2008), with zeros raised
    to a fraction of the mean, since an update cannot leave 0. Nothing is random: the same matrix
    gives the same factors.

    Args:
        matrix: ``(n, m)``, at least 0 throughout.
        count: Number of factors; may be more than the rank of the matrix.
        rounds: Number of updates at most.
        tolerance: Stop when ten updates reduce the error by less than this share of the first one.
    """
    weights, factors = _start(matrix, count)
    first = previous = _error(matrix, weights, factors)
    for number in range(1, rounds + 1):
        factors *= (weights.T @ matrix) / np.maximum(weights.T @ weights @ factors, _TINY)
        weights *= (matrix @ factors.T) / np.maximum(weights @ (factors @ factors.T), _TINY)
        if number % 10 == 0:
            error = _error(matrix, weights, factors)
            if previous - error <= tolerance * first:
                break
            previous = error
    lengths = np.linalg.norm(factors, axis=1)
    return Factors(
        weights=weights * lengths,
        factors=factors / np.maximum(lengths, _TINY)[:, None],
        error=_error(matrix, weights, factors),
    )


def _start(
    matrix: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    low = matrix.mean() / 100
    weights = np.full((len(matrix), count), low)
    factors = np.full((count, matrix.shape[1]), low)
    for k in range(min(count, len(values))):
        # Of the non-negative halves of a direction and its opposite, the pair that carries more.
        halves = [
            (np.maximum(sign * left[:, k], 0), np.maximum(sign * right[k], 0)) for sign in (1, -1)
        ]
        column, row = max(halves, key=lambda h: np.linalg.norm(h[0]) * np.linalg.norm(h[1]))
        scale = np.sqrt(values[k])
        weights[:, k] = np.maximum(column * scale, low)
        factors[k] = np.maximum(row * scale, low)
    return weights, factors


def _error(
    matrix: NDArray[np.float64], weights: NDArray[np.float64], factors: NDArray[np.float64]
) -> float:
    return float(np.linalg.norm(matrix - weights @ factors))
