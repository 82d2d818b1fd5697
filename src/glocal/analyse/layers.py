"""What each layer of a network keeps, and which of them to search with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import AnalysisError
from glocal.evaluate.labelled import evaluate_labelled

TEMPERATURE = 0.1

Tokens = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LayerReport:
    """What was measured of one layer.

    Attributes:
        name: Its name.
        entropy: Of the images' vectors, from 0, all in one direction, to 1, evenly in all.
        token_entropy: The same of the tokens within an image, mean of all images; nan where an
            image has one token only.
        curvature: Mean angle in radians between one step from token to token and the next; nan
            where an image has fewer than three tokens.
        infonce: In nats, how surely an altered view finds its image among all: 0 is surely, and
            log n is by chance.
        found: Share of the images that their view finds first.
        mean_ap: Mean average precision, from 0 to 1, of each image among the others of its label;
            None without labels.
    """

    name: str
    entropy: float
    token_entropy: float
    curvature: float
    infonce: float
    found: float
    mean_ap: float | None


@dataclass(frozen=True, slots=True)
class LayerStudy:
    """What was measured of all layers.

    Attributes:
        layers: In the order that was given.
        best: The layer to search with: that of the highest mean average precision where there are
            labels, else that of the lowest InfoNCE.
    """

    layers: tuple[LayerReport, ...]
    best: str


def study_layers(
    layers: Mapping[str, ArrayLike],
    views: Mapping[str, ArrayLike],
    *,
    labels: ArrayLike | None = None,
    temperature: float = TEMPERATURE,
) -> LayerStudy:
    """Report entropy, curvature and invariance of each layer, and the best one to search with.

    An image's tokens are the cells of its feature map, row by row, or one vector. With Z the rows
    of something, of unit length, and ``l_1 ... l_n`` the eigenvalues of ``Z Z^T / tr(Z Z^T)``, the
    entropy is

    ``S = -sum l_i log l_i / log min(n, d)``

    of the tokens of an image, and of the images' vectors, which are the means of their tokens. With
    the steps ``v_k = z_{k+1} - z_k`` from token to token, curvature is the mean of
    ``arccos(v_{k+1} v_k / |v_{k+1}| |v_k|)``. Invariance is InfoNCE: with ``s_ij`` the cosine of
    the vectors of image i and of view j, both less the images' mean, and the temperature t,

    ``-1/n sum_i s_ii / t - log sum_j exp(s_ij / t)``.

    The last layer is not always the best: one that was trained to tell some classes apart has
    dropped what it did not need for them.

    Source: Skean, Arefin, Zhao, Patel, Naghiyev, LeCun and Shwartz-Ziv, Layer by Layer: Uncovering
    Hidden Representations in Language Models, 2025.

    Deviations: of the paper's three measures of invariance, InfoNCE alone is here; entropies are of
    order 1 and divided by their maximum, so that layers of different widths can be compared; the
    tokens of images are cells, in the order of reading.

    Args:
        layers: Of each layer the tokens ``(n, t, d)`` of n images, or their vectors ``(n, d)``.
        views: The same of altered views of the same images, in the same order, such as
            `glocal.learn.augment.augmentation.Augmentation` makes them.
        labels: ``(n,)`` of anything comparable, where there are any.
        temperature: ``t``, above 0.

    Raises:
        AnalysisError: Layers and views do not fit each other, values are not finite, or there are
            fewer than two images.
    """
    if not layers or set(layers) != set(views) or not temperature > 0:
        raise AnalysisError(
            f"layers {sorted(layers)} and views of {sorted(views)} cannot be compared at a "
            f"temperature of {temperature:g}; give both of the same layers, and one above 0"
        )
    names = None if labels is None else np.asarray(labels)
    found = [
        _report(name, _tokens(name, given), _tokens(name, views[name]), names, temperature)
        for name, given in layers.items()
    ]
    if names is None:
        best = min(found, key=lambda layer: layer.infonce)
    else:
        best = max(found, key=lambda layer: layer.mean_ap or 0.0)
    return LayerStudy(tuple(found), best.name)


def _report(
    name: str,
    images: Tokens,
    views: Tokens,
    labels: NDArray[np.generic] | None,
    temperature: float,
) -> LayerReport:
    count = len(images)
    if views.shape[0] != count or views.shape[2] != images.shape[2] or count < 2:
        raise AnalysisError(
            f"images {images.shape} and views {views.shape} of the layer {name!r} do not fit; give "
            "as many views as images, of one width, and two images or more"
        )
    if labels is not None and labels.shape != (count,):
        raise AnalysisError(f"there are {count} images and labels {labels.shape}; give one each")
    vectors, other = images.mean(axis=1), views.mean(axis=1)
    mean = vectors.mean(axis=0)
    one, two = _unit(vectors - mean), _unit(other - mean)
    cosines = (one @ two.T).astype(np.float64)
    scaled = cosines / temperature
    top = scaled.max(axis=1)
    spread = top + np.log(np.exp(scaled - top[:, None]).sum(axis=1))
    precision = None
    if labels is not None:
        codes = np.unique(labels, return_inverse=True)[1]
        precision = evaluate_labelled(one, codes, one, codes, exclude_self=True).mean_ap
    return LayerReport(
        name=name,
        entropy=_entropy(vectors),
        token_entropy=_mean([_entropy(each) for each in images]),
        curvature=_mean([_curvature(each) for each in images]),
        infonce=float((spread - np.diagonal(scaled)).mean()),
        found=float((cosines.argmax(axis=0) == np.arange(count)).mean()),
        mean_ap=precision,
    )


def _tokens(name: str, given: ArrayLike) -> Tokens:
    found = np.asarray(given, np.float32)
    if found.ndim == 2:
        found = found[:, None]
    if found.ndim != 3 or 0 in found.shape or not np.isfinite(found).all():
        raise AnalysisError(
            f"the layer {name!r} has {np.shape(given)}; give finite numbers (images, tokens, d) "
            "or (images, d)"
        )
    return found


def _entropy(rows: Tokens) -> float:
    """Of the directions of rows ``(n, d)``, by the smaller Gram matrix; nan for a single one."""
    most = min(rows.shape)
    if most < 2:
        return float("nan")
    unit = _unit(rows).astype(np.float64)
    gram = unit @ unit.T if len(unit) <= unit.shape[1] else unit.T @ unit
    trace = float(np.trace(gram))
    if trace == 0:
        return 0.0
    values = np.linalg.eigvalsh(gram) / trace
    values = values[values > 1e-12]
    return float(-(values * np.log(values)).sum() / np.log(most))


def _curvature(tokens: Tokens) -> float:
    """Mean angle between consecutive steps; steps of no length have no direction."""
    steps = np.diff(tokens.astype(np.float64), axis=0)
    length = np.linalg.norm(steps, axis=1)
    both = (length[1:] > 0) & (length[:-1] > 0)
    if not both.any():
        return float("nan")
    products = (steps[1:] * steps[:-1]).sum(axis=1)[both]
    cosines = products / (length[1:] * length[:-1])[both]
    return float(np.arccos(np.clip(cosines, -1, 1)).mean())


def _mean(values: list[float]) -> float:
    """Of those that are numbers; nan where none is."""
    known = [value for value in values if np.isfinite(value)]
    return float(np.mean(known)) if known else float("nan")


def _unit(rows: Tokens) -> Tokens:
    length = np.linalg.norm(rows, axis=-1, keepdims=True)
    made: Tokens = np.divide(rows, length, out=np.zeros_like(rows), where=length > 0)
    return made
