"""How much a bridge loses, measured on images of the gallery itself, without labels.

What the new model finds stands for the truth: the share of it that the bridge finds, minus the
share that the old model finds, follows the gain in mAP (rank correlation .68 over bridges and
numbers of anchors in `benchmarks/bridges.py`). Whether a query finds its own image, which is
the nearest thing to a right answer that a gallery has, does not (.03): it tells how close two
vectors are, and not what comes second.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import BridgeError
from glocal.upgrade.bridge import Bridge
from glocal.upgrade.vectors import Floats, checked_pairs, unit_rows

LEAST_HELD_OUT = 50
"""Fewer images say too little: the standard error of a share is then above .07."""

NEIGHBOURS = 10

MARGIN = 0.05
"""By how much more of the new model's neighbours a bridge has to find than the old model does.

Queries through a bridge come from the new model and agree with it a little even where they are
wrong. Of 60 bridges between three pairs of models that `benchmarks/bridges.py` fitted, 24 of 32
above the margin found more than the old model, by mAP, and 4 of 28 below it.
"""


@dataclass(frozen=True, slots=True)
class BridgeMeasurement:
    """What a bridge finds on images that it was not fitted to; shares are from 0 to 1.

    Each image is the query once. "Neighbours" are the ten nearest other images.

    Attributes:
        images: Number of images.
        own_image: Share of queries through the bridge whose nearest old vector is their own.
        cosine: Mean cosine between a query through the bridge and its own image's vector.
        bridged_new: Share of the neighbours found through the bridge that the new model finds.
        bridged_old: Share of them that the old model finds.
        old_new: Share of the neighbours found by the old model that the new model finds.
    """

    images: int
    own_image: float
    cosine: float
    bridged_new: float
    bridged_old: float
    old_new: float

    @property
    def worse_than_waiting(self) -> bool:
        """Whether the old model's own search is likely to find more, until all is encoded anew.

        It supposes that the new model is the better one: its neighbours stand for the truth.
        """
        return self.bridged_new < self.old_new + MARGIN

    def figures(self) -> dict[str, float]:
        """The figures by name, for a card."""
        return {name: float(value) for name, value in asdict(self).items()}


def measure_bridge(bridge: Bridge, old: ArrayLike, new: ArrayLike) -> BridgeMeasurement:
    """Measure a bridge on pairs that it was not fitted to.

    Args:
        bridge: A fitted bridge.
        old: ``(n, d_old)`` vectors of images in the old space.
        new: ``(n, d_new)`` vectors of the same images in the new space.

    Raises:
        BridgeError: The pairs are fewer than `LEAST_HELD_OUT` or do not fit the bridge.
    """
    old_rows, new_rows = checked_pairs(old, new, LEAST_HELD_OUT)
    if (old_rows.shape[1], new_rows.shape[1]) != (bridge.old_dim, bridge.new_dim):
        raise BridgeError(
            f"the vectors have {old_rows.shape[1]} and {new_rows.shape[1]} numbers, the bridge is "
            f"for {bridge.old_dim} and {bridge.new_dim}; use vectors of the models it was fitted to"
        )
    queries, gallery = bridge.queries(new_rows), unit_rows(bridge.gallery(old_rows))
    count = len(queries)
    crossed = queries @ gallery.T
    own = np.diag(crossed)
    bridged, by_old, by_new = (
        _neighbours(scores) for scores in (crossed, old_rows @ old_rows.T, new_rows @ new_rows.T)
    )
    return BridgeMeasurement(
        images=count,
        own_image=float((own >= crossed.max(axis=1)).mean()),
        cosine=float(own.mean()),
        bridged_new=_shared(bridged, by_new),
        bridged_old=_shared(bridged, by_old),
        old_new=_shared(by_old, by_new),
    )


def _neighbours(scores: Floats) -> NDArray[np.bool_]:
    """Which images are among the nearest others of each, ``(n, n)``."""
    others = scores.copy()
    np.fill_diagonal(others, -np.inf)
    count = min(NEIGHBOURS, len(others) - 1)
    best = np.argpartition(-others, count - 1, axis=1)[:, :count]
    found = np.zeros(others.shape, bool)
    np.put_along_axis(found, best, True, axis=1)
    return found


def _shared(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    return float((found & truth).sum() / truth.sum())
