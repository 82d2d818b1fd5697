"""A re-ranking that nobody wants, so that a test sees whether it was used."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def worst_first(query: ArrayLike, candidates: ArrayLike) -> NDArray[np.float32]:
    """The least similar candidate first; ``(d,)`` and ``(m, d)`` to ``(m,)``."""
    return -(np.asarray(candidates, np.float32) @ np.asarray(query, np.float32))
