"""How a vector lies in its row: as float16, or as bytes in parts of its greatest number.

Galleries of version 1 of the store have float16, those of later ones bytes. Vectors are of unit
length, so that bytes say their direction and nothing else is lost; what was found by comparing
bytes with bytes is compared once more with the query as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Protocol

import numpy as np
import simsimd
from numpy.typing import NDArray

from glocal.gallery.stores.graph import SIGNS_FROM, GraphKind

Floats = NDArray[np.float32]
Codes = NDArray[np.int8]

_SCALE = np.dtype("<f4")

_NEAREST = 10
"""Share of the ten nearest that signs have to bring among the nearest sixtieth: of the bundled
model's vectors it is .99, of evenly positive ones .01."""


class Coding(Protocol):
    """A way to keep vectors in rows."""

    @property
    def ending(self) -> str:
        """Of the files' names."""
        ...

    def row(self, dim: int) -> np.dtype[Any]:
        """The type of a row that holds a vector of so many numbers."""
        ...

    def coded(self, vectors: Floats) -> NDArray[Any]:
        """Rows of vectors ``(n, d)`` of unit length."""
        ...

    def vectors(self, rows: NDArray[Any]) -> Floats:
        """The vectors in rows, ``(n, d)``."""
        ...

    def query(self, vector: Floats) -> NDArray[Any]:
        """A vector ``(d,)`` as `dots` compares it with rows."""
        ...

    def dots(self, query: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.floating[Any]]:
        """Dot products with the vectors in rows, ``(n,)``, but for rounding."""
        ...

    def graph_kind(self, dim: int) -> GraphKind:
        """What a graph over such rows holds of them."""
        ...

    def points(self, rows: NDArray[Any], kind: GraphKind) -> NDArray[Any]:
        """What such a graph holds of rows."""
        ...


class _Halves:
    """Two bytes a number."""

    ending = "f16"

    def row(self, dim: int) -> np.dtype[Any]:
        return np.dtype(("<f2", (dim,)))

    def coded(self, vectors: Floats) -> NDArray[Any]:
        return vectors.astype("<f2")

    def vectors(self, rows: NDArray[Any]) -> Floats:
        return rows.astype(np.float32)

    def query(self, vector: Floats) -> NDArray[Any]:
        return vector.astype(np.float16)[None]

    def dots(self, query: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.floating[Any]]:
        compared = np.asarray(simsimd.cdist(query, rows, metric="dot"))
        return np.asarray(compared[0])

    def graph_kind(self, dim: int) -> GraphKind:
        return "floats"

    def points(self, rows: NDArray[Any], kind: GraphKind) -> NDArray[Any]:
        return rows


class _Bytes:
    """One byte a number, and behind them one over their length, as float32."""

    ending = "i8"

    def row(self, dim: int) -> np.dtype[Any]:
        return np.dtype(("i1", (dim + _SCALE.itemsize,)))

    def coded(self, vectors: Floats) -> NDArray[Any]:
        codes = in_bytes(vectors)
        lengths = np.linalg.norm(codes.astype(np.float32), axis=1, keepdims=True)
        scale = np.where(lengths > 0, 1 / np.maximum(lengths, 1), 0).astype(_SCALE)
        return np.concatenate([codes, scale.view(np.int8)], axis=1)

    def vectors(self, rows: NDArray[Any]) -> Floats:
        # Of unit length whatever became of the scale on the disk.
        return unit_vectors(rows[:, : -_SCALE.itemsize])

    def query(self, vector: Floats) -> NDArray[Any]:
        return self.coded(np.asarray(vector, np.float32)[None])

    def dots(self, query: NDArray[Any], rows: NDArray[Any]) -> NDArray[np.floating[Any]]:
        end = rows.shape[1] - _SCALE.itemsize
        compared = np.asarray(simsimd.cdist(query[:, :end], rows[:, :end], metric="dot"))[0]
        scale = np.ascontiguousarray(rows[:, end:]).view(_SCALE)[:, 0]
        with np.errstate(over="ignore", invalid="ignore"):  # of damaged rows
            return np.asarray(compared * scale * query[0, end:].view(_SCALE)[0])

    def graph_kind(self, dim: int) -> GraphKind:
        return "signs" if dim >= SIGNS_FROM else "bytes"

    def points(self, rows: NDArray[Any], kind: GraphKind) -> NDArray[Any]:
        codes = rows[:, : -_SCALE.itemsize]
        if kind == "signs":
            return signs(codes)
        return np.ascontiguousarray(codes)


HALVES: Coding = _Halves()
BYTES: Coding = _Bytes()
CODINGS = {1: HALVES, 2: BYTES, 3: BYTES, 4: BYTES, 5: BYTES}
"""By the version of the store that a gallery's description names."""


def in_bytes(vectors: Floats) -> Codes:
    """Vectors ``(..., d)`` as bytes: in parts of the greatest number of each."""
    greatest = np.abs(vectors).max(axis=-1, keepdims=True)
    return np.asarray(np.rint(vectors * (127 / np.maximum(greatest, 1e-12))), np.int8)


def signs(codes: Codes) -> NDArray[np.uint8]:
    """The sign of each number as a bit, ``(n, ceil(d / 8))``."""
    return np.packbits(codes > 0, axis=1)


def led_by_signs(some: Codes, pieces: Callable[[], Iterable[Codes]], candidates: int) -> float:
    """How many of the ten nearest of vectors their signs lead to, tried with some among all.

    They lead where numbers are as often below zero as above. Those of a model without negative
    numbers all have one sign, which leads nowhere. Tried among few vectors signs seem to lead less
    than they do: the nearest of a few are hardly nearer than others.

    Args:
        some: ``(t, d)`` bytes of some of the vectors, whose nearest are looked for.
        pieces: gives all vectors each time that it is called, ``(n, d)`` bytes a piece.
        candidates: how many a search compares that was led by signs.

    Returns:
        A share, from 0 to 1.
    """
    asked, asked_signs = unit_vectors(some), _plus_minus(some)
    nearest = np.full((len(some), _NEAREST + 1), -np.inf, np.float32)
    alike = np.zeros_like(nearest)
    for codes in pieces():
        both = np.hstack([nearest, asked @ unit_vectors(codes).T])
        both_alike = np.hstack([alike, asked_signs @ _plus_minus(codes).T])
        best = np.argpartition(-both, _NEAREST, axis=1)[:, : _NEAREST + 1]
        nearest, alike = (np.take_along_axis(each, best, axis=1) for each in (both, both_alike))
    order = np.argsort(-nearest, axis=1)[:, 1:]  # but for itself
    wanted = np.take_along_axis(alike, order, axis=1)[:, None]
    before = np.zeros((len(some), _NEAREST))
    for codes in pieces():
        found = (asked_signs @ _plus_minus(codes).T)[:, :, None]
        before += (found > wanted).sum(axis=1) + (found == wanted).sum(axis=1) / 2
    return float((before <= candidates).mean())


def _plus_minus(codes: Codes) -> Floats:
    """Signs as numbers, whose products count what is the same less what is not."""
    return np.where(codes > 0, np.float32(1), np.float32(-1))


def unit_vectors(codes: Codes) -> Floats:
    """Bytes ``(..., d)`` as vectors of unit length; zeros stay zeros."""
    vectors = codes.astype(np.float32)
    lengths = np.sqrt(np.einsum("...d,...d->...", vectors, vectors))
    vectors /= np.maximum(lengths, 1e-12)[..., None]
    return vectors
