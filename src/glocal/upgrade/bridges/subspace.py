"""Subspace alignment: align two spaces only where they share something."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from glocal.errors import BridgeError
from glocal.upgrade.correlation import Doubles, correlated_axes
from glocal.upgrade.ranks import mean_reciprocal_rank
from glocal.upgrade.two_sided import TwoSidedBridge

DIMS = (16, 32, 64, 128, 256, 512)


class SubspaceAlignment(TwoSidedBridge):
    """Both spaces are projected to their shared subspace, in which an affine map aligns them.

    ``X_k = X A_k`` and ``Y_k = Y B_k`` with the k most correlated directions of canonical
    correlation; then ``T`` minimises ``‖X_k T - Y_k‖²``, and queries ``X A_k T`` are compared with
    ``Y B_k``. The k is chosen on a fifth of the pairs, by the mean of 1 / rank at which the image
    of a query is found.

    Source: Hadgi, Moschella, Santilli, Gomez, Huang, Rodolà, Melzi and Ovsjanikov, Escaping Plato's
    Cave: Towards the Alignment of 3D and Text Latent Spaces, CVPR 2025.

    Deviations: the paper's affine map, not its local CKA; canonical correlation has a penalty,
    since there may be fewer pairs than directions, and k is chosen, not fixed.

    Args:
        dims: Numbers of directions to choose from.
        ridge: Penalty, in parts of the mean variance of a direction.
    """

    name = "subspace"
    least_pairs = 20

    def __init__(self, dims: Sequence[int] = DIMS, ridge: float = 1.0) -> None:
        super().__init__()
        if not dims or min(dims) < 1:
            raise BridgeError(f"dims must be numbers of at least 1, not {dims!r}")
        if not (np.isfinite(ridge) and ridge > 0):
            raise BridgeError(f"ridge must be a number above 0, not {ridge!r}")
        self._dims, self._ridge = tuple(sorted(dims)), ridge

    def _solve(self, new: Doubles, old: Doubles) -> tuple[Doubles, Doubles]:
        held = np.arange(len(new)) % 5 == 0
        new_axes, old_axes = self._axes(new[~held], old[~held])
        most = new_axes.shape[1]
        best, kept = -1.0, most
        for k in sorted({min(dim, most) for dim in self._dims}):
            align = _affine(new[~held] @ new_axes[:, :k], old[~held] @ old_axes[:, :k])
            found = new[held] @ new_axes[:, :k] @ align
            score = mean_reciprocal_rank(found, old[held] @ old_axes[:, :k])
            if score > best:
                best, kept = score, k
        new_axes, old_axes = (axes[:, :kept] for axes in self._axes(new, old))
        return new_axes @ _affine(new @ new_axes, old @ old_axes), old_axes

    def _axes(self, new: Doubles, old: Doubles) -> tuple[Doubles, Doubles]:
        axes = correlated_axes(new, old, self._ridge)
        return axes.first, axes.second


def _affine(new: Doubles, old: Doubles) -> Doubles:
    """The least-squares map of centred rows, for which a shift has nothing to do."""
    return np.asarray(np.linalg.lstsq(new, old, rcond=None)[0], np.float64)
