"""Convergent learning: which units of two models are the same, and which are mixtures of others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import AnalysisError, MissingExtraError
from glocal.registry import install_command

_STEPS = 300  # of coordinate descent, at most
_STILL = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class UnitStudy:
    """What two models share.

    Attributes:
        partners: ``(p,)`` int64, for each unit of the first model its partner in the second, each
            at most once; -1 where the best assignment has none that is like it.
        correlations: ``(p,)`` float64, with the unit that the assignment gives it; -1 where there
            are too few units in the second model.
        mixtures: ``(p, q)`` float64, of how much of each unit of the second model, both in
            standard deviations, a unit of the first is made; mostly zeros.
        explained: ``(p,)`` float64, the share of a unit's variance that its mixture explains.
    """

    partners: NDArray[np.int64]
    correlations: NDArray[np.float64]
    mixtures: NDArray[np.float64]
    explained: NDArray[np.float64]

    @property
    def shared(self) -> NDArray[np.int64]:
        """Units of the first model that the second has, too."""
        return np.flatnonzero(self.partners >= 0)

    @property
    def unmatched(self) -> NDArray[np.int64]:
        """Units of the first model that are no single unit of the second."""
        return np.flatnonzero(self.partners < 0)


def study_units(
    one: ArrayLike, other: ArrayLike, *, least: float = 0.5, penalty: float = 0.05
) -> UnitStudy:
    """Match the units of two models one to one, and one to many, by what they do for one input.

    One to one is the assignment of highest summed correlation. One to many is a sparse prediction
    of each unit ``x`` of the first model by the units ``Z`` of the second, all of mean 0 and
    deviation 1: the weights ``w`` of least ``|x - Z w|^2 / 2n + penalty |w|_1``.

    Source: Li, Yosinski, Clune, Lipson and Hopcroft, Convergent Learning: Do Different Neural
    Networks Learn the Same Representations?, 2016.

    Deviations: the paper's many-to-many clusters are not here; correlation is what is assigned by,
    not mutual information.

    Args:
        one: ``(n, p)`` activations of the first model's units for n images; for feature maps, of
            n cells.
        other: ``(n, q)`` of the second model's for the same.
        least: Correlation from which on two units are called the same.
        penalty: Larger for sparser mixtures.

    Raises:
        AnalysisError: Shapes do not fit, values are not finite, or settings are out of range.
        MissingExtraError: SciPy is not installed.
    """
    try:
        from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"matching units needs SciPy: {install_command('glocal[demo]')}"
        ) from error
    if not 0 < least <= 1 or not penalty > 0:
        raise AnalysisError(
            f"least has to be in (0, 1] and penalty above 0, not {least:g} and {penalty:g}"
        )
    x, z = _standard(one, "first"), _standard(other, "second")
    if len(x) != len(z):
        raise AnalysisError(
            f"the first model has activations for {len(x)} images and the second for {len(z)}; "
            "give both for the same images"
        )
    count = len(x)
    cross, own = x.T @ z / count, z.T @ z / count
    rows, columns = linear_sum_assignment(cross, maximize=True)
    assigned, correlations = np.full(x.shape[1], -1), np.full(x.shape[1], -1.0)
    assigned[rows], correlations[rows] = columns, cross[rows, columns]
    partners = np.where(correlations >= least, assigned, -1).astype(np.int64)
    mixtures = _sparse(cross, own, penalty)
    residual = x - z @ mixtures.T
    alive = (x**2).mean(axis=0)
    explained = np.where(alive > 0, 1 - (residual**2).mean(axis=0), 0.0)
    return UnitStudy(partners, correlations, mixtures, explained)


def _standard(activations: ArrayLike, which: str) -> NDArray[np.float64]:
    """Of mean 0 and deviation 1; a unit that is always the same is 0."""
    found = np.asarray(activations, np.float64)
    if found.ndim != 2 or 0 in found.shape or not np.isfinite(found).all():
        raise AnalysisError(
            f"activations {found.shape} of the {which} model cannot be compared; give finite "
            "numbers (n, units) of one image and one unit or more"
        )
    centred = found - found.mean(axis=0)
    deviation = centred.std(axis=0)
    alive = deviation > 1e-9 * np.maximum(np.abs(found).max(axis=0), 1e-300)
    made: NDArray[np.float64] = np.where(alive, centred / np.where(alive, deviation, 1), 0.0)
    return made


def _sparse(
    cross: NDArray[np.float64], own: NDArray[np.float64], penalty: float
) -> NDArray[np.float64]:
    """Coordinate descent for all units at once: ``(p, q)``."""
    weights = np.zeros_like(cross)
    left = cross.copy()  # correlation of what is unexplained with each unit
    for _ in range(_STEPS):
        moved = 0.0
        for unit in range(cross.shape[1]):
            if own[unit, unit] == 0:
                continue
            pull = left[:, unit] + weights[:, unit] * own[unit, unit]
            new = np.sign(pull) * np.maximum(np.abs(pull) - penalty, 0) / own[unit, unit]
            step = new - weights[:, unit]
            left -= step[:, None] * own[unit]
            weights[:, unit] = new
            moved = max(moved, float(np.abs(step).max()))
        if moved < _STILL:
            break
    return weights
