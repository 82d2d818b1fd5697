"""The bridges of an upgrade: fitted, or the model's own, and measured on images kept aside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import Card
from glocal.errors import BridgeError, ModelError
from glocal.gallery.matching_scores import matching_scores
from glocal.gallery.model_id import ModelId
from glocal.gallery.passage import SAME
from glocal.gallery.under_way import Knots
from glocal.upgrade import Bridge, BridgeMeasurement, load_bridge, make_bridge, measure_bridge
from glocal.upgrade.measure import LEAST_HELD_OUT

INTO_NEW = "ridge"
"""The bridge that brings old vectors into the new space, where candidates are compared."""

_HELD_OUT = 0.25

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class BridgeTrial:
    """What was fitted and measured.

    Attributes:
        queries: brings queries of the new model to the old vectors; `None` where it speaks their
            space, or there is no such bridge.
        vectors: brings old vectors into the new space; likewise.
        measured: what queries find among old vectors so; `None` where too few images are known.
        by_both: whether that is worse than to let the old model answer.
        speaks: whether the new model was trained to speak the old space.
        scores: see `UnderWay.scores`.
        region_scores: see `UnderWay.region_scores`.
    """

    queries: Bridge | None
    vectors: Bridge | None
    measured: BridgeMeasurement | None
    by_both: bool
    speaks: bool
    scores: Knots
    region_scores: Knots


def try_bridges(
    path: Path, card: Card, old: ModelId, new: ModelId, old_rows: Floats, new_rows: Floats
) -> BridgeTrial:
    """Fit bridges to three quarters of some images, measure them on the rest, and fit them to all.

    They are refused where they are worse than waiting (`BridgeMeasurement.worse_than_waiting`):
    then it is better to let the old model answer for its vectors until they are replaced.

    Args:
        path: of the new model, beside which its own bridge may lie.
        card: of the new model, which may say that it ``speaks`` the old space.
        old: the gallery's model.
        new: the other one.
        old_rows: ``(n, d_old)`` vectors of images.
        new_rows: ``(n, d_new)`` vectors of the same images.

    Raises:
        ModelError: the bridge beside the model's file cannot be read.
    """
    speaks = old.space in card.everything.get("speaks", ()) and old.dim == new.dim
    given = None if speaks else _given(path, old, new)
    order = np.random.default_rng(0).permutation(len(old_rows))
    count = min(len(order), max(LEAST_HELD_OUT, round(_HELD_OUT * len(order))))
    aside, rest = order[:count], order[count:]
    by_old, by_new = (rows[aside] @ rows[aside].T for rows in (old_rows, new_rows))
    queries = vectors = None
    try:
        if speaks:
            partial = _IntoNew(None).fit(old_rows, new_rows)
            measured = measure_bridge(partial, old_rows[aside], new_rows[aside])
            crossed = new_rows[aside] @ old_rows[aside].T
        else:
            into_new = make_bridge(INTO_NEW).fit(new_rows[rest], old_rows[rest])
            partial = _IntoNew(into_new).fit(old_rows, new_rows)
            measured = measure_bridge(partial, old_rows[aside], new_rows[aside])
            to_old = given or make_bridge().fit(old_rows[rest], new_rows[rest])
            crossed = to_old.queries(new_rows[aside]) @ old_rows[aside].T
            vectors = make_bridge(INTO_NEW).fit(new_rows, old_rows)
            queries = given or make_bridge().fit(old_rows, new_rows)
    except BridgeError:  # too few images
        scores = matching_scores(by_old, by_new) if len(aside) > _FEW else SAME
        return BridgeTrial(None, None, None, not speaks, speaks, scores, scores)
    lifted = new_rows[aside] @ partial.gallery(old_rows[aside]).T
    by_both = not speaks and measured.worse_than_waiting
    return BridgeTrial(
        queries,
        vectors,
        measured,
        by_both,
        speaks,
        matching_scores(by_old if by_both else lifted, by_new),
        matching_scores(by_old if by_both else crossed, by_new),
    )


_FEW = 10


class _IntoNew(Bridge):
    """Queries of the new model, and old vectors as a bridge brings them into its space."""

    name = "into-new"
    keeps_gallery = False

    def __init__(self, vectors: Bridge | None) -> None:
        super().__init__()
        self._vectors = vectors

    @property
    def dim(self) -> int:
        """That of the new space."""
        return self.new_dim

    def arrays(self) -> dict[str, Floats]:
        """None: it is not kept in a file."""
        return {}

    def restore(self, arrays: Mapping[str, Floats]) -> None:
        """Likewise."""

    def _fit(self, old: Floats, new: Floats) -> None:
        pass

    def _queries(self, new: Floats) -> Floats:
        return new

    def _gallery(self, old: Floats) -> Floats:
        return old if self._vectors is None else self._vectors.queries(old)


def _given(path: Path, old: ModelId, new: ModelId) -> Bridge | None:
    """The bridge that lies beside the model's file, if it is one between these spaces.

    Raises:
        ModelError: it cannot be read.
    """
    beside = path.with_suffix(".bridge")
    if not beside.is_file():
        return None
    try:
        bridge, card = load_bridge(beside)
    except BridgeError as error:
        raise ModelError(f"{error}; mend or remove it") from error
    fits = (card.old_space, card.new_space) == (old.space, new.space)
    return bridge if fits and bridge.keeps_gallery else None
