"""Check the vectors and settings that re-rankings are given."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import RankingError


def checked_rows(values: ArrayLike, what: str) -> NDArray[np.float32]:
    """Vectors or descriptors, one a row; ``what`` names them in errors.

    Returns:
        ``(n, d)`` float32; ``n`` may be 0.

    Raises:
        RankingError: They are not numbers, not of two dimensions, or one is nan or infinite.
    """
    array = _numbers(values, what)
    if array.ndim != 2 or (array.shape[1] == 0 and array.shape[0] > 0):
        raise RankingError(f"{what} must be one a row, shape (n, d); got shape {array.shape}")
    return array


def checked_vector(values: ArrayLike, what: str) -> NDArray[np.float32]:
    """A single vector, ``(d,)`` float32.

    Raises:
        RankingError: As `checked_rows`.
    """
    array = _numbers(values, what)
    if array.ndim != 1 or array.size == 0:
        raise RankingError(f"{what} must be one vector, shape (d,); got shape {array.shape}")
    return array


def checked_pair(
    query: ArrayLike, candidates: ArrayLike
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A query ``(d,)`` and its candidates ``(m, d)``, each scaled to unit length.

    Vectors stored as float16 are a little off unit length, so the length is not trusted. A vector
    of zeros stays one: it is similar to nothing.

    Raises:
        RankingError: The shapes do not fit together, or a value is nan or infinite.
    """
    vector = checked_vector(query, "the query")
    rows = checked_rows(candidates, "the candidates")
    if len(rows) and rows.shape[1] != vector.size:
        raise RankingError(
            f"the query has {vector.size} numbers and each candidate {rows.shape[1]}: "
            "they are of different models; search again with the gallery's model"
        )
    return unit_rows(vector[None])[0], unit_rows(rows.reshape(-1, vector.size))


def checked_count(value: int, name: str) -> int:
    """A number of neighbours or the like.

    Raises:
        RankingError: It is not a whole number of at least 1.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
        raise RankingError(f"{name} must be a whole number of at least 1, not {value!r}")
    return int(value)


def checked_number(value: float, name: str, low: float, high: float = np.inf) -> float:
    """A setting from ``low`` to ``high``, both included unless infinite.

    Raises:
        RankingError: It lies outside, or is no finite number.
    """
    if not np.isfinite(value) or not low <= value <= high:
        limits = f"from {low:g} to {high:g}" if np.isfinite(high) else f"of at least {low:g}"
        raise RankingError(f"{name} must be a number {limits}, not {value!r}")
    return float(value)


def unit_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows scaled to unit length; a row of zeros stays one."""
    # The largest number first, so that the squares of huge or tiny ones stay in range.
    largest = np.abs(rows).max(axis=1, keepdims=True, initial=0)
    scaled = rows / np.where(largest > 0, largest, 1)
    lengths = np.linalg.norm(scaled, axis=1, keepdims=True)
    return np.asarray(scaled / np.where(lengths > 0, lengths, 1), np.float32)


def _numbers(values: ArrayLike, what: str) -> NDArray[np.float32]:
    try:
        raw = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise RankingError(f"{what} are not an array of numbers: {error}") from error
    if raw.dtype.kind not in "biuf":
        raise RankingError(f"{what} must be real numbers, not {raw.dtype}")
    with np.errstate(over="ignore"):
        array = raw.astype(np.float32)
    if not np.isfinite(array).all():
        first = tuple(int(axis) for axis in np.argwhere(~np.isfinite(array))[0])
        raise RankingError(
            f"{what} hold {raw[first]} at {first}; only finite numbers can be ranked"
        )
    return array
