"""Checks of the arrays that metrics take."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import EvaluationError

EMPTY_SLOT = -1
"""In a ranked list: no result at this rank, which counts as a wrong answer."""


def checked_ks(ks: Iterable[int]) -> tuple[int, ...]:
    """Check cut-offs, and return them ascending and without repeats.

    Raises:
        EvaluationError: there are none, or one is not an integer of at least 1.
    """
    cutoffs = list(ks)
    for k in cutoffs:
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
            raise EvaluationError(f"a cut-off k must be a whole number of at least 1, not {k!r}")
    if not cutoffs:
        raise EvaluationError("no cut-off k was given; pass at least one, such as ks=(1, 5, 10)")
    return tuple(sorted({int(k) for k in cutoffs}))


def checked_numbers(values: ArrayLike, what: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """Check an array of finite real numbers of a given shape.

    Args:
        values: anything numpy reads as numbers; float32 and float64 are kept, float16 becomes
            float32, and other types become float64.
        what: the values, as errors should name them.
        shape: required length along each axis, None for any.

    Raises:
        EvaluationError: the shape differs, or a value is nan, infinite or not a number.
    """
    try:
        array = np.asarray(values)
    except ValueError as error:  # rows of different lengths
        raise EvaluationError(f"{what} are not an array of numbers: {error}") from error
    if array.dtype.kind not in "biuf" and array.size:
        raise EvaluationError(f"{what} are not an array of numbers but of {array.dtype}")
    if array.dtype == np.float16:
        array = array.astype(np.float32)
    elif array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float64)
    fits = array.ndim == len(shape) and all(
        wanted is None or wanted == length
        for wanted, length in zip(shape, array.shape, strict=True)
    )
    if not fits:
        wanted = ", ".join("any" if length is None else str(length) for length in shape)
        raise EvaluationError(f"{what} have shape {array.shape}, but need ({wanted})")
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise EvaluationError(
            f"{what} hold {array[first]} at {first}, which cannot be ranked; use finite numbers"
        )
    return array


def checked_relevance(relevant: ArrayLike, dimensions: int) -> NDArray[np.bool_]:
    """Check booleans of one ranked list (1 dimension) or of one list per row (2).

    Raises:
        EvaluationError: the values are not booleans, or the dimensions differ.
    """
    array = np.asarray(relevant)
    if array.size == 0 and array.ndim == dimensions:
        array = array.astype(np.bool_)  # an empty list has no type of its own
    if array.dtype != np.bool_ or array.ndim != dimensions:
        wanted = "(n,)" if dimensions == 1 else "(queries, n)"
        raise EvaluationError(
            f"relevance must be booleans of shape {wanted}, best answer first; "
            f"got {array.dtype} of shape {array.shape}"
        )
    return array


def checked_ranks(ranks: ArrayLike, queries: int, gallery: int) -> NDArray[np.int64]:
    """Check ranked lists, one row per query: gallery indices, best first, or `EMPTY_SLOT`.

    Raises:
        EvaluationError: the shape is not ``(queries, any)``, an index lies outside the gallery, or
            a row names an image twice.
    """
    array = np.asarray(ranks)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer):
        raise EvaluationError(
            "ranks must be whole numbers of shape (queries, length), one row per query; "
            f"got {array.dtype} of shape {array.shape}"
        )
    if array.shape[0] != queries:
        hint = "; pass its transpose: one row per query" if array.shape[1] == queries else ""
        raise EvaluationError(f"ranks have {array.shape[0]} rows for {queries} queries{hint}")
    lists = array.astype(np.int64)
    if lists.size and (lists.min() < EMPTY_SLOT or lists.max() >= gallery):
        wrong = lists[(lists < EMPTY_SLOT) | (lists >= gallery)][0]
        raise EvaluationError(f"ranks name image {wrong} of a gallery of {gallery}, counted from 0")
    for query, row in enumerate(lists):
        named = np.sort(row[row != EMPTY_SLOT])
        repeated = named[1:][named[1:] == named[:-1]]
        if repeated.size:
            raise EvaluationError(f"the ranks of query {query} name image {repeated[0]} twice")
    return lists
