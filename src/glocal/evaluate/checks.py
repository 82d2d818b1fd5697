"""What every metric demands of the arrays it is given."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import EvaluationError

EMPTY_SLOT = -1
"""In a ranked list: nothing was returned at this rank, which counts as a wrong answer."""


def checked_ks(ks: Iterable[int]) -> tuple[int, ...]:
    """The cut-offs, ascending and without repeats.

    Raises:
        EvaluationError: there are none, or one is not a whole number of at least 1.
    """
    cutoffs = list(ks)
    for k in cutoffs:
        if isinstance(k, bool) or not isinstance(k, (int, np.integer)) or k < 1:
            raise EvaluationError(f"a cut-off k must be a whole number of at least 1, not {k!r}")
    if not cutoffs:
        raise EvaluationError("no cut-off k was given; pass at least one, such as ks=(1, 5, 10)")
    return tuple(sorted({int(k) for k in cutoffs}))


def checked_numbers(values: ArrayLike, what: str, shape: tuple[int | None, ...]) -> NDArray[Any]:
    """An array of finite real numbers of the given shape; float32 and float64 stay as they are.

    Args:
        values: anything numpy reads as numbers; other number types become float64, float16 becomes
            float32.
        what: how a message names them.
        shape: the length wanted along each axis, None for any.

    Raises:
        EvaluationError: the shape differs, or a value is nan, infinite or no number.
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
        raise EvaluationError(f"{what} have shape {array.shape}; wanted is ({wanted})")
    finite = np.isfinite(array)
    if not finite.all():
        first = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise EvaluationError(
            f"{what} hold {array[first]} at {first}: a value that is no number cannot be ranked"
        )
    return array


def checked_relevance(relevant: ArrayLike, dimensions: int) -> NDArray[np.bool_]:
    """A boolean array of one ranked list (1 dimension) or of one list per row (2).

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
    """Ranked lists, one row a query: gallery indices, best first, or `EMPTY_SLOT`.

    Raises:
        EvaluationError: the shape is not ``(queries, any)``, an index lies outside the gallery, or
            a row names an image twice.
    """
    array = np.asarray(ranks)
    if array.ndim != 2 or not np.issubdtype(array.dtype, np.integer):
        raise EvaluationError(
            "ranks must be whole numbers of shape (queries, length), one row a query; "
            f"got {array.dtype} of shape {array.shape}"
        )
    if array.shape[0] != queries:
        hint = "; pass its transpose: one row a query" if array.shape[1] == queries else ""
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
