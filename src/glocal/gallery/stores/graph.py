"""The graph over vectors (HNSW, Malkov & Yashunin 2018, by usearch): a cache of what they say.

A graph file covers the first rows of one generation of the vector file, and the catalogue keeps its
size and its checksum. It is compared with them before it is mapped, since walking a damaged graph
would end the process; without one, every search is exact. Its vectors are bytes (a fifth of the
length of a row with its links); what it finds is compared again with the rows themselves.
"""

from __future__ import annotations

import math
import zlib
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.database import Database

if TYPE_CHECKING:
    from usearch.index import Index

EXPANSION = 64
"""Candidates kept while a graph of 100,000 is walked, at least: it finds all ten nearest. As many
more for each further factor of ten: of 1,000,000, 64 candidates find .96 of them, and 128 .997."""

_CONNECTIVITY = 16
_EXPANSION_ADD = 128

_REGIONS_EXPANSION_ADD = 48
"""Of a graph over regions, of which there are many: a shorter list builds faster, and
`benchmarks/region_cost.py` says what it finds."""

_READ = 1 << 24


def new_index(dim: int, *, regions: bool = False) -> Index:
    """An empty graph in memory, for the builder.

    Args:
        dim: of the vectors.
        regions: whether they are bytes already, each in a scale of its own: `RegionStore`.
    """
    from usearch.index import Index  # takes a tenth of a second

    return Index(
        ndim=dim,
        metric="cos" if regions else "ip",
        dtype="i8",
        connectivity=_CONNECTIVITY,
        expansion_add=_REGIONS_EXPANSION_ADD if regions else _EXPANSION_ADD,
        expansion_search=EXPANSION,
    )


def checksum(path: Path) -> int:
    """CRC-32 of a file; some three gigabytes a second."""
    value = 0
    with path.open("rb") as file:
        while piece := file.read(_READ):
            value = zlib.crc32(piece, value)
    return value


@dataclass(frozen=True, slots=True)
class GraphFile:
    """What the catalogue knows of a graph's file.

    Attributes:
        generation: of the vector file whose rows it covers.
        rows: how many of them, from the first on.
        name: of the file.
        bytes: its size.
        modified: when it was last found to be right, in nanoseconds since 1970.
        checksum: of its content.
    """

    generation: int
    rows: int
    name: str
    bytes: int
    modified: int
    checksum: int

    @classmethod
    def known(cls, database: Database, space: str) -> GraphFile | None:
        """The graph of a space, if there is one."""
        found = database.rows(
            "SELECT generation, rows, name, bytes, modified, checksum FROM graphs WHERE space = ?",
            (space,),
        )
        return cls(*found[0]) if found else None

    def is_sound(self, folder: Path, *, thoroughly: bool = False) -> bool:
        """Whether the file is what was written.

        Args:
            folder: it lies in.
            thoroughly: read all of it, even where size and time are those of a file that was right.
        """
        path = folder / self.name
        try:
            found = path.stat()
            if found.st_size != self.bytes:
                return False
            return (not thoroughly and found.st_mtime_ns == self.modified) or checksum(
                path
            ) == self.checksum
        except OSError:
            return False


class Graph:
    """A sound graph file, mapped; any thread may search.

    Args:
        path: of the file.
        dim: of its vectors.
        rows: how many it covers.
        regions: see `new_index`.

    Raises:
        RuntimeError: it is not a graph of such vectors.
    """

    def __init__(self, path: Path, dim: int, rows: int, *, regions: bool = False) -> None:
        self.rows = rows
        self._regions = regions
        self._path = path
        self._dim = dim
        # One mapping for each search at the same time: they share memory, but not the lists that
        # a walk fills.
        index = self._mapped()
        self._expansion = int(EXPANSION * max(1.0, math.log10(max(len(index), 1) / 10_000)))
        self._idle = deque([index])

    def _mapped(self) -> Index:
        index = new_index(self._dim, regions=self._regions)
        index.view(str(self._path))
        if index.ndim != self._dim:
            raise RuntimeError(f"{self._path} has vectors of {index.ndim} numbers")
        return index

    def search(
        self, vector: NDArray[np.float32] | NDArray[np.int8], count: int
    ) -> NDArray[np.int64]:
        """The keys nearest to a vector, ``(m,)`` ascending, ``m <= count``."""
        try:
            index = self._idle.pop()
        except IndexError:
            index = self._mapped()
        try:
            index.expansion_search = max(self._expansion, count)  # type: ignore[misc]
            return np.sort(index.search(vector, count, threads=1).keys.astype(np.int64))
        finally:
            self._idle.append(index)
