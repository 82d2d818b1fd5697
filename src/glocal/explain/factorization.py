"""Parts that several images share (Deep Feature Factorization; Collins et al., ECCV 2018).

The cells of all images are stacked and factored into a few non-negative parts: which part a cell
is of, and how strongly, without any labels.
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
        weights: ``(n, k)`` float64, at least 0: how much of each part is in each row.
        parts: ``(k, m)`` float64, at least 0, each of unit length unless it is all 0.
        error: Frobenius norm of what the product misses.
    """

    weights: NDArray[np.float64]
    parts: NDArray[np.float64]
    error: float


def joint_concepts(
    contributions: Sequence[NDArray[np.float32]], count: int = 4
) -> list[NDArray[np.float32]]:
    """Find the parts that images have in common.

    What is factored are the contributions to the images' vectors. They have signs, which
    non-negative factors cannot express; so each channel is taken as two, what is above 0 and what
    is below, and a part is a pattern of both. (To cut off the negative half, as after a ReLU, would
    lose half of what the vectors are compared by.)

    Args:
        contributions: of each image ``(h, w, d)``; shapes may differ but for ``d``.
        count: of parts.

    Returns:
        For each image ``(h, w, count)`` float32, from 0 to 1: how strongly each part is in each
        cell, 1 being the most in any of the images. The part that explains most comes first.

    Raises:
        QueryError: no images, or no parts.
    """
    if not contributions or count < 1:
        raise QueryError(f"{count} parts of {len(contributions)} images cannot be found")
    # A grid of many cells has the same vector spread thinner.
    rows = [c.reshape(-1, c.shape[2]) * (c.shape[0] * c.shape[1]) for c in contributions]
    stacked = np.concatenate(rows).astype(np.float64)
    split = np.hstack([np.maximum(stacked, 0), np.maximum(-stacked, 0)])
    weights = factorize(split, count).weights
    weights = weights[:, np.argsort(-(weights**2).sum(0), kind="stable")]
    weights = weights / np.maximum(weights.max(0), _TINY)
    ends = np.cumsum([len(r) for r in rows])[:-1]
    return [
        part.reshape(*c.shape[:2], count).astype(np.float32)
        for part, c in zip(np.split(weights, ends), contributions, strict=True)
    ]


def factorize(
    matrix: NDArray[np.float64], count: int, *, rounds: int = 300, tolerance: float = 1e-5
) -> Factors:
    """Non-negative matrix factorisation by multiplicative updates (Lee and Seung, NIPS 2000).

    The start is that of Boutsidis and Gallopoulos (NNDSVD, Pattern Recognition 2008) with zeros
    raised to a part of the mean, since an update cannot leave 0. It has nothing random in it: the
    same matrix gives the same factors.

    Args:
        matrix: ``(n, m)``, at least 0 throughout.
        count: of parts; may be more than the matrix has directions.
        rounds: of updates, at most.
        tolerance: stop when ten rounds lessen the error by less than this part of the first error.
    """
    weights, parts = _start(matrix, count)
    first = previous = _error(matrix, weights, parts)
    for number in range(1, rounds + 1):
        parts *= (weights.T @ matrix) / np.maximum(weights.T @ weights @ parts, _TINY)
        weights *= (matrix @ parts.T) / np.maximum(weights @ (parts @ parts.T), _TINY)
        if number % 10 == 0:
            error = _error(matrix, weights, parts)
            if previous - error <= tolerance * first:
                break
            previous = error
    lengths = np.linalg.norm(parts, axis=1)
    return Factors(
        weights=weights * lengths,
        parts=parts / np.maximum(lengths, _TINY)[:, None],
        error=_error(matrix, weights, parts),
    )


def _start(
    matrix: NDArray[np.float64], count: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    left, values, right = np.linalg.svd(matrix, full_matrices=False)
    low = matrix.mean() / 100
    weights = np.full((len(matrix), count), low)
    parts = np.full((count, matrix.shape[1]), low)
    for k in range(min(count, len(values))):
        # Of a direction and its opposite, the non-negative halves that carry more.
        halves = [
            (np.maximum(sign * left[:, k], 0), np.maximum(sign * right[k], 0)) for sign in (1, -1)
        ]
        column, row = max(halves, key=lambda h: np.linalg.norm(h[0]) * np.linalg.norm(h[1]))
        scale = np.sqrt(values[k])
        weights[:, k] = np.maximum(column * scale, low)
        parts[k] = np.maximum(row * scale, low)
    return weights, parts


def _error(
    matrix: NDArray[np.float64], weights: NDArray[np.float64], parts: NDArray[np.float64]
) -> float:
    return float(np.linalg.norm(matrix - weights @ parts))
