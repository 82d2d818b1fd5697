"""Clusters of weighted positions: where they crowd, and how far they are spread."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.geography.sphere import distances_km, middle

_SPREAD = 0.9
_MOST_MOVES = 20


@dataclass(frozen=True, slots=True)
class Cluster:
    """Positions that lie close together.

    Attributes:
        latitude: of the weighted middle, in degrees.
        longitude: likewise.
        radius_km: within which at least nine tenths of the weight lie.
        weight: sum of the members' weights.
        members: rows of the positions, the heaviest first.
    """

    latitude: float
    longitude: float
    radius_km: float
    weight: float
    members: tuple[int, ...]


def clusters(positions: ArrayLike, weights: ArrayLike, reach_km: float) -> list[Cluster]:
    """Divide positions into clusters, the heaviest first.

    The position with most weight around it seeds a cluster, whose middle then moves to the weighted
    middle of what lies within reach until that stays the same (mean shift with a flat kernel:
    Fukunaga and Hostetler 1975); its members are set aside, and the rest is divided likewise.

    Args:
        positions: ``(n, 2)`` latitudes and longitudes in degrees.
        weights: ``(n,)`` above 0.
        reach_km: how far a member lies from the middle at most.
    """
    places = np.asarray(positions, np.float64).reshape(-1, 2)
    weight = np.asarray(weights, np.float64)
    left = np.arange(len(places))
    found = []
    while len(left):
        within = _crowded(places[left], weight[left], reach_km)
        members = left[within]
        members = members[np.argsort(-weight[members], kind="stable")]
        latitude, longitude = middle(places[members], weight[members])
        away = distances_km((latitude, longitude), places[members])
        found.append(
            Cluster(
                latitude,
                longitude,
                _spread(away, weight[members]),
                float(weight[members].sum()),
                tuple(members.tolist()),
            )
        )
        left = left[~within]
    return sorted(found, key=lambda cluster: -cluster.weight)


def _crowded(
    places: NDArray[np.float64], weight: NDArray[np.float64], reach_km: float
) -> NDArray[np.bool_]:
    """Which of ``n`` positions belong to the heaviest cluster: ``(n,)`` booleans, never none."""
    around = [weight[distances_km(place, places) <= reach_km].sum() for place in places]
    within: NDArray[np.bool_] = distances_km(places[int(np.argmax(around))], places) <= reach_km
    for _ in range(_MOST_MOVES):
        moved = distances_km(middle(places[within], weight[within]), places) <= reach_km
        if weight[moved].sum() <= weight[within].sum():  # it moves only to where there is more
            break
        within = moved
    return within


def _spread(away: NDArray[np.float64], weight: NDArray[np.float64]) -> float:
    """The distance within which `_SPREAD` of the weight lies."""
    order = np.argsort(away)
    share = np.cumsum(weight[order]) / weight.sum()
    return float(away[order][np.searchsorted(share, _SPREAD - 1e-9)])
