"""CutMix: paste a rectangle of one view over another, so that the result shows both images."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from glocal.errors import LearnError


def cutmix(
    first: NDArray[np.uint8], second: NDArray[np.uint8], rng: np.random.Generator
) -> tuple[NDArray[np.uint8], float]:
    """Paste a rectangle of the second view over the first.

    Source: Yun et al., CutMix: Regularization Strategy to Train Strong Classifiers with Localizable
    Features, 2019.

    Args:
        first: ``(h, w, 3)`` uint8; a quarter to three quarters of it stay visible.
        second: view of the same shape; the rectangle keeps its position.
        rng: chooses the rectangle.

    Returns:
        The mixed view, and the share of its area that shows the first view.

    Raises:
        LearnError: the shapes differ.
    """
    if first.shape != second.shape:
        raise LearnError(f"views to be mixed need one shape, not {first.shape} and {second.shape}")
    height, width = first.shape[:2]
    side = math.sqrt(rng.uniform(0.25, 0.75))
    high, wide = max(1, round(height * side)), max(1, round(width * side))
    top = int(rng.integers(0, height - high + 1))
    left = int(rng.integers(0, width - wide + 1))
    mixed = first.copy()
    mixed[top : top + high, left : left + wide] = second[top : top + high, left : left + wide]
    return mixed, 1 - high * wide / (height * width)
