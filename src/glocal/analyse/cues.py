"""WCST-ML: of cues that tell the training images apart equally well, which one has a model chosen?

Source: Scimeca, Oh, Chun, Poli and Yun, Which Shortcut Cues Will DNNs Choose? A Study from the
Parameter-Space Perspective, 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import AnalysisError


@dataclass(frozen=True, slots=True)
class CueStudy:
    """Which cue a model goes by.

    Attributes:
        accuracy: Of each cue the share of images, from 0 to 1, that are given the class which the
            cue has; every combination of cues that disagree counts alike.
        chosen: The cue with the highest.
        chance: What a model would have for each cue that goes by none of them.
        images: How many images have cues that disagree.
    """

    accuracy: Mapping[str, float]
    chosen: str
    chance: float
    images: int


def on_diagonal(cues: Mapping[str, ArrayLike]) -> NDArray[np.bool_]:
    """The images on which all cues agree, ``(n,)``: what to train on.

    A model that is trained on these, with the value of any cue as the label, can go by any of them.

    Args:
        cues: Of each cue its value in every image, ``(n,)`` integers; class k has the value k of
            each. A cue's values can be named in any order: which red square means 0 is a choice.

    Raises:
        AnalysisError: There are fewer than two cues, or they are not of the same images.
    """
    table = _table(cues)
    found: NDArray[np.bool_] = (table == table[:1]).all(axis=0)
    return found


def study_cues(predicted: ArrayLike, cues: Mapping[str, ArrayLike]) -> CueStudy:
    """Report which of several cues the classes follow that a model gives to images.

    The images to ask about are those whose cues disagree, such as a red circle for a model to which
    all red things were squares; others are left out. With K classes, ``f`` the model and C the
    combinations of values ``c`` that the images have, the accuracy by cue i is

    ``a_i = mean over c in C of P(f(x) = c_i | cues of x are c)``.

    Source: Scimeca, Oh, Chun, Poli and Yun, Which Shortcut Cues Will DNNs Choose? A Study from the
    Parameter-Space Perspective, 2022.

    Deviations: the paper also measures how flat and how frequent the minima of each cue are, and
    counts the combinations that agree as well; these say nothing of which cue was chosen.

    Args:
        predicted: ``(n,)`` integers: the class of each image by the model; see `nearest_class` for
            a model that gives vectors.
        cues: As in `on_diagonal`.

    Raises:
        AnalysisError: See `on_diagonal`; or the cues agree on all images.
    """
    table, given = _table(cues), np.asarray(predicted)
    if given.shape != table.shape[1:] or not np.issubdtype(given.dtype, np.integer):
        raise AnalysisError(
            f"classes {given.shape} of {given.dtype} do not fit cues of {table.shape[1]} images; "
            "give an integer for each"
        )
    apart = ~on_diagonal(cues)
    if not apart.any():
        raise AnalysisError(
            f"all {table.shape[1]} images have cues that agree; add some whose cues do not, since "
            "only these tell which one a model goes by"
        )
    combinations, code = np.unique(table[:, apart], axis=1, return_inverse=True)
    code = code.reshape(-1)
    counts = np.bincount(code, minlength=combinations.shape[1])
    accuracy = {}
    for name, values in zip(cues, table[:, apart], strict=True):
        right = np.bincount(code, given[apart] == values, minlength=len(counts))
        accuracy[name] = float((right / counts).mean())
    chosen = max(accuracy, key=lambda name: accuracy[name])
    return CueStudy(accuracy, chosen, 1 / len(np.unique(table)), int(apart.sum()))


def nearest_class(vectors: ArrayLike, labels: ArrayLike, others: ArrayLike) -> NDArray[np.int64]:
    """The class whose mean direction each vector is nearest to, for `study_cues`.

    Args:
        vectors: ``(n, d)`` of images whose class is known, such as those that were trained on.
        labels: ``(n,)`` integers.
        others: ``(m, d)`` of the images to give a class to.

    Returns:
        ``(m,)`` of the labels.

    Raises:
        AnalysisError: Shapes do not fit, or values are not finite.
    """
    rows, names, asked = np.asarray(vectors), np.asarray(labels), np.asarray(others)
    fits = rows.ndim == asked.ndim == 2 and rows.shape[1:] == asked.shape[1:]
    if not fits or names.shape != rows.shape[:1] or not len(rows):
        raise AnalysisError(
            f"vectors {rows.shape} with labels {names.shape} and others {asked.shape} do not fit; "
            "give rows (n, d) with n labels, and (m, d)"
        )
    if not (np.isfinite(rows).all() and np.isfinite(asked).all()):
        raise AnalysisError("some vectors have values that are not finite; leave those out")
    found, code = np.unique(names, return_inverse=True)
    means = np.zeros((len(found), rows.shape[1]))
    np.add.at(means, code, _unit(rows))
    nearest: NDArray[np.int64] = found[(_unit(asked) @ _unit(means).T).argmax(axis=1)].astype(
        np.int64
    )
    return nearest


def _table(cues: Mapping[str, ArrayLike]) -> NDArray[np.int64]:
    """``(cues, n)``."""
    rows = [np.asarray(values) for values in cues.values()]
    fits = len(rows) >= 2 and all(
        row.ndim == 1 and len(row) and row.shape == rows[0].shape for row in rows
    )
    if not fits or not all(np.issubdtype(row.dtype, np.integer) for row in rows):
        shapes = {name: (np.shape(v), np.asarray(v).dtype.name) for name, v in cues.items()}
        raise AnalysisError(
            f"cues {shapes} cannot be compared; give two or more, each an integer of every image"
        )
    return np.stack(rows).astype(np.int64)


def _unit(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    found = rows.astype(np.float64)
    length: NDArray[np.float64] = np.linalg.norm(found, axis=1, keepdims=True)
    return found / np.maximum(length, 1e-300)
