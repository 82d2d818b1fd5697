"""Check the vectors that bridges are given, and bring them to unit length."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import BridgeError

Floats = NDArray[np.float32]
MAX_DIM = 65_536


def checked_rows(values: ArrayLike, what: str, dim: int | None = None) -> Floats:
    """Vectors, one a row; ``what`` names them in errors.

    Args:
        values: ``(n, d)`` real numbers; ``n`` may be 0.
        what: Such as ``old vectors``.
        dim: The ``d`` that they must have.

    Returns:
        ``(n, d)`` float32, without a copy where they are that already.

    Raises:
        BridgeError: The shape differs, or a value is nan or infinite.
    """
    try:
        raw = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise BridgeError(f"{what} are not an array of numbers: {error}") from error
    if raw.dtype.kind not in "biuf":
        raise BridgeError(f"{what} must be real numbers, not {raw.dtype}")
    if raw.ndim != 2 or not 0 < raw.shape[1] <= MAX_DIM:
        raise BridgeError(f"{what} must be one a row, shape (n, d); got shape {raw.shape}")
    if dim is not None and raw.shape[1] != dim:
        raise BridgeError(
            f"{what} have {raw.shape[1]} numbers and the bridge needs {dim}; "
            "use vectors of the models that it was fitted for"
        )
    with np.errstate(over="ignore"):
        rows = raw.astype(np.float32, copy=False)
    if not np.isfinite(rows).all():
        first = int(np.argwhere(~np.isfinite(rows))[0][0])
        raise BridgeError(f"{what} have a nan or infinite number in row {first}; leave it out")
    return rows


def checked_pairs(old: ArrayLike, new: ArrayLike, least: int) -> tuple[Floats, Floats]:
    """The vectors of the same images in both spaces, each row of unit length.

    Args:
        old: ``(n, d_old)``.
        new: ``(n, d_new)``.
        least: The fewest pairs that will do.

    Raises:
        BridgeError: As `checked_rows`; there are too few pairs, or not equally many of both.
    """
    old_rows, new_rows = checked_rows(old, "old vectors"), checked_rows(new, "new vectors")
    if len(old_rows) != len(new_rows):
        raise BridgeError(
            f"there are {len(old_rows)} old and {len(new_rows)} new vectors; "
            "give both vectors of each image, in the same order"
        )
    if len(old_rows) < least:
        raise BridgeError(
            f"{len(old_rows)} images are too few for a bridge; encode at least {least} by both "
            "models"
        )
    return unit_rows(old_rows), unit_rows(new_rows)


def unit_rows(rows: Floats) -> Floats:
    """Rows of unit length, float32; a row of zeros stays one."""
    lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows, dtype=np.float64))[:, None]
    return np.asarray(rows / np.where(lengths > 0, lengths, 1), np.float32)
