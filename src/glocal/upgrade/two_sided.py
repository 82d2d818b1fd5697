"""Bridges that map both spaces, each by its own linear map, into a third."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from glocal.upgrade.bridge import Arrays, Bridge, taken
from glocal.upgrade.correlation import Doubles
from glocal.upgrade.vectors import Floats


class TwoSidedBridge(Bridge):
    """``(x - μ_x) A`` for queries and ``(y - μ_y) B`` for the gallery."""

    keeps_gallery = False

    def __init__(self) -> None:
        super().__init__()
        self._state: Arrays = {}

    @property
    def dim(self) -> int:
        """The number of directions that are kept."""
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
        new_map, old_map = self._solve(x - x_mean, y - y_mean)
        found = {"new_map": new_map, "new_mean": x_mean, "old_map": old_map, "old_mean": y_mean}
        self._state = {name: array.astype(np.float32) for name, array in found.items()}

    @abstractmethod
    def _solve(self, new: Doubles, old: Doubles) -> tuple[Doubles, Doubles]:
        """The maps ``(d_new, k)`` and ``(d_old, k)`` for centred pairs."""

    def _queries(self, new: Floats) -> Floats:
        return np.asarray((new - self._state["new_mean"]) @ self._state["new_map"], np.float32)

    def _gallery(self, old: Floats) -> Floats:
        return np.asarray((old - self._state["old_mean"]) @ self._state["old_map"], np.float32)
