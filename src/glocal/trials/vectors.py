"""Vectors and rankings without a network: pixels are descriptors enough for re-rankings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Rerank = Callable[[Floats, Floats], Floats]


def pixel_vectors(images: NDArray[np.uint8], mean: Floats | None = None) -> Floats:
    """The grey values of images as unit vectors, ``(n, h * w)``.

    Args:
        images: ``(n, h, w, 3)``.
        mean: What is subtracted, such as `mean_vector` of the training images.
    """
    rows = images.mean(axis=3).reshape(len(images), -1).astype(np.float32)
    rows = rows - (0 if mean is None else mean)
    return unit(rows)


def mean_vector(images: NDArray[np.uint8]) -> Floats:
    """The mean grey values of images, ``(h * w,)``."""
    found: Floats = images.mean(axis=(0, 3)).ravel().astype(np.float32)
    return found


def unit(rows: Floats) -> Floats:
    """Rows of unit length."""
    return rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), np.float32(1e-12))


def reranked(vectors: Floats, rerank: Rerank, *, count: int = 100) -> Floats:
    """Scores of every image for every image, the best ``count`` by cosine ranked anew.

    Args:
        vectors: ``(n, d)``, unit rows.
        rerank: From a query and its candidates to new scores, as `glocal.ranking.Rerank`.
        count: How many candidates are ranked anew; the others follow in the order of their cosine.

    Returns:
        ``(n, n)``; a query's score with itself is -inf.
    """
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    scores = cosines - 10  # below every new score
    for query, row in enumerate(cosines):
        best = np.argsort(-row, kind="stable")[:count]
        scores[query, best] = rerank(vectors[query], vectors[best])
    np.fill_diagonal(scores, -1e9)
    return scores
