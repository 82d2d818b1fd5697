"""The contrastive loss between queries and the vectors of their images."""

from __future__ import annotations

import numpy as np

from glocal.upgrade.vectors import Floats


def softmax(rows: Floats) -> Floats:
    """Shares of each row, ``(m, k)``, of sum 1."""
    raised = np.exp(rows - rows.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), np.float32)


def contrast_gradient(queries: Floats, gallery: Floats, temperature: float) -> Floats:
    """Gradient of ``-mean_i log softmax(q_i Gᵀ / t)_i`` with respect to the queries.

    Source: van den Oord, Li and Vinyals, Representation Learning with Contrastive Predictive
    Coding, 2018.

    Args:
        queries: ``(m, d)`` unit rows.
        gallery: ``(m, d)`` unit rows, of the same images.
        temperature: t.

    Returns:
        ``(m, d)``.
    """
    likely = softmax(queries @ gallery.T / np.float32(temperature))
    likely[np.arange(len(queries)), np.arange(len(queries))] -= 1
    return np.asarray(likely @ gallery / (temperature * len(queries)), np.float32)
