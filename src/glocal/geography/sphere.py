"""Positions on a sphere of the Earth's mean radius: distances, middles, unit vectors."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

EARTH_RADIUS_KM = 6371.0088
"""Mean radius of the Earth (IUGG)."""

FARTHEST_KM = np.pi * EARTH_RADIUS_KM
"""Half of the circumference: no two positions lie farther apart."""


def unit_vectors(positions: ArrayLike) -> NDArray[np.float64]:
    """Positions as points of the unit sphere: x towards 0, 0; z towards the north pole.

    Args:
        positions: ``(n, 2)`` latitudes and longitudes in degrees.

    Returns:
        ``(n, 3)`` float64 of unit length.
    """
    latitude, longitude = np.radians(np.asarray(positions, np.float64).reshape(-1, 2)).T
    ring = np.cos(latitude)
    return np.stack([ring * np.cos(longitude), ring * np.sin(longitude), np.sin(latitude)], 1)


def position_of(vector: ArrayLike) -> tuple[float, float]:
    """Latitude and longitude in degrees of a direction, ``(3,)`` numbers of any length but 0."""
    x, y, z = np.asarray(vector, np.float64)
    return float(np.degrees(np.arctan2(z, np.hypot(x, y)))), float(np.degrees(np.arctan2(y, x)))


def distances_km(position: ArrayLike, positions: ArrayLike) -> NDArray[np.float64]:
    """Distances along great circles, by the haversine formula.

    Args:
        position: ``(2,)`` latitude and longitude in degrees, or ``(n, 2)`` to compare row by row.
        positions: ``(n, 2)``.

    Returns:
        ``(n,)`` float64 kilometres.
    """
    here, there = (
        np.radians(np.asarray(each, np.float64).reshape(-1, 2)) for each in (position, positions)
    )
    half = np.sin((there - here) / 2) ** 2
    h = half[:, 0] + np.cos(here[:, 0]) * np.cos(there[:, 0]) * half[:, 1]
    away: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(h, 0, 1)))
    return away


def middle(positions: ArrayLike, weights: ArrayLike) -> tuple[float, float]:
    """The weighted middle of positions, which may lie on both sides of the date line.

    Args:
        positions: ``(n, 2)`` latitudes and longitudes in degrees, at least one.
        weights: ``(n,)`` above 0.

    Returns:
        Latitude and longitude in degrees; those of the heaviest position where all cancel out.
    """
    points, weight = unit_vectors(positions), np.asarray(weights, np.float64)
    total = weight @ points
    if np.linalg.norm(total) < 1e-9 * weight.sum():
        total = points[int(weight.argmax())]
    return position_of(total)
