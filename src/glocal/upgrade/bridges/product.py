"""The product of invariances: similarities to anchors by several measures at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from glocal.errors import BridgeError
from glocal.upgrade.bridge import Arrays, taken
from glocal.upgrade.bridges.relative import AnchoredBridge
from glocal.upgrade.vectors import Floats

MEASURES = ("cosine", "euclidean", "l1", "linf")
_BLOCK = 1 << 22  # numbers that a block of differences holds


class ProductOfInvariances(AnchoredBridge):
    """Concatenates relative vectors by cosine, Euclidean, L1 and L∞ distance to the anchors.

    Each component is invariant to another group of maps (cosine to rotations and scalings, L2 to
    rotations and translations, L1 and L∞ to permutations and reflections of the axes), and which of
    them relates two spaces is not known before. Each component is standardised,
    ``(r - mean(r)) / std(r)``, so that all weigh the same; then they are compared together.

    Source: Cannistraci, Moschella, Fumero, Maiorca and Rodolà, From Bricks to Bridges: Product of
    Invariances to Enhance Latent Space Communication, ICLR 2024.

    Deviations: components are concatenated, an aggregation of the paper, not summed after learned
    layers, since nothing is trained; vectors have unit length, and the anchors' mean is subtracted
    before cosines are taken.

    Args:
        anchors: How many of the pairs become anchors; all where there are fewer.
        measures: Of `MEASURES`, which to combine.
        seed: Seed of the choice of anchors.
        center: Whether the anchors' mean is subtracted from all vectors before cosines are taken.
    """

    name = "product"

    def __init__(
        self,
        anchors: int = 300,
        measures: Sequence[str] = MEASURES,
        seed: int = 0,
        center: bool = True,
    ) -> None:
        super().__init__(anchors, seed, center)
        unknown = set(measures) - set(MEASURES)
        if unknown or not measures:
            raise BridgeError(f"measures must be of {', '.join(MEASURES)}, not {measures!r}")
        self._measures = tuple(each for each in MEASURES if each in measures)

    @property
    def dim(self) -> int:
        """The number of anchors, for each measure."""
        return len(self._state["old_anchors"]) * len(self._measures)

    def arrays(self) -> Arrays:
        """Anchors and means, and which measures are combined."""
        used = [each in self._measures for each in MEASURES]
        return super().arrays() | {"measures": np.asarray(used, np.float32)}

    def restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over all of them."""
        super().restore(arrays)
        used = taken(arrays, "measures", len(MEASURES))
        self._measures = tuple(each for each, use in zip(MEASURES, used, strict=True) if use)
        if not self._measures:
            raise BridgeError("it has no measure")

    def _described(self, side: str, rows: Floats) -> Floats:
        anchors = self._state[f"{side}_anchors"]
        components = []
        for measure in self._measures:
            if measure == "cosine":
                found = self._cosines(side, rows)
            elif measure == "euclidean":
                found = np.sqrt(np.maximum(2 - 2 * rows @ anchors.T, 0))
            else:
                found = _distances(rows, anchors, np.sum if measure == "l1" else np.max)
            components.append(_standardised(found))
        return np.concatenate(components, axis=1)


def _standardised(rows: Floats) -> Floats:
    centred = rows - rows.mean(axis=1, keepdims=True)
    spread = centred.std(axis=1, keepdims=True)
    return np.asarray(centred / np.where(spread > 0, spread, 1), np.float32)


def _distances(rows: Floats, anchors: Floats, reduce: Callable[..., Floats]) -> Floats:
    """From each row to each anchor, in blocks; ``reduce`` makes one number of differences."""
    found = np.empty((len(rows), len(anchors)), np.float32)
    size = max(1, _BLOCK // anchors.size)
    for begin in range(0, len(rows), size):
        block = rows[begin : begin + size, None]
        found[begin : begin + size] = reduce(np.abs(block - anchors), axis=2)
    return found
