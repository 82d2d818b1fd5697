"""Bridges that are one linear map from the new space into the old one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from glocal.upgrade.bridge import Arrays, Bridge, taken
from glocal.upgrade.correlation import Doubles
from glocal.upgrade.vectors import Floats


class LinearBridge(Bridge):
    """``q = x A + b``, compared with the old vectors as they are.

    Attributes:
        adds_mean: Whether the map predicts old vectors, so that their mean belongs to it.
    """

    adds_mean: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self._map: Floats = np.empty((0, 0), np.float32)
        self._shift: Floats = np.empty(0, np.float32)

    @property
    def dim(self) -> int:
        """That of the old space."""
        return self.old_dim

    def arrays(self) -> Arrays:
        """The map ``(d_new, d_old)`` and the shift ``(d_old,)``."""
        return {"map": self._map, "shift": self._shift}

    def restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over map and shift."""
        self._map = taken(arrays, "map", self.new_dim, self.old_dim)
        self._shift = taken(arrays, "shift", self.old_dim)

    def _fit(self, old: Floats, new: Floats) -> None:
        x, y = new.astype(np.float64), old.astype(np.float64)
        x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
        found = self._solve(x - x_mean, y - y_mean, y_mean)
        self._map = found.astype(np.float32)
        self._shift = (y_mean * self.adds_mean - x_mean @ found).astype(np.float32)

    def _queries(self, new: Floats) -> Floats:
        return new @ self._map + self._shift

    @abstractmethod
    def _solve(self, new: Doubles, old: Doubles, old_mean: Doubles) -> Doubles:
        """The map ``(d_new, d_old)`` for centred pairs.

        Args:
            new: ``(n, d_new)``.
            old: ``(n, d_old)``.
            old_mean: ``(d_old,)``, what was subtracted from the old vectors.
        """
