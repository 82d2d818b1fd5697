"""From one vector space to another while an upgrade is under way, for queries and for scores.

A query of the new model finds candidates among the old vectors as they are, by the bridge that
brings it into their space. What is shown is their similarity in the new space, into which a second
bridge brings the candidates alone: it is much the better measure of the two (docs/decisions.md).
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.encoders.model_files import file_sha256
from glocal.errors import BridgeError, GalleryDamagedError, ModelMismatchError
from glocal.gallery.model_id import ModelId
from glocal.gallery.under_way import Knots, UnderWay
from glocal.upgrade import DEFAULT_BRIDGE, Bridge, load_bridge

Floats = NDArray[np.float32]
SAME: Knots = (-1.0, 1.0), (-1.0, 1.0)


@dataclass(frozen=True, slots=True)
class Passage:
    """Between the space that a gallery is leaving and the one it is going to.

    Attributes:
        queries_bridge: brings queries of the new model to the old vectors; `None` where the new
            model speaks the old space itself.
        vectors_bridge: brings old vectors into the new space, likewise.
        scores: see `UnderWay.scores`.
        region_scores: see `UnderWay.region_scores`.
        brings_vectors: whether old vectors can be brought into the new space.
        told: the queries of the old model that stand for those of the new one; see `asked`.
    """

    queries_bridge: Bridge | None
    vectors_bridge: Bridge | None
    scores: Knots = SAME
    region_scores: Knots = SAME
    brings_vectors: bool = True
    told: Floats | None = None

    @classmethod
    def open(cls, folder: Path, upgrade: UnderWay) -> Passage:
        """Read the bridges of an upgrade.

        Raises:
            GalleryDamagedError: one of them is missing or damaged.
        """
        bridges = [_bridge(folder, name) for name in (upgrade.queries, upgrade.vectors)]
        brings = bridges[1] is not None or not upgrade.by_both
        return cls(bridges[0], bridges[1], upgrade.scores, upgrade.region_scores, brings)

    def asked(self, queries: Floats) -> Passage:
        """The passage for one query that the old model has encoded too.

        Args:
            queries: ``(m, d_old)``, in the order of those that the new model made of it.
        """
        return replace(self, told=queries)

    @property
    def reaches_old(self) -> bool:
        """Whether old vectors can be searched at all; without a bridge a vector alone cannot."""
        return self.told is not None or self.queries_bridge is not None or self.brings_vectors

    def queries(self, new: Floats) -> Floats:
        """Vectors ``(m, d_new)`` as queries of the old space, ``(m, d_old)``."""
        if self.told is not None:
            return self.told[: len(new)]
        return new if self.queries_bridge is None else self.queries_bridge.queries(new)

    def vectors(self, old: Floats) -> Floats:
        """Old vectors ``(m, d_old)`` as the new model would have made them, ``(m, d_new)``."""
        return old if self.vectors_bridge is None else self.vectors_bridge.queries(old)

    def similarities(self, query: Floats, old: Floats) -> Floats:
        """How similar a query of the new model is to old vectors, as if they were new ones.

        Args:
            query: ``(d_new,)``.
            old: ``(m, d_old)``.

        Returns:
            ``(m,)``.
        """
        if self.told is not None:
            return _as_new(old @ self.told[0], self.scores)
        return _as_new(self.vectors(old) @ query, self.scores)

    def region_similarities(self, found: Floats) -> Floats:
        """Similarities of `queries` to old regions, as if these were new ones."""
        return _as_new(found, self.region_scores)


@dataclass(frozen=True, slots=True)
class Crossing:
    """A bridge by which vectors of another space search a gallery whose vectors stay as they are.

    Attributes:
        space: that vectors come from.
        target: that they are brought to.
        path: the bridge's file.
        bridge: the bridge.
        sha256: of the file.
    """

    space: str
    target: str
    path: str
    bridge: Bridge
    sha256: str

    @classmethod
    def open(cls, path: str | os.PathLike[str], model: ModelId) -> Crossing:
        """Read a bridge to a gallery's vectors.

        Args:
            path: the bridge's file.
            model: the gallery's.

        Raises:
            BridgeError: it cannot be read, or maps the gallery's vectors too.
            ModelMismatchError: it leads to another space.
        """
        made, card = load_bridge(path)
        if (card.old_space, card.old_dim) != (model.space, model.dim):
            raise ModelMismatchError(
                f"the bridge {path} leads to vectors of {card.old_space!r} with {card.old_dim} "
                f"numbers, and the gallery's are of {model.space!r} with {model.dim}; fit a bridge "
                "to these"
            )
        if not made.keeps_gallery:
            raise BridgeError(
                f"the bridge {path} maps the gallery's vectors too, so they cannot be searched as "
                f"they are; fit one that keeps them, such as {DEFAULT_BRIDGE}"
            )
        return cls(card.new_space, card.old_space, os.fspath(path), made, file_sha256(Path(path)))

    def require_from(self, space: str | None) -> None:
        """Make sure that it comes from a space; `None` is any.

        Raises:
            ModelMismatchError: it comes from another.
        """
        if space not in (None, self.space):
            raise ModelMismatchError(
                f"the bridge {self.path} leads from {self.space!r}, and the vector is of "
                f"{space!r}; fit a bridge from that space"
            )

    def query(self, vector: ArrayLike) -> Floats:
        """A vector ``(d,)`` as a query of the gallery, ``(d_gallery,)`` float32 of unit length.

        Raises:
            BridgeError: it has another length, or is not of finite numbers.
        """
        made: Floats = self.bridge.queries(np.asarray(vector, np.float32)[None])[0]
        return made


def _as_new(found: Floats, knots: Knots) -> Floats:
    return np.asarray(np.interp(found, *knots), np.float32)


def _bridge(folder: Path, name: str) -> Bridge | None:
    if not name:
        return None
    try:
        return load_bridge(folder / name)[0]
    except BridgeError as error:
        raise GalleryDamagedError(
            f"the upgrade of gallery {folder} has lost its bridge ({error}); put the file back"
        ) from error
