"""Made vectors of the same images in two spaces that share what they show, not how."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from glocal.registry import part
from glocal.upgrade.vectors import unit_rows

Floats = NDArray[np.float32]
OLD_DIM, NEW_DIM = 24, 32


def spaces(
    count: int = 240,
    *,
    noise: float = 0.1,
    seed: int = 0,
    dims: tuple[int, int] = (OLD_DIM, NEW_DIM),
) -> tuple[Floats, Floats]:
    """Vectors of images in an old and a new space: random views of 12 hidden numbers."""
    random = np.random.default_rng(0)
    shown = random.normal(size=(count, 12))
    old, new = (
        np.tanh(shown @ random.normal(size=(12, dim)) / 3)
        + noise * random.normal(size=(count, dim))
        for dim in dims
    )
    return unit_rows(old.astype(np.float32)), unit_rows(new.astype(np.float32))


def queries_of(name: str, old: Floats, new: Floats) -> Floats:
    """What a bridge takes as new vectors: some take those of both models."""
    both = "both-models" in part("bridge", name).traits
    return np.concatenate([old, new], axis=1) if both else new


def first_hits(queries: Floats, gallery: Floats) -> NDArray[np.intp]:
    return np.argmax(queries @ gallery.T, axis=1)
