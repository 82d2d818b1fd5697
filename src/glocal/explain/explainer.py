"""What every explainer takes and gives; a new explainer is one function of this form.

An explainer is a row of the kind ``explainer`` in `glocal.registry`. The traits of its row say
what `glocal.explain.explain` may ask of it: ``place`` (it can explain one point or region of the
query), ``alone`` (it needs no hit), ``one-hit`` (it takes exactly one hit) and ``matches`` (it
can draw matches that a search has verified already).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import OnnxEncoder
from glocal.explain.figure import Figure, Point
from glocal.explain.figures import Shown
from glocal.explain.matches import Matches
from glocal.images.region import Region


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedImage:
    """One of the images to explain.

    Attributes:
        shown: Its pixels as people see them, about a megapixel, and the name of its file.
        encoded: ``(h, w, 3)`` uint8 RGB, decoded as the gallery decodes images for the model, so
            that scores are those of a search.
        width: Width of the whole upright image in pixels, in which people name places.
        height: Its height.
    """

    shown: Shown
    encoded: NDArray[np.uint8]
    width: int
    height: int


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """What an explainer looks at.

    Attributes:
        encoder: The model whose search is explained.
        query: The query's image.
        hits: The hits' images.
        point: A point of the query, X and Y, in fractions if both are at most 1, else in pixels.
        region: A region of the query, X, Y, W, H, instead of a point.
        concepts: How many concepts to find, for explainers that find any.
        matches: Matches that a search verified; None where the explainer has to verify them.
        verdict: Words to write beside the score.
    """

    encoder: OnnxEncoder
    query: ExplainedImage
    hits: tuple[ExplainedImage, ...]
    point: Point | None = None
    region: Region | None = None
    concepts: int = 4
    matches: Matches | None = None
    verdict: str = ""

    @property
    def shown(self) -> list[Shown]:
        """The query and the hits as people see them."""
        return [image.shown for image in (self.query, *self.hits)]

    def contributions(self) -> list[NDArray[np.float32]]:
        """For the query and each hit, what each cell of the image adds to its vector.

        Returns:
            ``(rows, columns, d)`` float32 each; see `OnnxEncoder.contributions`.

        Raises:
            ModelError: The model cannot tell.
        """
        images = (self.query, *self.hits)
        return [self.encoder.contributions(image.encoded) for image in images]


@dataclass(frozen=True, eq=False)
class Explanation:
    """Why images match, in numbers and as a page.

    Attributes:
        kind: Name of the explainer.
        scores: Cosine similarity of the query and each hit, from -1 to 1.
        draw: Makes the page.
        maps: What the page shows as heat, float32; each explainer says what they are.
        data: The explanation as plain values that JSON can hold, for pages that draw it
            themselves; None where there is only the page.
    """

    kind: str
    scores: tuple[float, ...]
    draw: Callable[[], Figure]
    maps: tuple[NDArray[np.float32], ...] = ()
    data: Mapping[str, Any] | None = None

    @cached_property
    def figure(self) -> Figure:
        """The page, drawn when it is first needed; save it as PNG or SVG."""
        return self.draw()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page; see `Figure.save`."""
        self.figure.save(path)


class Explainer(Protocol):
    """Explains why a query and its hits match."""

    def __call__(self, view: View, /) -> Explanation:
        """Explain what is in view.

        Raises:
            ModelError: The model does not give what the explanation needs.
            QueryError: The point or region is not in the query.
        """
        ...
