"""Exact comparison with the vectors of a file, by kernels that work without Python's lock."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.stores.coding import Coding

_CHUNK = 4096
"""Rows compared at once: what is gathered of them stays in the processor's cache."""

_SPARE = 32
"""Rows beyond those that are wanted that are compared again, since the query was rounded."""

_DENSE = 0.5
"""Share of a chunk from which comparing all of it costs less than gathering some."""


def scores(
    vector: NDArray[np.float32], vectors: NDArray[Any], rows: NDArray[np.int64], coding: Coding
) -> NDArray[np.float32]:
    """The dot product with each of some rows.

    Args:
        vector: ``(d,)``.
        vectors: ``(n, ...)``, coded and mapped.
        rows: ``(m,)`` ascending.
        coding: of the vectors.

    Returns:
        ``(m,)``; minus infinity where a row holds what is no number.
    """
    query = coding.query(vector)
    found = np.empty(len(rows), np.float32)
    if not len(rows):
        return found
    starts = np.arange(rows[0] // _CHUNK * _CHUNK, rows[-1] + 1, _CHUNK)
    ends = np.searchsorted(rows, starts + _CHUNK)
    begun = 0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        if end > begun:
            chosen = rows[begun:end] - start
            chunk = vectors[start : start + _CHUNK]
            if len(chosen) < _DENSE * len(chunk):
                chunk, chosen = np.take(chunk, chosen, axis=0), np.arange(len(chosen))
            compared = coding.dots(query, chunk)
            found[begun:end] = compared if len(chosen) == len(compared) else compared[chosen]
            begun = end
    found[~np.isfinite(found)] = -np.inf
    return found


def best(
    vector: NDArray[np.float32],
    vectors: NDArray[Any],
    rows: NDArray[np.int64],
    limit: int,
    coding: Coding,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The rows with the greatest dot products, best first, and these in single precision."""
    found = scores(vector, vectors, rows, coding)
    spare = limit + _SPARE
    if len(found) > spare:
        rows = rows[np.sort(np.argpartition(found, -spare)[-spare:])]
    return ranked(vector, vectors, rows, limit, coding)


def ranked(
    vector: NDArray[np.float32],
    vectors: NDArray[Any],
    rows: NDArray[np.int64],
    limit: int,
    coding: Coding,
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Some rows in the order of their dot products in single precision, and these."""
    found = coding.vectors(np.take(vectors, rows, axis=0)) @ vector
    found[np.isnan(found)] = -np.inf
    order = np.lexsort((rows, -found))[:limit]
    return rows[order], found[order]
