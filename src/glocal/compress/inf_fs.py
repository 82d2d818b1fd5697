"""Infinite feature selection: dimensions ranked by all paths through a graph of them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.compress.projection import Floats, Projection
from glocal.compress.vector_compressor import VectorCompressor
from glocal.errors import CompressError

Doubles = NDArray[np.float64]


class InfiniteFeatureSelection(VectorCompressor):
    """Dimensions are the nodes of a graph; one is worth what all paths that begin at it are worth.

    The edge of two dimensions is strong where they spread much and say different things,
    ``A_ij = α max(σ_i, σ_j) + (1 - α) (1 - |ρ_ij|)``, with the standard deviations ``σ`` scaled to
    [0, 1] and Spearman's correlation ``ρ``. A path's value is the product of its edges, ``A^l`` has
    the sums over all paths of length ``l``, and with ``r`` below ``1 / λ_max(A)`` the sum over all
    lengths is ``S = Σ_l r^l A^l = (I - r A)⁻¹ - I``. The score of a dimension is its row's sum.

    Source: Roffo, Melzi, Castellani, Vinciarelli and Cristani, Infinite Feature Selection: A
    Graph-based Feature Filtering Approach, 2020; the unsupervised version.

    Deviations: ``r`` is ``damping / λ_max(A)``, as in the paper's power series; the authors' code
    of 2020 scales by row sums instead, twice, so that hardly more than paths of one edge count. How
    many dimensions are kept is asked for, not cut from a histogram of scores.

    Args:
        alpha: Weight of the spread against the correlation, in [0, 1].
        damping: ``r λ_max``, in (0, 1): how much longer paths count.
    """

    name = "inf-fs"

    def __init__(self, alpha: float = 0.5, damping: float = 0.9) -> None:
        if not 0 <= alpha <= 1 or not 0 < damping < 1:
            raise CompressError(
                f"alpha has to be in [0, 1] and damping in (0, 1), not {alpha!r} and {damping!r}"
            )
        self.alpha, self.damping = alpha, damping

    def _plan(self, vectors: Floats, dim: int) -> Projection:
        scores = self.scores(vectors)
        best = np.argsort(-scores, kind="stable")[:dim]
        return Projection(vectors.shape[1], chosen=np.sort(best).astype(np.int64))

    def scores(self, vectors: Floats) -> Doubles:
        """Values of all paths that begin at each dimension, ``(d,)``.

        Args:
            vectors: ``(n, d)``.
        """
        graph = self.graph(vectors)
        highest = float(np.linalg.eigvalsh(graph)[-1])
        if highest <= 0:
            return np.zeros(len(graph))
        ones = np.ones(len(graph))
        walks = np.linalg.solve(np.eye(len(graph)) - self.damping / highest * graph, ones)
        return np.asarray(walks - ones, np.float64)

    def graph(self, vectors: Floats) -> Doubles:
        """The edges ``A``, ``(d, d)`` in [0, 1], symmetric.

        Args:
            vectors: ``(n, d)``.
        """
        spread = vectors.astype(np.float64).std(axis=0)
        pairs = np.maximum(spread[:, None], spread[None, :])
        pairs = pairs - pairs.min()
        pairs /= max(pairs.max(), np.finfo(float).tiny)
        correlation = _correlation(_ranks(vectors))
        return np.asarray(self.alpha * pairs + (1 - self.alpha) * (1 - np.abs(correlation)))


def _ranks(vectors: Floats) -> Doubles:
    """Rank of each number in its column; equal numbers share their mean rank."""
    ranks = np.empty(vectors.shape, np.float64)
    for number, column in enumerate(vectors.T):
        _, inverse, counts = np.unique(column, return_inverse=True, return_counts=True)
        ranks[:, number] = (np.cumsum(counts) - (counts + 1) / 2)[inverse]
    return ranks


def _correlation(columns: Doubles) -> Doubles:
    """Correlations of columns; 0 with one that is constant."""
    centred = columns - columns.mean(axis=0)
    lengths = np.linalg.norm(centred, axis=0)
    unit = centred / np.where(lengths > 0, lengths, 1)
    return np.asarray(np.clip(unit.T @ unit, -1, 1))
