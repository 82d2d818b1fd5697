"""The k nearest neighbours, ties included: what every neighbour-based method starts from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

TIE = 1e-6
"""Similarities this close are equal: float32 sums differ by as much with the order of addition."""


def nearest(similarities: NDArray[np.float32], k: int) -> NDArray[np.bool_]:
    """Mark the k most similar of each row, and all that tie with the k-th.

    Counting ties in makes the choice independent of the order of the columns, so equal images
    (bursts, copies, blank ones) are always treated equally.

    Args:
        similarities: ``(rows, n)`` float32.
        k: At least 1; more than ``n`` marks all.

    Returns:
        ``(rows, n)`` bool.
    """
    n = similarities.shape[1]
    if k >= n:
        return np.ones(similarities.shape, np.bool_)
    kth = np.partition(similarities, n - k, axis=1)[:, n - k, None]
    return similarities >= kth - np.float32(TIE)
