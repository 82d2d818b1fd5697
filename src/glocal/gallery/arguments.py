"""Arguments of searches are checked where people give them, before anything is read or searched."""

from __future__ import annotations

import operator
import os
from collections.abc import Sequence

from glocal.errors import QueryError

MOST_HITS = 10_000
"""How many images one search finds at most."""


def require_limit(limit: object) -> int:
    """How many hits are wanted.

    Raises:
        QueryError: It is no whole number, or not from 1 to `MOST_HITS`.
    """
    try:
        count = operator.index(limit)  # type: ignore[arg-type]
    except TypeError:
        count = 0
    if isinstance(limit, bool) or not 1 <= count <= MOST_HITS:
        raise QueryError(f"the limit is {limit!r:.60}; give a whole number from 1 to {MOST_HITS}")
    return count


def require_words(**given: object) -> None:
    """Make sure that what should be text is text, or `None`.

    Raises:
        QueryError: One of them is something else.
    """
    for name, value in given.items():
        if value is not None and not isinstance(value, str):
            raise QueryError(f"{name} is {value!r:.60}, of type {type(value).__name__}; give a str")


def require_examples(**given: object) -> None:
    """Make sure that examples are lists: a path alone would be taken for a list of its letters.

    An iterator is refused too, since a search may go through them twice.

    Raises:
        QueryError: One of them is something else.
    """
    single = (str, os.PathLike, bytes, bytearray, memoryview)
    for name, value in given.items():
        if isinstance(value, single) or not isinstance(value, Sequence):
            raise QueryError(
                f"{name} is of type {type(value).__name__}; give a list of images: {name}=[image]"
            )
