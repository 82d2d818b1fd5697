"""Sketches as queries: a map from drawings to photos, and the switch between this view and any."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import QueryError

Floats = NDArray[np.float32]
_LEAST = 8  # pairs to learn from
_FOLDS = 5  # of the things, each told by a map of the others
_VIEW_SPREAD, _CONTENT_SPREAD = 8.0, 10.0  # mean eigenvalues that are added to Σ


class FreeviewSketch:
    """Turns the vector of a sketch into a query for photos, in one of two modes.

    Sain, Chowdhury, Koley, Bhunia and Song, Freeview Sketching: View-Aware Fine-Grained
    Sketch-Based Image Retrieval, ECCV 2024. A sketch of one view should find its exact photo, or
    any photo of the thing that it shows: the features of both are disentangled into content c and
    view v, of which view-agnostic retrieval compares c alone and view-specific retrieval c + v.
    Here, with s' and p' the vectors of a sketch and of its photo less their means, and m' the mean
    of all photos of the same thing, both are ridge regressions of a difference, which keep s' where
    nothing is learnt:

        c     = s' + s' argmin_R Σ |m' - s' - s' R|² + κ |R|²,
        c + v = s' + s' argmin_R Σ |p' - s' - s' R|² + λ |R|²,

    so that c is what a sketch says of the thing whatever the view, and v what it says of the view.
    What the photos p' of sketches that the map was not fitted to differ by from it has the
    covariance Σ, another one in each mode; the query is c Σ⁻¹, or (c + v) Σ⁻¹, as in linear
    discriminant analysis, so that a direction counts the less the less a sketch tells of it. Σ has
    its mean eigenvalue added several times, as it is known from few things. Only the query changes:
    any index of the photos' vectors serves both modes.

    Deviations: linear maps in closed form on the vectors of a fixed encoder, where the paper trains
    both encoders with triplet, reconstruction and swapping losses on sketches of people; what is
    learnt from here are line drawings made of photos (`glocal.query.drawings`). The disentangling
    acts on the query alone.

    Args:
        ridge: λ, for vectors of unit length.
        content_ridge: κ, smaller as the mean of several photos is easier to tell.
    """

    name = "freeview"

    def __init__(self, *, ridge: float = 1.0, content_ridge: float = 0.3) -> None:
        if not min(ridge, content_ridge) > 0:
            raise QueryError(f"the ridges are {ridge:g} and {content_ridge:g}; give positive ones")
        self.ridge, self.content_ridge = ridge, content_ridge
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
        thing_means = (means / count[:, None])[which] - middle
        self._mean = drawn.mean(axis=0)[None].astype(np.float32)
        self._view = _map(less, shown - middle, shown - middle, which, self.ridge, _VIEW_SPREAD)
        self._content = _map(
            less, thing_means, shown - middle, which, self.content_ridge, _CONTENT_SPREAD
        )
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
        found = less @ (self._content if any_view else self._view)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        # Without any difference from the mean sketch there is nothing to go by but the sketch.
        found = np.where(lengths > 1e-9, found, rows)
        lengths = np.linalg.norm(found, axis=1, keepdims=True)
        return np.asarray(found / np.maximum(lengths, 1e-12), np.float32)

    def arrays(self) -> dict[str, Floats]:
        """The state after fitting, by name."""
        return {"mean": self._mean, "to_view": self._view, "to_content": self._content}

    def restore(self, arrays: Mapping[str, ArrayLike]) -> Self:
        """Take over a state of `arrays`.

        Raises:
            QueryError: an array is missing or has another shape.
        """
        try:
            mean, view, content = (
                np.asarray(arrays[name], np.float32) for name in ("mean", "to_view", "to_content")
            )
        except KeyError as error:
            raise QueryError(f"the sketches' map lacks {error}; learn it again") from error
        dim = len(view)
        if not dim or (mean.shape, view.shape, content.shape) != ((1, dim), (dim, dim), (dim, dim)):
            raise QueryError("the sketches' map has arrays that do not fit; learn it again")
        self._mean, self._view, self._content = mean, view, content
        return self


def _map(
    sketches: NDArray[np.float64],
    targets: NDArray[np.float64],
    photos: NDArray[np.float64],
    things: NDArray[np.int64],
    ridge: float,
    spread: float,
) -> Floats:
    """The matrix ``(d, d)`` that makes queries of sketches; all are ``(n, d)`` less their means."""

    def bent(rows: NDArray[np.bool_]) -> NDArray[np.float64]:
        known = sketches[rows]
        same: NDArray[np.float64] = np.eye(known.shape[1])
        return same + np.linalg.solve(
            known.T @ known + ridge * same, known.T @ (targets[rows] - known)
        )

    missed = np.empty_like(photos)
    for fold in range(_FOLDS):
        aside = things % _FOLDS == fold
        missed[aside] = photos[aside] - sketches[aside] @ bent(~aside)
    covariance = missed.T @ missed
    mean = np.trace(covariance) / len(covariance)
    everything = bent(np.ones(len(things), np.bool_))
    if not mean > 0:
        return everything.astype(np.float32)
    certain = np.linalg.inv(covariance / mean + spread * np.eye(len(covariance)))
    return (everything @ certain).astype(np.float32)
