"""Relative representations: an image is described by its similarities to anchor images."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from glocal.errors import BridgeError
from glocal.upgrade.bridge import Arrays, Bridge, taken
from glocal.upgrade.vectors import Floats, unit_rows


class AnchoredBridge(Bridge):
    """Describes vectors of either space by the anchors that both spaces know.

    Args:
        anchors: How many of the pairs become anchors, at random; all where there are fewer.
        seed: Seed of that choice.
        center: Whether the anchors' mean is subtracted from all vectors before.
    """

    keeps_gallery = False

    def __init__(self, anchors: int = 500, seed: int = 0, center: bool = True) -> None:
        super().__init__()
        if anchors < 1:
            raise BridgeError(f"anchors must be at least 1, not {anchors!r}")
        self._most, self._seed, self._center = anchors, seed, center
        self._state: Arrays = {}

    def arrays(self) -> Arrays:
        """The anchors and what is subtracted, in both spaces."""
        return dict(self._state)

    def restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over anchors and means."""
        old = taken(arrays, "old_anchors", None, self.old_dim)
        self._state = {
            "old_anchors": old,
            "new_anchors": taken(arrays, "new_anchors", len(old), self.new_dim),
            "old_mean": taken(arrays, "old_mean", self.old_dim),
            "new_mean": taken(arrays, "new_mean", self.new_dim),
        }

    def _fit(self, old: Floats, new: Floats) -> None:
        random = np.random.default_rng(self._seed)
        chosen = np.sort(random.permutation(len(old))[: self._most])
        self._state = {}
        for side, rows in (("old", old), ("new", new)):
            self._state[f"{side}_mean"] = rows.mean(axis=0) * np.float32(self._center)
            self._state[f"{side}_anchors"] = rows[chosen]

    def _queries(self, new: Floats) -> Floats:
        return self._described("new", new)

    def _gallery(self, old: Floats) -> Floats:
        return self._described("old", old)

    @abstractmethod
    def _described(self, side: str, rows: Floats) -> Floats:
        """Unit rows ``(m, d)`` of a side, ``old`` or ``new``, by its anchors, ``(m, dim)``."""

    def _cosines(self, side: str, rows: Floats) -> Floats:
        """Cosines ``(m, k)`` to the anchors, the mean subtracted from both."""
        mean = self._state[f"{side}_mean"]
        anchors = unit_rows(self._state[f"{side}_anchors"] - mean)
        return np.asarray(unit_rows(rows - mean) @ anchors.T, np.float32)


class RelativeRepresentations(AnchoredBridge):
    """``r(x) = (cos(x, a_1), ..., cos(x, a_k))`` for anchors ``a_i`` that both spaces encoded.

    Rotating, mirroring or scaling a space does not change it, so two spaces that differ by that
    need no map: their relative vectors are equal, and are compared by their cosine.

    Source: Moschella, Maiorca, Fumero, Norelli, Locatello and Rodolà, Relative representations
    enable zero-shot latent space communication, ICLR 2023.

    Deviations: the mean of the pairs is subtracted first, which also makes it invariant to a
    translation; ``center=False`` leaves it out as the paper does. Vectors of nonnegative features
    all lie in one cone, and without it their relative vectors hardly differ.
    """

    name = "relative"

    @property
    def dim(self) -> int:
        """The number of anchors."""
        return len(self._state["old_anchors"])

    def _described(self, side: str, rows: Floats) -> Floats:
        return self._cosines(side, rows)
