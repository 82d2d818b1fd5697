"""Sketches as queries: a map from drawings to photos, and the switch between this view and any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import QueryError

Floats = NDArray[np.float32]
_LEAST = 8  # pairs to learn from


class FreeviewSketch:
    """Turns the vector of a sketch into a query for photos, in one of two modes.

    Sain, Chowdhury, Koley, Bhunia and Song, Freeview Sketching: View-Aware Fine-Grained
    Sketch-Based Image Retrieval, ECCV 2024. A sketch of one view should find its exact photo, or
    any photo of the thing that it shows: the features of both are disentangled into content c and
    view v, of which view-agnostic retrieval compares c alone and view-specific retrieval c + v.
    Here, with s' and p' the vectors of a sketch and of its photo less their means, and m' the mean
    of all photos of the same thing, both queries are ridge regressions of a difference, which keep
    s' where nothing is learnt:

        c     = s' + s' argmin_R Σ |m' - s' - s' R|² + λ |R|²,
        c + v = s' + s' argmin_R Σ |p' - s' - s' R|² + λ |R|²,

    so that c is what a sketch says of the thing whatever the view, and v what it says of the view.
    Only the query changes: any index of the photos' vectors serves both modes.

    Deviations: linear maps in closed form on the vectors of a fixed encoder, where the paper trains
    both encoders with triplet, reconstruction and swapping losses on sketches of people; what is
    learnt from here are line drawings made of photos (`glocal.query.drawings`). The disentangling
    acts on the query alone.

    Args:
        ridge: λ, for vectors of unit length.
    """

    name = "freeview"

    def __init__(self, *, ridge: float = 1.0) -> None:
        if not ridge > 0:
            raise QueryError(f"the ridge is {ridge:g}; give a number above 0")
        self.ridge = ridge
        self._mean = self._view = self._content = np.zeros((0, 0), np.float32)

    @property
    def dim(self) -> int:
        """Length of the vectors; 0 before it is fitted."""
        return len(self._view)

    def fit(self, sketches: ArrayLike, photos: ArrayLike, things: ArrayLike) -> Self:
        """Learn both from vectors of one encoder.

        Args:
            sketches: ``(n, d)`` of drawings.
            photos: ``(n, d)`` of what they show, in the same order.
            things: ``(n,)`` int, which thing each of them shows.

        Raises:
            QueryError: the shapes do not fit together, there are too few, or no thing is seen
                twice.
        """
        drawn, shown = np.asarray(sketches, np.float64), np.asarray(photos, np.float64)
        labels = np.asarray(things)
        if drawn.ndim != 2 or drawn.shape != shown.shape or labels.shape != (len(drawn),):
            raise QueryError(
                f"sketches {drawn.shape}, photos {shown.shape} and things {labels.shape} do not "
                "fit together; give (n, d), (n, d) and (n,)"
            )
        known, which, count = np.unique(labels, return_inverse=True, return_counts=True)
        if len(drawn) < _LEAST or count.max(initial=0) < 2:
            raise QueryError(
                f"{len(drawn)} sketches of {len(known)} things are too few to learn from; give "
                f"{_LEAST} or more, and several views of a thing"
            )
        means = np.zeros((len(known), shown.shape[1]))
        np.add.at(means, which, shown)
        less, middle = drawn - drawn.mean(axis=0), shown.mean(axis=0)
        inner = less.T @ less + self.ridge * np.eye(less.shape[1])

        def bend(towards: NDArray[np.float64]) -> Floats:
            return np.linalg.solve(inner, less.T @ (towards - middle - less)).astype(np.float32)

        self._mean = drawn.mean(axis=0)[None].astype(np.float32)
        self._view = bend(shown)
        self._content = bend((means / count[:, None])[which])
        return self

    def queries(self, sketches: ArrayLike, *, any_view: bool = False) -> Floats:
        """Vectors of sketches as queries ``(n, d)``, float32 of unit length.

        Args:
            sketches: ``(n, d)``, of the encoder that it was fitted to.
            any_view: find photos of the thing from any view; otherwise as it was drawn.

        Raises:
            QueryError: it is not fitted, or the vectors have another length.
        """
        rows = np.asarray(sketches, np.float32)
        if not self.dim or rows.ndim != 2 or rows.shape[1] != self.dim:
            raise QueryError(
                f"sketches of shape {rows.shape} do not fit vectors of length {self.dim}; fit it "
                "first, and give vectors of the encoder that it was fitted to"
            )
        less = rows - self._mean
        found = less + less @ (self._content if any_view else self._view)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        # Without any difference from the mean sketch there is nothing to go by but the sketch.
        found = np.where(lengths > 1e-9, found, rows)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.maximum(lengths, 1e-12), np.float32)

    def arrays(self) -> dict[str, Floats]:
        """The state after fitting, by name."""
        return {"mean": self._mean, "view": self._view, "content": self._content}

    def restore(self, arrays: Mapping[str, ArrayLike]) -> Self:
        """Take over a state of `arrays`.

        Raises:
            QueryError: an array is missing or has another shape.
        """
        try:
            mean, view, content = (
                np.asarray(arrays[name], np.float32) for name in ("mean", "view", "content")
            )
        except KeyError as error:
            raise QueryError(f"the sketches' map lacks {error}; learn it again") from error
        dim = len(view)
        if not dim or (mean.shape, view.shape, content.shape) != ((1, dim), (dim, dim), (dim, dim)):
            raise QueryError("the sketches' map has arrays that do not fit; learn it again")
        self._mean, self._view, self._content = mean, view, content
        return self
