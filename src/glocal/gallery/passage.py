"""From one vector space to another while an upgrade is under way, for queries and for scores."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.errors import BridgeError, GalleryDamagedError
from glocal.gallery.under_way import UnderWay
from glocal.upgrade import Bridge, load_bridge

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Passage:
    """Between the space that a gallery is leaving and the one it is going to.

    Attributes:
        queries_bridge: brings queries of the new model to the old vectors; `None` where the new
            model speaks the old space itself.
        vectors_bridge: brings old vectors into the new space, likewise.
        scores: similarities in the old space, rising, and those in the new one that mean as much.
        told: the queries of the old model that stand for those of the new one; see `asked`.
    """

    queries_bridge: Bridge | None
    vectors_bridge: Bridge | None
    scores: tuple[Floats, Floats] = field(
        default_factory=lambda: (np.array([-1, 1], np.float32), np.array([-1, 1], np.float32))
    )
    told: Floats | None = None

    @classmethod
    def open(cls, folder: Path, upgrade: UnderWay) -> Passage:
        """Read the bridges of an upgrade.

        Raises:
            GalleryDamagedError: one of them is missing or damaged.
        """
        before, after = (np.array(values, np.float32) for values in upgrade.scores)
        bridges = [_bridge(folder, name) for name in (upgrade.queries, upgrade.vectors)]
        return cls(bridges[0], bridges[1], (before, after))

    def asked(self, queries: Floats) -> Passage:
        """The passage for one query that the old model has encoded too.

        Args:
            queries: ``(m, d_old)``, in the order of those that the new model made of it.
        """
        return replace(self, told=queries)

    def queries(self, new: Floats) -> Floats:
        """Vectors ``(m, d_new)`` as queries of the old space, ``(m, d_old)``."""
        if self.told is not None:
            return self.told[: len(new)]
        return new if self.queries_bridge is None else self.queries_bridge.queries(new)

    def vectors(self, old: Floats) -> Floats:
        """Old vectors ``(m, d_old)`` as the new model would have made them, ``(m, d_new)``."""
        return old if self.vectors_bridge is None else self.vectors_bridge.queries(old)

    def similarity(self, old: NDArray[np.floating]) -> Floats:
        """Similarities in the old space as those in the new one that mean as much."""
        return np.asarray(np.interp(old, *self.scores), np.float32)


def _bridge(folder: Path, name: str) -> Bridge | None:
    if not name:
        return None
    try:
        return load_bridge(folder / name)[0]
    except BridgeError as error:
        raise GalleryDamagedError(
            f"the upgrade of gallery {folder} has lost its bridge ({error}); return to the old "
            "model and begin again: glocal upgrade --back"
        ) from error
