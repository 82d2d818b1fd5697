"""LiDAR: how many directions of a model tell images apart in spite of how they are altered.

Source: Thilak, Huang, Saremi, Dinh, Goh, Nakkiran, Susskind and Littwin, LiDAR: Sensing Linear
Probing Performance in Joint Embedding SSL Architectures, ICLR 2024.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from glocal.errors import AnalysisError

_WITHIN, _SHARE = 1e-4, 1e-7


def lidar(views: ArrayLike, *, regularisation: float = _WITHIN) -> float:
    """The effective rank of the linear discriminant analysis of images by their views.

    Each image is a class of its own, whose members are its altered views. With the covariance
    ``S_b`` of the images' means and ``S_w`` of the views around their image's mean::

        S = (S_w + delta I)^{-1/2} S_b (S_w + delta I)^{-1/2}
        LiDAR = exp(-sum_i p_i log p_i),    p_i = lambda_i / sum_j lambda_j + epsilon

    over the eigenvalues of S. It takes no labels, and orders models or checkpoints of one kind by
    how good a linear classifier on top of them would be; higher is better. A rank alone also counts
    directions of noise.

    Source: Thilak, Huang, Saremi, Dinh, Goh, Nakkiran, Susskind and Littwin, LiDAR: Sensing Linear
    Probing Performance in Joint Embedding SSL Architectures, 2024.

    Deviations: none. Lengths of vectors count, as in the paper.

    Args:
        views: ``(n, q, d)``: the vectors of q altered views of each of n images, such as an
            `glocal.learn.augment.Augmentation` makes; the same alterations for all models that are
            compared. The paper has n 1,000 and q 50; n has to exceed the rank to be told.
        regularisation: ``delta``, above 0.

    Returns:
        From 1 to the smaller of d and n - 1, about.

    Raises:
        AnalysisError: There are fewer than two images or views, numbers that are not finite, or no
            two images differ.
    """
    rows = np.asarray(views, np.float64)
    fits = rows.ndim == 3 and min(rows.shape[:2]) >= 2 and rows.shape[2] >= 1
    if not fits or not np.isfinite(rows).all() or not regularisation > 0:
        raise AnalysisError(
            f"LiDAR cannot be computed of views {rows.shape} with a regularisation of "
            f"{regularisation:g}; give finite (n, q, d), at least 2 views of at least 2 images, "
            "and a regularisation above 0"
        )
    images, count, dim = rows.shape
    means = rows.mean(axis=1)
    between = means - means.mean(axis=0)
    around = (rows - means[:, None]).reshape(-1, dim)
    within = around.T @ around / (images * (count - 1)) + regularisation * np.eye(dim)
    values, axes = np.linalg.eigh(within)
    whitened = between @ (axes / np.sqrt(values))
    spread = np.linalg.svd(whitened, compute_uv=False) ** 2
    if not spread.sum() > 0:
        raise AnalysisError("all images have the same vectors; give images that differ")
    shares = spread / spread.sum() + _SHARE
    return float(np.exp(-(shares * np.log(shares)).sum()))
