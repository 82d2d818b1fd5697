"""Neural collapse: how far the vectors of a class have become one, and how the classes' means lie.

Source: Dang, Tran, Osher, Tran-The, Ho and Nguyen, Neural Collapse in Deep Linear Networks: From
Balanced to Imbalanced Data, ICML 2023.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import AnalysisError


@dataclass(frozen=True, slots=True, eq=False)
class CollapseStudy:
    """What was measured.

    Attributes:
        labels: ``(k,)`` the different labels, sorted; all else is in their order.
        counts: ``(k,)`` how many vectors each has.
        within: ``tr(S_W S_B^+) / k`` of the covariances within and between classes: 0 where each
            class is one point, and large where classes overlap.
        lengths: ``(k,)`` float64, of the class means.
        cosines: ``(k, k)`` float64, of the class means to each other.
        from_orthogonal: mean absolute cosine of two class means: 0 where all are orthogonal, as
            under the squared error without biases.
        from_simplex: mean distance of the cosines of two class means, minus the mean of all class
            means, from ``-1 / (k - 1)``: 0 where they are the corners of a regular simplex, as
            under balanced classes with biases or cross entropy.
    """

    labels: NDArray[np.generic]
    counts: NDArray[np.int64]
    within: float
    lengths: NDArray[np.float64]
    cosines: NDArray[np.float64]
    from_orthogonal: float
    from_simplex: float


def study_collapse(vectors: ArrayLike, labels: ArrayLike) -> CollapseStudy:
    """Measure how collapsed the vectors of labelled images are.

    With ``h_{k,i}`` the vectors of class k, ``h_k`` their mean and ``h_G`` the mean of the class
    means::

        S_W = 1/N sum_{k,i} (h_{k,i} - h_k)(h_{k,i} - h_k)^T
        S_B = 1/K sum_k (h_k - h_G)(h_k - h_G)^T

    A model whose training classes have collapsed tells them apart well and other classes, or finer
    ones within them, less well.

    Source: Dang, Tran, Osher, Tran-The, Ho and Nguyen, Neural Collapse in Deep Linear Networks:
    From Balanced to Imbalanced Data, 2023.

    Deviations: the paper compares whole Gram matrices with the predicted ones; here lengths and
    angles are told apart. `predicted_lengths` has the prediction.

    Args:
        vectors: ``(n, d)``, as they are: lengths count. Features before a normalisation say more.
        labels: ``(n,)`` of anything comparable.

    Raises:
        AnalysisError: There are fewer than two labels, or vectors and labels do not fit.
    """
    rows, names = np.asarray(vectors, np.float64), np.asarray(labels)
    if rows.ndim != 2 or names.shape != rows.shape[:1] or not np.isfinite(rows).all():
        raise AnalysisError(
            f"vectors {rows.shape} and labels {names.shape} do not fit each other; give finite "
            "rows (n, d) and n labels"
        )
    found, codes, counts = np.unique(names, return_inverse=True, return_counts=True)
    if len(found) < 2:
        raise AnalysisError(
            f"collapse is measured between classes, and there are {len(found)}; give vectors of "
            "two labels or more"
        )
    means = np.zeros((len(found), rows.shape[1]))
    np.add.at(means, codes, rows)
    means /= counts[:, None]
    inside, between = rows - means[codes], means - means.mean(axis=0)
    apart = ~np.eye(len(found), dtype=bool)
    cosines, centred = _cosines(means), _cosines(between)
    return CollapseStudy(
        labels=found,
        counts=counts.astype(np.int64),
        within=_within(inside, between),
        lengths=np.linalg.norm(means, axis=1),
        cosines=cosines,
        from_orthogonal=float(np.abs(cosines[apart]).mean()),
        from_simplex=float(np.abs(centred[apart] + 1 / (len(found) - 1)).mean()),
    )


def predicted_lengths(
    counts: ArrayLike, *, weight_decays: Sequence[float], feature_decay: float
) -> NDArray[np.float64]:
    """Lengths of the class means in the global minimum of a bias-free deep linear network.

    Its features H are free parameters, ``(d, N)``, and Y has their labels as columns of the
    identity; M linear layers follow::

        1/(2N) |W_M ... W_1 H - Y|^2 + sum_j a_j/2 |W_j|^2 + b/2 |H|^2

    At the minimum classes are orthogonal to each other, and each has one singular value of its own.
    With ``a_j w_j^2 = b n_k h_k^2 = x_k`` for all layers, a class of ``n_k`` images has the ``x``
    that minimises ::

        n_k/(2N) (c x^{(M+1)/2} - 1)^2 + (M+1)/2 x,    c = (b n_k prod_j a_j)^{-1/2}

    and its class mean the length ``sqrt(x / (b n_k))``. Small classes have longer means than large
    ones until the decay wins: then the length is 0, and the class is lost (minority collapse).

    Args:
        counts: ``(k,)`` images of each class, at least 1.
        weight_decays: ``a_1`` to ``a_M`` of the linear layers, above 0.
        feature_decay: ``b``, above 0.

    Returns:
        ``(k,)`` float64.

    Raises:
        AnalysisError: A count is below 1, or a decay not above 0.
    """
    numbers = np.asarray(counts, np.float64)
    decays = [*weight_decays, feature_decay]
    if numbers.ndim != 1 or not (numbers >= 1).all() or len(decays) < 2 or min(decays) <= 0:
        raise AnalysisError(
            f"lengths cannot be predicted for counts {numbers.tolist()} and decays {decays}; give "
            "counts of at least 1, and decays above 0 of one layer or more"
        )
    total, layers = float(numbers.sum()), len(decays) - 1
    lengths = []
    for count in numbers:
        scale = float((np.prod(decays) * count) ** -0.5)
        # Stationary points in y = sqrt(x): c y^{M-1} - c^2 y^{2M} = N / n_k, and y = 0.
        terms = np.zeros(2 * layers + 1)
        terms[0] = -(scale**2)
        terms[2 * layers - (layers - 1)] += scale
        terms[-1] -= total / count
        roots = np.roots(terms)
        at = roots.real[(np.abs(roots.imag) < 1e-9 * np.abs(roots)) & (roots.real > 0)]
        at = np.append(at, 0.0)
        loss = count / (2 * total) * (scale * at ** (layers + 1) - 1) ** 2
        loss += (layers + 1) / 2 * at**2
        lengths.append(at[loss.argmin()] / np.sqrt(feature_decay * count))
    return np.array(lengths)


def _within(inside: NDArray[np.float64], between: NDArray[np.float64]) -> float:
    """``tr(S_W S_B^+) / k`` by the singular vectors of the class means, without ``(d, d)``."""
    classes = len(between)
    _, values, axes = np.linalg.svd(between, full_matrices=False)
    kept = values > 1e-10 * max(float(values.max()), 1e-300)
    if not kept.any():
        return float("inf") if inside.any() else 0.0
    along = (inside @ axes[kept].T) ** 2
    return float((along.mean(axis=0) * classes / values[kept] ** 2).sum() / classes)


def _cosines(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-300)
    found: NDArray[np.float64] = unit @ unit.T
    return found
