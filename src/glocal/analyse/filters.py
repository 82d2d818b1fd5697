"""The 3x3 kernels of networks: their principal shapes, how far two models differ, and idle ones.

Source: Gavrikov and Keuper, CNN Filter DB: An Empirical Investigation of Trained Convolutional
Filters, 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import AnalysisError

SPARSE = 0.01
"""Kernels whose largest weight is below this part of their layer's largest do nothing."""

UNIFORM = 0.5
"""Layers with less variance entropy have next to one shape only."""

_BINS = 70
_LEAST = 1e-6  # of a bin, so that logarithms are finite
_DRAWS, _MOST_DRAWN = 40, 4096

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class LayerFilters:
    """What was found of one layer.

    Attributes:
        count: How many kernels it has.
        sparse: Share of kernels that do nothing, from 0 to 1.
        entropy: Variance entropy: 0 where all kernels have one shape up to a factor, log10(9) or
            .95 where all shapes are alike frequent.
        random: Entropy from which on a layer of so many kernels cannot be told from random numbers.
    """

    count: int
    sparse: float
    entropy: float
    random: float

    @property
    def is_uniform(self) -> bool:
        """Whether nearly all kernels have one shape."""
        return self.entropy < UNIFORM

    @property
    def is_random(self) -> bool:
        """Whether the kernels cannot be told from random numbers."""
        return self.entropy >= self.random


@dataclass(frozen=True, slots=True, eq=False)
class FilterStudy:
    """What was found of a network.

    Attributes:
        shapes: ``(9, 3, 3)`` float64: the principal shapes, the most frequent first.
        shares: ``(9,)`` float64: the share of the variance that each explains; their sum is 1.
        coefficients: ``(n, 9)`` float64: how much of each shape a kernel has, the kernels divided
            by their largest weight.
        layers: By layer.
        degenerate: Share of kernels, from 0 to 1, that do nothing or lie in a layer of one shape or
            of random ones.
    """

    shapes: Floats
    shares: Floats
    coefficients: Floats
    layers: Mapping[str, LayerFilters]
    degenerate: float


def extract_kernels(weights: Mapping[str, ArrayLike]) -> dict[str, Floats]:
    """The 3x3 kernels among the weights of a network, by layer: ``(n, 3, 3)``.

    Args:
        weights: By name, such as `torch.nn.Module.state_dict` gives them on the processor; those
            that are no ``(out, in, 3, 3)`` are left out.

    Raises:
        AnalysisError: There is no 3x3 kernel, or one has a value that is not finite.
    """
    found = {}
    for name, given in weights.items():
        if np.ndim(given) == 4 and np.shape(given)[2:] == (3, 3):
            found[name] = np.asarray(given, np.float64).reshape(-1, 3, 3)
            if not np.isfinite(found[name]).all():
                raise AnalysisError(
                    f"{name} has weights that are not finite; leave that layer out, or repair it"
                )
    if not found:
        raise AnalysisError(
            f"none of {len(weights)} weights is a 3x3 convolution (out, in, 3, 3); give those of a "
            "network that has some"
        )
    return found


