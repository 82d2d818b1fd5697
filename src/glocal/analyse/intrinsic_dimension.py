"""Local intrinsic dimension: how many directions the neighbourhood of a vector really has.

The faster the number of neighbours grows with the distance, the higher the dimension, and the less
a graph's greedy walk knows where to go.

Source: Amsaleg et al., Estimating Local Intrinsic Dimensionality, KDD 2015 (maximum likelihood).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.analyse.exact import nearest
from glocal.errors import AnalysisError


def local_intrinsic_dimensions(vectors: ArrayLike, *, neighbours: int = 100) -> NDArray[np.float64]:
    """Estimate the local intrinsic dimension at each vector from its nearest neighbours.

    The estimate is ``-1 / mean(log(r_i / r_k))`` over the distances ``r_i`` to the ``k`` nearest
    other vectors. Copies of a vector are no neighbours of it. Of few neighbours the estimate is
    noisy, and of many it is no longer local; its mean or median over many vectors is steadier.

    Args:
        vectors: ``(n, d)`` of unit length.
        neighbours: ``k``, at least 3 and fewer than ``n``.

    Returns:
        ``(n,)`` float64, above 0; infinite where all neighbours are equally far, and NaN where
        fewer than two of them are no copies.

    Raises:
        AnalysisError: The vectors are not such rows, or too few for so many neighbours.
    """
    rows = np.asarray(vectors, np.float32)
    if rows.ndim != 2 or not 3 <= neighbours < len(rows):
        raise AnalysisError(
            f"the local dimension of vectors {rows.shape} cannot be estimated from {neighbours} "
            "neighbours; give rows (n, d) and at least 3 neighbours, fewer than n"
        )
    similarities, _ = nearest(rows, rows, neighbours + 1, leave_out_self=True)
    distances = np.sqrt(np.maximum(2 - 2 * similarities[:, :neighbours].astype(np.float64), 0))
    # Distances of copies are rounding: 2 - 2 * .9999999.
    counted = distances > 1e-3
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.where(counted, np.log(distances / distances[:, -1:]), 0.0)
        found = -counted.sum(axis=1) / logs.sum(axis=1)
    return np.where(counted.sum(axis=1) < 2, np.nan, np.abs(found))
