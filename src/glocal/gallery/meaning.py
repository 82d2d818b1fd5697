"""Searching a gallery by what words mean, through its text model (`glocal.gallery.text_model`)."""

from __future__ import annotations

import threading
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.encoders.image_text import CombinerModel, TextModel
from glocal.encoders.image_text_files import COMBINER
from glocal.errors import BridgeError, GalleryError, QueryError
from glocal.gallery.conditions import Condition, for_some_copy
from glocal.gallery.layout import Layout
from glocal.gallery.records import Match
from glocal.gallery.results import TextModelInfo
from glocal.gallery.stores.base import Store
from glocal.gallery.text_model import (
    MAP,
    TEXT,
    TOKENIZER,
    read_text_model,
    text_model_stamp,
)
from glocal.query.text_to_concept import TextToConcept
from glocal.upgrade import load_bridge

Floats = NDArray[np.float32]

CANDIDATES = 1_000
"""Images, at least, that inner products find and cosines in the text model's space order."""


@dataclass(frozen=True, slots=True, eq=False)
class Meaning:
    """A gallery's text model, opened.

    Attributes:
        info: which it is.
        text: the text side.
        concepts: the map from the gallery's space.
        combiner: what combines an image and words; `None` where their vectors are added.
    """

    info: TextModelInfo
    text: TextModel
    concepts: TextToConcept
    combiner: CombinerModel | None

    @classmethod
    def open(cls, layout: Layout, info: TextModelInfo) -> Meaning:
        """Open what a gallery keeps of its text model.

        Raises:
            GalleryError: the map is missing or damaged.
            MissingExtraError: the extra ``text`` is not installed.
            ModelError: the text side is missing or damaged.
        """
        folder = layout.folder / info.folder
        try:
            bridge, _ = load_bridge(folder / MAP)
        except BridgeError as error:
            raise GalleryError(
                f"{error}; fit the text model again: glocal text --model MODEL"
            ) from error
        return cls(
            info,
            TextModel(folder / TEXT, folder / TOKENIZER, info.tokens),
            TextToConcept(bridge),
            CombinerModel(folder / COMBINER) if info.combines else None,
        )

    def of_change(self, vector: Floats, change: str) -> Floats:
        """What an image would be with a change, ``(k,)`` of unit length.

        Args:
            vector: of the image, ``(d,)`` in the gallery's space.
            change: in words.
        """
        image, words = self.concepts.concepts(vector[None])[0], self.text.encode(change)
        if self.combiner is not None:
            return self.combiner.combine(image, words)
        both = image + words
        return np.asarray(both / max(float(np.linalg.norm(both)), 1e-12), np.float32)

    def rank(
        self, concept: Floats, store: Store, limit: int, where: Condition | None
    ) -> list[Match]:
        """The images nearest to a vector ``(k,)`` of the text model's space, best first.

        Scores are cosines in that space. An image that has copies meets the condition if one of
        them does.
        """
        (direction,) = self.concepts.directions(concept[None])
        relaxed = None if where is None else for_some_copy(where)
        near = store.search(direction, max(limit, CANDIDATES), where=relaxed)
        vectors = store.vectors([match.id for match in near])
        known = [match.id for match in near if match.id in vectors]
        if not known:
            return []
        cosines = self.concepts.concepts(np.stack([vectors[i] for i in known])) @ concept
        best = np.argsort(-cosines, kind="stable")[:limit]
        return [Match(known[at], float(cosines[at])) for at in best]


class Meanings:
    """Opens a gallery's text model when it is first needed, and again when it has another."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stamp: object = None
        self._opened: Meaning | None = None

    def of(self, layout: Layout) -> Meaning | None:
        """The gallery's text model; `None` where it has none, or one for vectors it has left.

        Raises:
            GalleryError: it is damaged.
            MissingExtraError: the extra ``text`` is not installed.
        """
        with self._lock:
            stamp = text_model_stamp(layout), layout.model.space
            if stamp != self._stamp:
                info = read_text_model(layout)
                fits = info is not None and info.gallery_space == layout.model.space
                self._opened = Meaning.open(layout, info) if info is not None and fits else None
                self._stamp = stamp
            return self._opened

    def required(self, layout: Layout) -> Meaning:
        """Likewise.

        Raises:
            QueryError: the gallery has none.
        """
        found = self.of(layout)
        if found is None:
            raise QueryError(
                "a change in words needs an image-text model, and this gallery has none"
                f"{_outdated(layout)}; add one: glocal text --model FOLDER"
            )
        return found


def _outdated(layout: Layout) -> str:
    info = read_text_model(layout)
    return "" if info is None else f" for its vectors of {layout.model} ({info.name} is of others)"
