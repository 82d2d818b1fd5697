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
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.database import Database

if TYPE_CHECKING:
    from usearch.index import Index

EXPANSION = 64
"""Candidates kept while a graph of 100,000 is walked, at least: it finds all ten nearest. As many
more for each further factor of ten: of 1,000,000, 64 candidates find .96 of them, and 128 .997."""

SIGNS_EXPANSION = 256
"""The same of a graph of signs, all of which are returned."""

_ROWS_OF_CANDIDATE = 8  # compared in the time that a walk takes for one more candidate
_SIGNS_COUNT = 2  # candidates for each that is wanted

GraphKind = Literal["floats", "bytes", "signs"]
"""What a graph holds of each vector: numbers that it makes bytes of itself, bytes in a scale of the
vector's own, or the sign of each number as one bit."""

SIGNS_FROM = 384
"""Numbers of a vector from which their signs alone may lead a walk to its nearest: with 512 they
take a third of the bytes of such a graph and are built in a sixth of the time. Whether they do is
tried before a graph is built, see `glocal.gallery.stores.coding.led_by_signs`."""

SIGNS_ENDING = "signs"
"""Of the name of a graph's file that holds signs."""

_CONNECTIVITY = 16
_SIGNS_CONNECTIVITY = 12
_EXPANSION_ADD = 128

_REGIONS_EXPANSION_ADD = 48
"""Of a graph over regions, of which there are many: a shorter list builds faster, and
`benchmarks/region_cost.py` says what it finds."""

_READ = 1 << 24


def new_index(dim: int, kind: GraphKind = "floats", *, regions: bool = False) -> Index:
    """An empty graph in memory, for the builder.

    Args:
        dim: of the vectors.
        kind: what it holds of them.
        regions: whether they are of regions, of which there are many.
    """
    from usearch.index import Index  # takes a tenth of a second

    signs = kind == "signs"
    return Index(
        ndim=8 * -(-dim // 8) if signs else dim,
        metric={"floats": "ip", "bytes": "cos", "signs": "hamming"}[kind],
        dtype="b1" if signs else "i8",
        connectivity=_SIGNS_CONNECTIVITY if signs else _CONNECTIVITY,
        expansion_add=_REGIONS_EXPANSION_ADD if regions else _EXPANSION_ADD,
        expansion_search=EXPANSION,
    )


def expansion_of(kind: GraphKind, count: int) -> int:
    """Candidates that a search keeps at least as it walks a graph of so many."""
    least = SIGNS_EXPANSION if kind == "signs" else EXPANSION
    return int(least * max(1.0, math.log10(max(count, 1) / 10_000)))


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

    @property
    def of_signs(self) -> bool:
        """Whether it holds signs."""
        return self.name.endswith(f".{SIGNS_ENDING}")

    @classmethod
    def known(cls, database: Database, space: str) -> GraphFile | None:
        """The graph of a space, if there is one."""
        found = database.rows(
            "SELECT generation, rows, name, bytes, modified, checksum FROM graphs WHERE space = ?",
            (space,),
        )
        return cls(*found[0]) if found else None

    def hidden(self, database: Database, space: str) -> NDArray[np.int64]:
        """The rows that it covers and that no walk reaches, ``(m,)`` ascending."""
        if not database.has_table("hidden"):  # of an archive of before
            return np.zeros(0, np.int64)
        sql = "SELECT rows FROM hidden WHERE space = ? AND name = ?"
        found = database.value(sql, (space, self.name))
        return np.frombuffer(found or b"", "<i8").astype(np.int64)

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


def kind_of(known: GraphFile, wanted: GraphKind) -> GraphKind:
    """What a graph holds whose store would have it of a kind, if signs led."""
    if known.of_signs:
        return "signs"
    return "bytes" if wanted == "signs" else wanted


class Graph:
    """A sound graph file, mapped; any thread may search.

    Args:
        path: of the file.
        dim: of its vectors.
        rows: how many it covers.
        kind: what it holds of them.
        regions: see `new_index`.
        hidden: rows that no walk reaches, ``(m,)`` ascending.

    Raises:
        RuntimeError: it is not a graph of such vectors.
    """

    def __init__(
        self,
        path: Path,
        dim: int,
        rows: int,
        kind: GraphKind,
        *,
        regions: bool = False,
        hidden: NDArray[np.int64] | None = None,
    ) -> None:
        self.rows = rows
        self.hidden = np.zeros(0, np.int64) if hidden is None else hidden[hidden < rows]
        self.kind: GraphKind = kind
        self._regions = regions
        self._path = path
        self._dim = dim
        # One mapping for each search at the same time: they share memory, but not the lists that
        # a walk fills.
        index = self._mapped()
        self._expansion = expansion_of(kind, len(index))
        self._idle = deque([index])

    def _mapped(self) -> Index:
        index = new_index(self._dim, self.kind, regions=self._regions)
        expected = index.ndim, index.dtype
        index.view(str(self._path))
        if (index.ndim, index.dtype) != expected:
            raise RuntimeError(f"{self._path} has vectors of {index.ndim} numbers")
        return index

    def search(self, point: NDArray[Any], count: int, *, allowed: float = 1.0) -> NDArray[np.int64]:
        """The keys nearest to a point, ``(m,)`` ascending; by signs more than are wanted.

        Args:
            point: ``(d,)``, in the way of the graph's kind.
            count: how many.
            allowed: the share of all keys that whoever asks can use. The fewer, the more
                candidates a walk keeps, up to what comparing all of them would cost.
        """
        most = int(allowed * self.rows) // _ROWS_OF_CANDIDATE
        expansion = max(self._expansion, min(int(self._expansion / allowed), most))
        try:
            index = self._idle.pop()
        except IndexError:
            index = self._mapped()
        try:
            if self.kind == "signs":  # they say little: whoever asks compares again what is found
                count = max(expansion, _SIGNS_COUNT * count)
            index.expansion_search = max(expansion, count)  # type: ignore[misc]
            return np.sort(index.search(point, count, threads=1).keys.astype(np.int64))
        finally:
            self._idle.append(index)
