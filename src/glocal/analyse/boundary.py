"""LoDD: a vector at the border of its cluster has its neighbours on one side.

Source: Peng, Gui, Gui and Wu, A Robust and Efficient Boundary Point Detection Method by Measuring
Local Direction Dispersion, 2023.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.analyse.exact import nearest
from glocal.errors import AnalysisError

_BLOCK = 1 << 23
"""How many coordinates of directions are held at once: 64 MB of float64."""


def direction_dispersion(
    vectors: ArrayLike, *, neighbours: int = 20, weight: float = 0.5
) -> NDArray[np.float64]:
    """How evenly the nearest neighbours of each vector lie around it: low at borders.

    With ``u_1 ... u_k`` the unit vectors to the k nearest others, and ``lambda_1 ... lambda_d`` the
    eigenvalues of their covariance::

        LoDD = w (sum lambda)^2 + (1 - w) d / (d - 1) ((sum lambda)^2 - sum lambda^2)

    The first term is large where directions cancel, the second where they fill all dimensions. Only
    directions count: a thin cluster and a dense one are treated alike, where distances would call
    all of the thin one border. The eigenvalues are not computed: both sums are traces.

    Source: Peng, Gui, Gui and Wu, A Robust and Efficient Boundary Point Detection Method by
    Measuring Local Direction Dispersion, 2023.

    Deviations: the share of points that are called border is the caller's choice, which the paper
    also estimates; copies of a vector have no direction and count as 0.

    Args:
        vectors: ``(n, d)``, d at least 2; distances are Euclidean.
        neighbours: ``k``, at least 2 and fewer than ``n``.
        weight: ``w``, from 0 to 1.

    Returns:
        ``(n,)`` float64 from 0, all neighbours in one direction, to 1, evenly all around.

    Raises:
        AnalysisError: The vectors are not such rows, or too few for so many neighbours.
    """
    rows = np.asarray(vectors, np.float32)
    fits = rows.ndim == 2 and rows.shape[1] >= 2 and 2 <= neighbours < len(rows)
    if not fits or not np.isfinite(rows).all() or not 0 <= weight <= 1:
        raise AnalysisError(
            f"directions from vectors {rows.shape} to {neighbours} neighbours with a weight of "
            f"{weight:g} do not fit; give finite rows (n, d) of 2 numbers or more, at least 2 "
            "neighbours, fewer than n, and a weight from 0 to 1"
        )
    rows = rows - rows.mean(axis=0)
    numbers = _neighbours(rows, neighbours)
    dim = rows.shape[1]
    found = np.empty(len(rows))
    step = max(1, _BLOCK // (neighbours * dim))
    for start in range(0, len(rows), step):
        own = slice(start, start + step)
        apart = rows[numbers[own]].astype(np.float64) - rows[own, None]
        length = np.linalg.norm(apart, axis=2, keepdims=True)
        directions = np.divide(apart, length, out=np.zeros_like(apart), where=length > 0)
        centred = directions - directions.mean(axis=1, keepdims=True)
        # Traces of the covariance and of its square, by the smaller Gram matrix of the neighbours.
        gram = centred @ centred.transpose(0, 2, 1) / neighbours
        whole = np.trace(gram, axis1=1, axis2=2) ** 2
        squares = (gram**2).sum(axis=(1, 2))
        found[own] = weight * whole + (1 - weight) * dim / (dim - 1) * (whole - squares)
    return found


def boundary_points(
    vectors: ArrayLike, *, share: float = 0.1, neighbours: int = 20
) -> NDArray[np.intp]:
    """The numbers of the vectors at the borders of their clusters, the outermost first.

    In a gallery these are the images that are least typical of what they are near to: what to look
    at for mistakes, and to label first.

    Args:
        vectors: ``(n, d)``; see `direction_dispersion`.
        share: which part of all to call border, from 0 to 1.
        neighbours: see `direction_dispersion`.

    Raises:
        AnalysisError: See `direction_dispersion`; or the share is out of range.
    """
    if not 0 <= share <= 1:
        raise AnalysisError(f"a share of {share:g} is none; give one from 0 to 1")
    found = direction_dispersion(vectors, neighbours=neighbours)
    order: NDArray[np.intp] = np.argsort(found, kind="stable")[: round(share * len(found))]
    return order


def _neighbours(rows: NDArray[np.float32], count: int) -> NDArray[np.intp]:
    """The nearest others by Euclidean distance: of largest ``x y - y^2 / 2``."""
    half = (rows**2).sum(axis=1, keepdims=True) / 2
    return nearest(
        np.concatenate([rows, -half], axis=1),
        np.concatenate([rows, np.ones_like(half)], axis=1),
        count + 1,
        leave_out_self=True,
    )[1]
