"""Canonical correlation: the directions in which both spaces say the same."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from glocal.errors import BridgeError
from glocal.upgrade.bridge import Arrays, Bridge, taken
from glocal.upgrade.linear import Doubles
from glocal.upgrade.vectors import Floats


class CanonicalCorrelation(Bridge):
    """Maps ``A`` and ``B`` such that ``Y A`` and ``X B`` are white and correlated most.

    With whitened centred ``X' = X Σ_X^-½`` and ``Y' = Y Σ_Y^-½``, ``X'ᵀ Y' / n = U diag(ρ) Vᵀ``;
    new vectors are mapped by ``Σ_X^-½ U`` and old ones by ``Σ_Y^-½ V``, and direction k of both is
    multiplied by its correlation ``ρ_k``, so that what the spaces do not share counts little.

    Source: Hotelling, Relations Between Two Sets of Variates, 1936; Vinod, Canonical Ridge and
    Econometrics of Joint Production, 1976, for the penalty.

    Deviations: ``ridge`` of the mean variance is added to each direction's before whitening.

    Args:
        ridge: Penalty, in parts of the mean variance of a direction.
        dim: Number of directions to keep; None keeps all.
    """

    name = "cca"
    keeps_gallery = False

    def __init__(self, ridge: float = 0.1, dim: int | None = None) -> None:
        super().__init__()
        if not (np.isfinite(ridge) and ridge > 0):
            raise BridgeError(f"ridge must be a number above 0, not {ridge!r}")
        if dim is not None and dim < 1:
            raise BridgeError(f"dim must be at least 1, not {dim!r}")
        self.ridge, self._most = ridge, dim
        self._state: Arrays = {}

    @property
    def dim(self) -> int:
        """At most the shorter of both lengths."""
        return int(self._state["new_map"].shape[1])

    def arrays(self) -> Arrays:
        """Mean and map of each side."""
        return dict(self._state)

    def restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over means and maps."""
        new_map = taken(arrays, "new_map", self.new_dim, None)
        self._state = {
            "new_map": new_map,
            "new_mean": taken(arrays, "new_mean", self.new_dim),
            "old_map": taken(arrays, "old_map", self.old_dim, new_map.shape[1]),
            "old_mean": taken(arrays, "old_mean", self.old_dim),
        }

    def _fit(self, old: Floats, new: Floats) -> None:
        x, y = new.astype(np.float64), old.astype(np.float64)
        x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
        x_white, y_white = _whitening(x - x_mean, self.ridge), _whitening(y - y_mean, self.ridge)
        between = ((x - x_mean) @ x_white).T @ ((y - y_mean) @ y_white) / len(x)
        left, correlations, right = np.linalg.svd(between, full_matrices=False)
        weights = correlations[: self._most]
        maps = {
            "new_map": x_white @ left[:, : self._most] * weights,
            "new_mean": x_mean,
            "old_map": y_white @ right[: self._most].T * weights,
            "old_mean": y_mean,
        }
        self._state = {name: array.astype(np.float32) for name, array in maps.items()}

    def _queries(self, new: Floats) -> Floats:
        return _mapped(new, self._state["new_mean"], self._state["new_map"])

    def _gallery(self, old: Floats) -> Floats:
        return _mapped(old, self._state["old_mean"], self._state["old_map"])


def _mapped(rows: Floats, mean: Floats, linear: Floats) -> Floats:
    return np.asarray((rows - mean) @ linear, np.float32)


def _whitening(rows: Doubles, ridge: float) -> Doubles:
    """``Σ^-½`` of centred rows, ``(d, d)``."""
    variances, axes = np.linalg.eigh(rows.T @ rows / len(rows))
    raised = np.maximum(variances, 0) + max(ridge * float(variances.mean()), 1e-12)
    return np.asarray(axes / np.sqrt(raised) @ axes.T, np.float64)
