"""The plain ways to shorten vectors: the widest dimensions, and the widest directions."""

from __future__ import annotations

import numpy as np

from glocal.compress.projection import Floats, Projection
from glocal.compress.vector_compressor import VectorCompressor


class VarianceOrder(VectorCompressor):
    """Keeps the dimensions with the largest variance.

    Source: Jolliffe, Discarding Variables in a Principal Component Analysis, 1972, discusses it.

    Deviations: none.
    """

    name = "variance"

    def _plan(self, vectors: Floats, dim: int) -> Projection:
        best = np.argsort(-vectors.astype(np.float64).var(axis=0), kind="stable")[:dim]
        return Projection(vectors.shape[1], chosen=np.sort(best).astype(np.int64))


class PrincipalComponents(VectorCompressor):
    """Centred vectors along the directions in which they spread most, ``(x - μ) V_k``.

    Source: Pearson, On Lines and Planes of Closest Fit to Systems of Points in Space, 1901.

    Deviations: none.
    """

    name = "pca"
    chooses = False

    def _plan(self, vectors: Floats, dim: int) -> Projection:
        mean = vectors.mean(axis=0)
        _, spreads, directions = np.linalg.svd(vectors - mean, full_matrices=False)
        there = max(1, int((spreads > 1e-6 * max(float(spreads[0]), 1e-30)).sum()))
        axes = np.ascontiguousarray(directions[: min(dim, there)].T)
        return Projection(vectors.shape[1], mean=mean, axes=axes.astype(np.float32))
