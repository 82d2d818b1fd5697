"""Searches for vectors in a file of NumPy, such as a service's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal.errors import GlocalError, QueryError
from glocal.gallery import Gallery, SearchResult


def vector_searches(
    gallery: Gallery, files: Iterable[Path], bridge: Path | None, options: dict[str, Any]
) -> Iterator[tuple[str, Callable[[], SearchResult]]]:
    """A search for each vector in files of NumPy, named by its file and, of several, its row."""
    for file in files:
        rows = _vectors_in(file)
        for number, row in enumerate(rows):
            name = str(file) if len(rows) == 1 else f"{file}[{number}]"

            def find(row: NDArray[Any] = row, name: str = name) -> SearchResult:
                try:
                    result = gallery.search_vector(row, bridge=bridge, **options)
                except QueryError as error:
                    raise QueryError(f"{name}: {error}") from error
                return replace(result, query=name)

            yield name, find


def _vectors_in(file: Path) -> NDArray[Any]:
    """The rows of a .npy file, ``(n, d)``; what it may run is not run.

    Raises:
        GlocalError: It cannot be read, or holds something else.
    """
    try:
        found = np.load(file, allow_pickle=False)
    except OSError as error:
        raise GlocalError(
            f"the vectors {file} cannot be read: {error.strerror or error}"
        ) from error
    except (ValueError, EOFError) as error:  # whose texts say how to load what must not be loaded
        raise GlocalError(
            f"{file} is no array of numbers as numpy.save writes it (.npy); save the vectors so"
        ) from error
    if (
        not isinstance(found, np.ndarray)
        or found.ndim not in (1, 2)
        or found.dtype.kind not in "fiu"
    ):
        raise GlocalError(
            f"{file} does not hold one vector of numbers, or rows of them; save such an array: "
            "numpy.save"
        )
    return np.atleast_2d(found)
