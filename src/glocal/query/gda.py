"""Classes from a few labelled images and their names, by class means and one covariance."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import QueryError

TEXT_SCALE = 100.0
"""What cosines to the names are multiplied with, as in CLIP."""


class GaussianClasses:
    """Gaussian discriminant analysis beside the scores of the classes' names.

    Each class is a Gaussian of its own mean and of one covariance for all. With means ``mu_c`` of
    the N labelled vectors of length D, their pooled covariance S, and shares ``p_c`` of the
    classes, the logit of a vector x and class c with name ``t_c`` is

    ``100 x . t_c + weight (w_c . x + b_c)``, where
    ``w_c = P mu_c``, ``b_c = log p_c - mu_c . P mu_c / 2``, ``P = D ((N - 1) S + tr(S) I)^-1``.

    Source: Wang, Liang, Sheng, He, Wang and Tan, A Hard-to-Beat Baseline for Training-free
    CLIP-based Adaptation, 2024.

    Deviations: without names only the second part is left. Where no class has two different images,
    S is 0 and the identity stands for the inverted matrix. The paper's forms for new classes and
    without labels are not here.

    Args:
        weight: How much the labelled images count beside the names; chosen on labelled images
            that were kept aside.

    Raises:
        QueryError: The weight is below 0 or not finite.
    """

    def __init__(self, *, weight: float = 1.0) -> None:
        if not 0 <= weight < np.inf:
            raise QueryError(f"the weight of labelled images has to be at least 0, not {weight:g}")
        self.weight = weight

    def fit(self, vectors: ArrayLike, labels: ArrayLike, names: ArrayLike | None = None) -> Self:
        """Estimate means and covariance; nothing is trained.

        Args:
            vectors: ``(n, d)`` of unit length, of images.
            labels: ``(n,)`` whole numbers; each of the classes 0 to k - 1 has an image.
            names: ``(k, d)`` of unit length, texts in the same space.

        Raises:
            QueryError: Shapes do not fit, values are not finite, or a class has no image.
        """
        rows, own = np.asarray(vectors, np.float64), np.asarray(labels)
        if rows.ndim != 2 or own.shape != rows.shape[:1] or not len(rows):
            raise QueryError(
                f"vectors {rows.shape} and labels {own.shape} do not fit each other; give rows "
                "(n, d) and n labels"
            )
        if not np.isfinite(rows).all() or own.dtype.kind not in "iu" or own.min() < 0:
            raise QueryError("vectors have to be finite, and labels whole numbers from 0")
        if own.max() >= len(rows):  # before as many counts are made
            raise QueryError(
                f"the largest label is {own.max()} and there are {len(rows)} images; number the "
                "classes from 0, each with an image"
            )
        counts = np.bincount(own)
        self._names = None if names is None else np.asarray(names, np.float64)
        if self._names is not None and self._names.shape != (len(counts), rows.shape[1]):
            raise QueryError(
                f"names {self._names.shape} do not fit {len(counts)} classes of vectors of length "
                f"{rows.shape[1]}; give one vector a class, of the same space"
            )
        if not counts.all():
            raise QueryError(f"class {int(counts.argmin())} has no image; give each class one")
        means = np.zeros((len(counts), rows.shape[1]))
        np.add.at(means, own, rows)
        means /= counts[:, None]
        within = rows - means[own]
        degrees = max(len(rows) - 1, 1)
        covariance = within.T @ within / degrees
        spread = float(np.trace(covariance)) or 1.0  # no class has two different images
        shrunk = degrees * covariance + spread * np.eye(rows.shape[1])
        self._weights = rows.shape[1] * np.linalg.solve(shrunk, means.T).T
        self._biases = np.log(counts / len(rows)) - 0.5 * (means * self._weights).sum(axis=1)
        return self

    def logits(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """Logits ``(m, k)`` of images ``(m, d)``; the largest is the most likely class.

        Raises:
            QueryError: The vectors have another length, or nothing was fitted.
        """
        rows = np.asarray(vectors, np.float64)
        if not hasattr(self, "_weights"):
            raise QueryError("nothing was fitted; call fit with labelled images first")
        if rows.ndim != 2 or rows.shape[1] != self._weights.shape[1]:
            raise QueryError(
                f"vectors {rows.shape} do not fit what was fitted; give rows of length "
                f"{self._weights.shape[1]}"
            )
        found: NDArray[np.float64] = self.weight * (rows @ self._weights.T + self._biases)
        return found if self._names is None else found + TEXT_SCALE * rows @ self._names.T
