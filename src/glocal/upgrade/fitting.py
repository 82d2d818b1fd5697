"""Fit a bridge to images that both models encoded, and measure it on some kept aside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from glocal.errors import BridgeError
from glocal.upgrade.bridge import DEFAULT_BRIDGE, Bridge, make_bridge
from glocal.upgrade.measure import LEAST_HELD_OUT, BridgeMeasurement, measure_bridge
from glocal.upgrade.vectors import checked_pairs

HELD_OUT_SHARE, MOST_HELD_OUT = 0.2, 1_000


@dataclass(frozen=True, slots=True)
class FittedBridge:
    """A bridge and what it was seen to find.

    Attributes:
        bridge: Fitted to all pairs.
        anchors: Number of images.
        measured: What the same bridge, fitted without the images kept aside, found on them.
    """

    bridge: Bridge
    anchors: int
    measured: BridgeMeasurement


def fit_bridge(
    old: ArrayLike,
    new: ArrayLike,
    *,
    name: str = DEFAULT_BRIDGE,
    seed: int = 0,
    groups: ArrayLike | None = None,
    **settings: Any,
) -> FittedBridge:
    """Fit a bridge to pairs, measuring it on a fifth of them (at most 1,000) that it did not see.

    After the measurement it is fitted once more, to all of them.

    Args:
        old: ``(n, d_old)`` vectors of images in the old space.
        new: ``(n, d_new)`` vectors of the same images in the new space.
        name: The bridge's name in the registry.
        seed: Seed of the division.
        groups: ``(n,)`` numbers, where several pairs are views of one image: they are kept aside
            together, and the first of each is measured. `None`: every pair is an image of its own.
        settings: Keyword arguments of the bridge's class.

    Raises:
        BridgeError: There are too few pairs, or they do not fit together.
    """
    old_rows, new_rows = checked_pairs(old, new, 2 * LEAST_HELD_OUT)
    views = np.arange(len(old_rows)) if groups is None else np.asarray(groups)
    _, first = np.unique(views, return_index=True)
    if views.shape != (len(old_rows),) or len(first) < 2 * LEAST_HELD_OUT:
        raise BridgeError(
            f"there are {len(old_rows)} pairs of {len(first)} images; give one group for each "
            f"pair, and at least {2 * LEAST_HELD_OUT} images"
        )
    count = min(MOST_HELD_OUT, max(LEAST_HELD_OUT, int(HELD_OUT_SHARE * len(first))))
    aside = np.sort(first)[np.random.default_rng(seed).permutation(len(first))[:count]]
    rest = ~np.isin(views, views[aside])
    partial = make_bridge(name, **settings).fit(old_rows[rest], new_rows[rest])
    measured = measure_bridge(partial, old_rows[aside], new_rows[aside])
    bridge = make_bridge(name, **settings).fit(old_rows, new_rows)
    return FittedBridge(bridge, len(first), measured)