def study_filters(weights: Mapping[str, ArrayLike]) -> FilterStudy:
    """Report principal shapes of a network's 3x3 kernels and the share of degenerate ones.

    With X the kernels as rows of 9 numbers, each divided by its largest magnitude, less their mean,
    ``X = U S V^T``: the rows of ``V^T`` are the principal shapes, ``U S`` the coefficients, and
    ``a_i = s_i^2 / sum_j s_j^2`` the share of each. The variance entropy of a layer is that of its
    own shares, ``H = -sum_i a_i log10 a_i``. A layer is one of random kernels where H is that of as
    many normal numbers.

    Source: Gavrikov and Keuper, CNN Filter DB: An Empirical Investigation of Trained Convolutional
    Filters, 2022.

    Deviations: the entropy of random layers is drawn, with a fixed seed, where the paper has fitted
    a curve to such draws; a layer is of one shape below an entropy of .5, a bound of ours; one with
    fewer than ten kernels is called neither.

    Args:
        weights: See `extract_kernels`.

    Raises:
        AnalysisError: See `extract_kernels`.
    """
    kernels = extract_kernels(weights)
    layers, idle = {}, 0.0
    for name, each in kernels.items():
        largest = np.abs(each).max(axis=(1, 2))
        sparse = float((largest < SPARSE * largest.max()).mean()) if largest.any() else 1.0
        enough = len(each) >= 10
        entropy = _entropy(_shares(_scaled(each)))
        layer = LayerFilters(
            count=len(each),
            sparse=sparse,
            entropy=entropy if enough else float("nan"),
            random=_random_entropy(min(len(each), _MOST_DRAWN)) if enough else float("nan"),
        )
        layers[name] = layer
        idle += len(each) * (1.0 if layer.is_uniform or layer.is_random else sparse)
    rows = _scaled(np.concatenate(list(kernels.values())))
    centred = rows - rows.mean(axis=0)
    axes = np.linalg.svd(centred, full_matrices=False)[2]
    if len(axes) < 9:  # fewer kernels than numbers of one
        axes = np.linalg.qr(np.concatenate([axes, np.eye(9)]).T)[0].T[:9]
    coefficients = centred @ axes.T
    variance = (coefficients**2).sum(axis=0)
    shares = variance / max(float(variance.sum()), 1e-300)
    return FilterStudy(axes.reshape(9, 3, 3), shares, coefficients, layers, idle / len(rows))


def filter_shift(one: Mapping[str, ArrayLike], other: Mapping[str, ArrayLike]) -> float:
    """How far the shapes of the kernels of two networks differ; 0 where they do not.

    With P_i and Q_i the histograms of both networks' coefficients of the i-th principal shape of
    all their kernels together, and a_i its share of the variance, it is

    ``sum_i a_i (KL(P_i | Q_i) + KL(Q_i | P_i))``.

    Source: Gavrikov and Keuper, CNN Filter DB: An Empirical Investigation of Trained Convolutional
    Filters, 2022.

    Deviations: the shapes are those of the two networks, where the paper has those of all networks
    of its collection, so that shifts of different pairs are only nearly of one scale.

    Args:
        one: Weights of a network; see `extract_kernels`.
        other: Weights of another one, of any architecture.

    Raises:
        AnalysisError: See `extract_kernels`.
    """
    parts = [_scaled(np.concatenate(list(extract_kernels(each).values()))) for each in (one, other)]
    # Both networks count alike, however many kernels they have.
    mean = (parts[0].mean(axis=0) + parts[1].mean(axis=0)) / 2
    spread = sum((part - mean).T @ (part - mean) / len(part) for part in parts)
    values, axes = np.linalg.eigh(np.asarray(spread))
    shares = np.maximum(values, 0) / max(float(values.sum()), 1e-300)
    found = 0.0
    for share, axis in zip(shares, axes.T, strict=True):
        first, second = ((part - mean) @ axis for part in parts)
        low, high = min(first.min(), second.min()), max(first.max(), second.max())
        p, q = (_histogram(each, low, high) for each in (first, second))
        found += float(share * ((p - q) * np.log(p / q)).sum())
    return found


def _scaled(kernels: Floats) -> Floats:
    """Rows of 9 numbers whose largest magnitude is 1; those of zeros stay."""
    rows = kernels.reshape(len(kernels), 9)
    largest = np.abs(rows).max(axis=1, keepdims=True)
    made: Floats = np.divide(rows, largest, out=np.zeros_like(rows), where=largest > 0)
    return made


def _shares(rows: Floats) -> Floats:
    values = np.linalg.svd(rows - rows.mean(axis=0), compute_uv=False) ** 2
    made: Floats = values / max(float(values.sum()), 1e-300)
    return made


def _entropy(shares: Floats) -> float:
    positive = shares[shares > 1e-12]
    return float(-(positive * np.log10(positive)).sum())


@cache
def _random_entropy(count: int) -> float:
    """What nearly all layers of so many random kernels reach."""
    random = np.random.default_rng(count)
    drawn = [_entropy(_shares(_scaled(random.normal(size=(count, 3, 3))))) for _ in range(_DRAWS)]
    return float(np.mean(drawn) - 3 * np.std(drawn))


def _histogram(values: Floats, low: float, high: float) -> Floats:
    counts = np.histogram(values, _BINS, (low, high if high > low else low + 1))[0]
    made: Floats = (counts / len(values) + _LEAST) / (1 + _BINS * _LEAST)
    return made
