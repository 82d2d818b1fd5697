"""Eigen-CAM: what stands out in one image, without a query (Muhammad and Yeasin, IJCNN 2020)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def eigen_cam(contributions: NDArray[np.float32]) -> NDArray[np.float32]:
    """How strongly each cell of an image points along the image's main direction.

    The paper projects a convolution's feature map on its first principal direction, without
    subtracting the mean. Here the contributions to the image's vector are projected, so that the
    figure shows what the search compares. A principal direction has no sign: it is turned so that
    the cells together point along it, and cells that point the other way count as 0.

    Args:
        contributions: ``(h, w, d)``, a model's, or any feature map.

    Returns:
        ``(h, w)`` float32, at least 0, with a maximum of 1, or all 0.
    """
    height, width, dim = contributions.shape
    cells = contributions.reshape(-1, dim).astype(np.float64)
    main = np.linalg.svd(cells, full_matrices=False)[2][0]
    strength = cells @ main
    if strength.sum() < 0:
        strength = -strength
    strength = np.maximum(strength, 0)
    largest = strength.max()
    if largest > 0:
        strength /= largest
    cam: NDArray[np.float32] = strength.reshape(height, width).astype(np.float32)
    return cam
