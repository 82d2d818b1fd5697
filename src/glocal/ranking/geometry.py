"""Plane geometry of matched points: fit transformations and tell which are plausible."""

from __future__ import annotations

from math import isfinite, sqrt

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]

_SCALES = (1 / 8, 8.0)  # how much larger or smaller the object may be in the other image
_STRETCH = 6.0  # how much the scale may change across the points: a steep perspective


def project(homography: Points, points: Points) -> Points:
    """Apply a homography ``(3, 3)`` to points ``(n, 2)``; infinite on its horizon."""
    mapped = points @ homography[:, :2].T + homography[:, 2]
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(mapped[:, :2] / mapped[:, 2:])


def spread(points: Points) -> float:
    """The area that points cover, 0 when they lie on a line.

    It is the area of the rectangle over which evenly scattered points would vary as much: unlike
    the area of their outline, one stray point hardly changes it.
    """
    if len(points) < 3:
        return 0.0
    count = len(points)
    values = points.astype(np.float64)
    (xx, xy), (_, yy) = (values.T @ values).tolist()
    x, y = values.sum(axis=0).tolist()
    xx, yy, xy = xx - x * x / count, yy - y * y / count, xy - x * y / count
    return 12 * sqrt(max(xx * yy - xy * xy, 0.0)) / count


def is_plausible(homography: Points, points: Points, matched: Points, tolerance: float) -> bool:
    """Whether a camera could have taken both images of one plane object.

    Args:
        homography: ``(3, 3)``, from the query to the candidate.
        points: ``(n, 2)`` inliers of the query, in units in which both images have area 1.
        matched: ``(n, 2)`` inliers of the candidate.
        tolerance: The distance within which they agree.

    Refused are mirror images, points that cross the horizon, scales beyond 8, perspectives
    steeper than 6 across the points, and points on a line or in a place so small that any
    homography would bring them within the tolerance.
    """
    if not np.isfinite(homography).all() or len(points) < 4:
        return False
    if min(spread(points), spread(matched)) < tolerance**2:
        return False
    depth = points @ homography[2, :2] + homography[2, 2]
    ends = float(depth.min()), float(depth.max())
    if ends[0] * ends[1] <= 0:
        return False
    # The determinant of the homography's derivative: how much it magnifies areas, negative
    # where it mirrors.
    area = sorted(float(np.linalg.det(homography)) / each**3 for each in ends if each**3)
    if len(area) < 2 or not isfinite(area[1]) or area[0] <= 0:
        return False
    low, high = sqrt(area[0]), sqrt(area[1])
    return low >= _SCALES[0] and high <= _SCALES[1] and high <= _STRETCH * low


def fit_similarity(points: Points, matched: Points) -> Points:
    """The least-squares similarity ``(3, 3)``: rotation, scale and translation."""
    a = points[:, 0] + 1j * points[:, 1]
    b = matched[:, 0] + 1j * matched[:, 1]
    apart = a - a.mean()
    turn = (apart.conj() @ b) / max(float((np.abs(apart) ** 2).sum()), 1e-12)
    shift = b.mean() - turn * a.mean()
    return np.array(
        [[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag], [0, 0, 1]]
    )


def fit_affine(points: Points, matched: Points) -> Points:
    """The least-squares affine transformation ``(3, 3)`` from points to matched ones."""
    middle, other = points.mean(axis=0), matched.mean(axis=0)
    apart = points - middle
    curve = apart.T @ apart
    (xx, xy), (_, yy) = curve.tolist()
    if xx * yy - xy * xy <= 1e-12 * (xx + yy) ** 2:  # on a line: the smallest of the solutions
        linear = np.linalg.lstsq(apart, matched - other, rcond=None)[0].T
    else:
        linear = np.linalg.solve(curve, apart.T @ (matched - other)).T
    fitted = np.eye(3)
    fitted[:2, :2], fitted[:2, 2] = linear, other - linear @ middle
    return fitted


def explained(
    homography: Points, points: Points, matched: Points, tolerance: float
) -> NDArray[np.bool_]:
    """Which pairs a homography brings within a distance of each other; ``(n,)`` bool."""
    apart = project(homography, points) - matched
    return np.asarray((apart * apart).sum(axis=1) <= tolerance * tolerance)
