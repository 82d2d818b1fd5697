"""RAID: how two areas of an image stand to each other, as a histogram of histograms."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import QueryError
from glocal.query.areas import Area

Floats = NDArray[np.float32]


class Raid:
    """Describes how a target area stands to a source area: inside, above, around, across.

    Guerrero, Mitra and Wonka, RAID: A Relation-Augmented Image Descriptor, ACM Transactions on
    Graphics 35(4), 2016. A point p of the source sees the target B as a histogram h_p over
    directions and distances of B's points from p (the simple point-to-region relationship). The
    relation of the source A to B is how these are distributed over A: a point belongs to A's middle
    or to one of its sides, and the descriptor holds the sum of h_p over the points of each,

        D[s, θ, r] = 1 / |A||B| Σ_{p ∈ A} w_s(p) Σ_{q ∈ B} w_θ(q - p) w_r(|q - p| / √area(A)),

    with weights w that fall linearly to the neighbouring bins. It sums to 1, does not change when
    both areas are moved or enlarged together, and is ordered: what is inside is not around.
    Descriptors are compared by their L1 distance.

    Deviations: the numbers and bounds of bins are glocal's own (chosen by the mAP of made scenes of
    other seeds than the trial's), and so is the nearest ring that knows no direction. Areas are
    sampled at up to 100 points. Distances are in units of the source alone.

    Args:
        directions: number of directions in which a point sees the target.
        rings: distances of the rings from the point, rising from above 0, in units of the square
            root of the source's area; there is one more at distance 0, and what lies beyond the
            last counts for the last.
        sides: number of sides of the source, besides its middle.
    """

    name = "raid"

    def __init__(
        self,
        *,
        directions: int = 4,
        rings: tuple[float, ...] = (0.35, 1.4, 5.6),
        sides: int = 4,
    ) -> None:
        rising = all(low < high for low, high in pairwise((0.0, *rings)))
        if directions < 3 or sides < 3 or not rings or not rising:
            raise QueryError(
                f"raid cannot have {directions} directions, {sides} sides and the rings {rings}; "
                "give 3 or more of the former and rings that rise from above 0"
            )
        self.directions, self.sides = directions, sides
        self.rings = np.array([0.0, *rings])

    @property
    def dim(self) -> int:
        """Length of a descriptor."""
        return (1 + self.sides) * len(self.rings) * self.directions

    def describe(self, source: Area, target: Area) -> Floats:
        """The descriptor ``(dim,)`` float32 of how the target stands to the source; sums to 1.

        Args:
            source: the area that sees the other one.
            target: the area that is seen, of the same image.
        """
        place = self._places(source)
        step = target.points[None] - source.points[:, None]  # (n, m, 2)
        distance = np.hypot(step[..., 0], step[..., 1]) / source.scale
        ring = _soft(np.interp(distance, self.rings, np.arange(len(self.rings))), len(self.rings))
        # At distance 0 there is no direction: all of them share what lies in the first ring.
        even = np.full(self.directions, 1 / self.directions)
        near = (place.T @ ring[..., 0].sum(axis=1))[:, None, None] * even
        towards = _turned(step, self.directions)
        seen = ring[..., 1:].transpose(0, 2, 1) @ towards  # h_p of each point
        far = np.tensordot(place, seen, axes=(0, 0))
        found = np.concatenate([near, far], axis=1) / distance.size
        return found.ravel().astype(np.float32)

    def similarities(self, query: ArrayLike, found: ArrayLike) -> Floats:
        """How alike relations are: 1 less half of their L1 distance, in [0, 1].

        Args:
            query: ``(dim,)``.
            found: ``(n, dim)``.

        Returns:
            ``(n,)`` float32.

        Raises:
            QueryError: they are not descriptors of these settings.
        """
        one, others = np.asarray(query, np.float32), np.asarray(found, np.float32)
        if one.shape != (self.dim,) or others.ndim != 2 or others.shape[1] != self.dim:
            raise QueryError(
                f"relations of shapes {one.shape} and {others.shape} cannot be compared; give "
                f"({self.dim},) and (n, {self.dim}), as describe returns them"
            )
        return np.asarray(1 - np.abs(others - one).sum(axis=1) / 2, np.float32)

    def _places(self, source: Area) -> NDArray[np.float64]:
        """How much each point belongs to the middle and to each side, ``(n, 1 + sides)``."""
        step = source.points - source.points.mean(axis=0)
        outward = np.hypot(step[:, 0], step[:, 1])
        out = np.minimum(outward / (0.5 * source.scale), 1)
        sides = _turned(step, self.sides) * out[:, None]
        return np.concatenate([1 - out[:, None], sides], axis=1)


def _turned(step: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Weights of directions, ``(..., count)``; the first is to the right, the next turn down."""
    angle = np.arctan2(step[..., 1], step[..., 0]) / (2 * np.pi) * count
    low = np.floor(angle).astype(np.int64)
    part = angle - low
    weights = np.zeros((*angle.shape, count))
    np.put_along_axis(weights, (low % count)[..., None], (1 - part)[..., None], axis=-1)
    upper = ((low + 1) % count)[..., None]
    before = np.take_along_axis(weights, upper, axis=-1)
    np.put_along_axis(weights, upper, before + part[..., None], axis=-1)
    return weights


def _soft(position: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """Weights of the two bins around positions in [0, count - 1], ``(..., count)``."""
    return np.asarray(np.maximum(1 - np.abs(position[..., None] - np.arange(count)), 0))
