"""How much of what vectors hold tells images apart rather than views of one image: LiDAR.

Source: Thilak, Huang, Saremi, Dinh, Goh, Nakkiran, Susskind and Littwin, LiDAR: Sensing Linear
Probing Performance in Joint Embedding SSL Architectures, ICLR 2024.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import AnalysisError

RIDGE = 1e-4
"""What is added to the variance within images, in parts of its mean."""

WIDEST = 4096
"""Longest vectors: their covariances are d x d."""


@dataclass(frozen=True, slots=True, eq=False)
class LidarStudy:
    """What was measured.

    Attributes:
        rank: LiDAR: in how many directions images differ by more than their views do, from 1 to
            the smaller of the length of a vector and the number of images less one. Between
            checkpoints of one kind, the higher one is expected to serve better.
        plain_rank: RankMe, for comparison: in how many directions vectors differ at all, of
            whatever cause.
        eigenvalues: ``(d,)`` float64, descending: how much more images differ than views of one
            image, in each direction of the discriminant analysis.
    """

    rank: float
    plain_rank: float
    eigenvalues: NDArray[np.float64]


def study_lidar(views: ArrayLike, *, ridge: float = RIDGE) -> LidarStudy:
    """Measure the rank of the discriminant analysis that tells images apart by their views.

    With ``e_ij`` the vector of view j of image i, ``m_i`` the mean of an image's views and m that
    of all,

    ``B = mean_i (m_i - m)(m_i - m)^T``, ``W = mean_ij (e_ij - m_i)(e_ij - m_i)^T + r I``,

    ``l_1 ... l_d`` the eigenvalues of ``W^(-1/2) B W^(-1/2)`` and ``p_k = l_k / sum l``,

    ``LiDAR = exp(-sum p_k log p_k)``.

    Directions in which only views differ, such as brightness, count for nothing here, while a rank
    of the vectors alone counts them. No labels are needed, so checkpoints can be compared
    before there are any.

    Source: Thilak, Huang, Saremi, Dinh, Goh, Nakkiran, Susskind and Littwin, LiDAR: Sensing Linear
    Probing Performance in Joint Embedding SSL Architectures, 2024; RankMe: Garrido, Balestriero,
    Najman and LeCun, RankMe: Assessing the Downstream Performance of Pretrained Self-Supervised
    Representations by Their Rank, 2023.

    Deviations: r is a part of the mean variance within images, so that the scale of vectors does
    not count, where the paper adds 0.0001 itself.

    Args:
        views: ``(n, q, d)``, vectors of q altered views of n images, at least two of each, such as
            `glocal.learn.augment.augmentation.Augmentation` makes them. The rank is at most n - 1:
            give more images than it may have directions.
        ridge: r, in parts of the mean variance within images, above 0.

    Raises:
        AnalysisError: The views are too few, not finite, all alike within each image, or
            too long, or the ridge is not above 0.
    """
    rows = np.asarray(views, np.float64)
    if rows.ndim != 3 or min(rows.shape[:2], default=0) < 2 or not 0 < rows.shape[2] <= WIDEST:
        raise AnalysisError(
            f"views {rows.shape} cannot be studied; give (n, q, d), two images and two views of "
            f"each or more, and vectors of at most {WIDEST} numbers"
        )
    if not np.isfinite(rows).all() or not ridge > 0:
        raise AnalysisError(
            f"views with numbers that are not finite, or a ridge of {ridge:g}, give no rank; give "
            "finite numbers and a ridge above 0"
        )
    images = rows.mean(axis=1)
    centred = images - images.mean(axis=0)
    within = (rows - images[:, None]).reshape(-1, rows.shape[2])
    inner = within.T @ within / len(within)
    mean = float(np.trace(inner)) / len(inner)
    if not mean > 0 or not centred.any():
        raise AnalysisError(
            "all views of each image, or all images, have the same vector; give vectors of altered "
            "views, from a model that tells images apart"
        )
    values, axes = np.linalg.eigh(inner)
    whitened = centred @ (axes / np.sqrt(np.maximum(values, 0) + ridge * mean))
    found = np.linalg.svd(whitened, compute_uv=False) ** 2 / len(whitened)
    eigenvalues = np.zeros(rows.shape[2])
    eigenvalues[: len(found)] = found
    plain = np.linalg.svd(rows.reshape(-1, rows.shape[2]), compute_uv=False)
    return LidarStudy(_spread(found), _spread(plain), eigenvalues)


def _spread(values: NDArray[np.floating]) -> float:
    """The exponential of the entropy of shares."""
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(np.exp(-(shares * np.log(shares)).sum()))
