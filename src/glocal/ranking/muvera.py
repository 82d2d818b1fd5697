"""MUVERA: an image's local descriptors as one vector that an ordinary index can search.

The similarity of two sets of descriptors is MaxSim: each descriptor of the query finds its best
match in the document, and the matches are averaged. The rest of a big image does not count
against a small object in its corner, but MaxSim cannot be indexed. A fixed-dimension encoding can:
the inner product of a query's and a document's encoding approximates their MaxSim. Search for it,
then score what was found exactly with `max_similarity`.

Descriptors match at about the same scale only, so a small object is found by a query encoded small
too; and the fewer of a document's descriptors are meant, the more the encoding's averages drown
them (`benchmarks/reranking.py` measures both).

Source: Dhulipala, Hadian, Jayaram, Lee, Mirrokni, MUVERA: Multi-Vector Retrieval via Fixed
Dimensional Encodings, NeurIPS 2024.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import RankingError
from glocal.ranking.checks import checked_count, checked_rows

_MAX_BITS = 10
_MAX_DIM = 1 << 20
_BLOCK = 1 << 20
"""How many similarities are held at once: 4 MB of float32, which stay in the cache; 64 MB took
two and a half times as long."""


@dataclass(frozen=True, slots=True)
class FixedEncoding:
    """How descriptors become one vector; encodings compare only if all of this is equal.

    Space is cut by random planes into cells, several times over. A query's descriptors are summed
    in each cell, a document's are averaged, so that each of the query's meets the average of those
    that lie on the same side of every plane. A document's empty cell takes the average of its
    descriptors across the fewest planes.

    Attributes:
        descriptor_dim: numbers of a descriptor, ``e``.
        repetitions: how often space is cut anew; more is closer to MaxSim and longer.
        planes: in each repetition; there are ``2 ** planes`` cells.
        width: numbers a descriptor is projected to by random signs before it is encoded; None
            leaves it whole, which was closer to MaxSim at equal length for 48 numbers.
        seed: of the planes and signs. Their stream is the same in every version of NumPy.
    """

    descriptor_dim: int
    repetitions: int = 8
    planes: int = 3
    width: int | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("descriptor_dim", "repetitions", "planes"):
            checked_count(getattr(self, name), name)
        if self.width is not None:
            checked_count(self.width, "width")
        if self.planes > _MAX_BITS or self.dim > _MAX_DIM:
            raise RankingError(
                f"an encoding with {self.planes} planes and {self.repetitions} repetitions would "
                f"be too long; use up to {_MAX_BITS} planes and {_MAX_DIM} numbers in all"
            )

    @property
    def dim(self) -> int:
        """Length of an encoding."""
        return self.repetitions * (1 << self.planes) * (self.width or self.descriptor_dim)

    def encode_query(self, descriptors: ArrayLike) -> NDArray[np.float32]:
        """Encode a query.

        Args:
            descriptors: ``(m, e)``; ``m`` may be 0, which encodes to zeros.

        Returns:
            ``(dim,)`` float32. Its inner product with a document's encoding approximates
            `max_similarity`, from below.

        Raises:
            RankingError: a descriptor has another length or is not finite.
        """
        local = self._checked(descriptors, "the query's descriptors")
        if not len(local):
            return np.zeros(self.dim, np.float32)
        cells, parts = self._placed(local)
        inside = cells[:, None] == np.arange(1 << self.planes)[:, None]
        sums: NDArray[np.float32] = (inside.astype(np.float32) @ parts).ravel()
        return sums / np.float32(len(local) * self.repetitions)

    def encode_documents(self, documents: Sequence[ArrayLike]) -> NDArray[np.float32]:
        """Encode documents.

        Args:
            documents: each ``(m, e)``, with an ``m`` of its own that may be 0.

        Returns:
            ``(n, dim)`` float32.

        Raises:
            RankingError: a descriptor has another length or is not finite.
        """
        encoded = np.zeros((len(documents), self.dim), np.float32)
        differing = _planes_between(self.planes)
        for number, descriptors in enumerate(documents):
            local = self._checked(descriptors, f"the descriptors of document {number}")
            if not len(local):
                continue
            cells, parts = self._placed(local)
            apart = differing[:, cells].transpose(1, 0, 2)
            closest = (apart == apart.min(axis=2, keepdims=True)).astype(np.float32)
            averages = (closest @ parts) / closest.sum(axis=2, keepdims=True)
            encoded[number] = averages.ravel()
        return encoded

    def _checked(self, descriptors: ArrayLike, what: str) -> NDArray[np.float32]:
        local = checked_rows(descriptors, what)
        if len(local) and local.shape[1] != self.descriptor_dim:
            raise RankingError(
                f"{what} have {local.shape[1]} numbers each; the encoding is made for "
                f"{self.descriptor_dim}: they are of different models"
            )
        return local

    def _placed(self, local: NDArray[np.float32]) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
        """Cell ``(repetitions, m)`` and projection ``(repetitions, m, width)`` of each."""
        normals, signs = _drawn(self)
        sides = (local @ normals > 0).reshape(len(local), self.repetitions, self.planes)
        cells = sides @ (1 << np.arange(self.planes))
        if signs is None:
            return cells.T, np.broadcast_to(local, (self.repetitions, *local.shape))
        parts = (local @ signs).reshape(len(local), self.repetitions, -1)
        return cells.T, parts.transpose(1, 0, 2)


def max_similarity(query: ArrayLike, documents: Sequence[ArrayLike]) -> NDArray[np.float32]:
    """Exact MaxSim: the mean, over the query's descriptors, of each one's best similarity.

    The mean instead of the paper's sum, so that scores of different queries compare.

    Args:
        query: ``(m, e)`` descriptors of unit length.
        documents: each ``(n, e)`` descriptors of unit length, with an ``n`` of its own.

    Returns:
        One float32 a document, in [-1, 1] (up to rounding); -1 where either has no descriptor.

    Raises:
        RankingError: descriptors differ in length or are not finite.
    """
    scores: NDArray[np.float32] = max_similarities([query], documents)[0]
    return scores


def max_similarities(
    queries: Sequence[ArrayLike], documents: Sequence[ArrayLike]
) -> NDArray[np.float32]:
    """`max_similarity` of several queries with the same documents, ``(queries, documents)``."""
    asked = [checked_rows(query, "the query's descriptors") for query in queries]
    rows = [
        checked_rows(local, f"the descriptors of document {number}")
        for number, local in enumerate(documents)
    ]
    scores = np.full((len(asked), len(rows)), -1, np.float32)
    filled = [number for number, local in enumerate(rows) if len(local)]
    asking = [number for number, query in enumerate(asked) if len(query)]
    if not filled or not asking:
        return scores
    length = asked[asking[0]].shape[1]
    for what, number, local in (
        *(("query", number, asked[number]) for number in asking),
        *(("document", number, rows[number]) for number in filled),
    ):
        if local.shape[1] != length:
            raise RankingError(
                f"the query's descriptors have {length} numbers and those of {what} "
                f"{number} {local.shape[1]}: they are of different models"
            )
    together = np.concatenate([asked[number] for number in asking]).T
    first = np.cumsum([0, *(len(asked[number]) for number in asking[:-1])])
    counts = np.array([[len(asked[number])] for number in asking], np.float32)
    start = 0
    while start < len(filled):
        # As many documents at a time as memory is set aside for; a huge one comes alone.
        end, held = start + 1, len(rows[filled[start]])
        while end < len(filled):
            held += len(rows[filled[end]])
            if held * together.shape[1] > _BLOCK:
                break
            end += 1
        block = [rows[number] for number in filled[start:end]]
        similar = np.concatenate(block) @ together
        starts = np.cumsum([0, *(len(local) for local in block[:-1])])
        best = np.maximum.reduceat(similar, starts, axis=0)
        means = np.add.reduceat(best, first, axis=1).T / counts
        scores[np.ix_(asking, filled[start:end])] = means
        start = end
    return scores


@lru_cache(maxsize=8)
def _drawn(
    encoding: FixedEncoding,
) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """The planes' normals and the signs of an encoding."""
    # Not default_rng: NumPy may change what a Generator draws, and encodings are stored on disk.
    random = np.random.RandomState(encoding.seed)
    e, repetitions = encoding.descriptor_dim, encoding.repetitions
    normals = random.standard_normal((e, repetitions * encoding.planes)).astype(np.float32)
    if encoding.width is None:
        return normals, None
    signs = random.randint(0, 2, (e, repetitions * encoding.width)) * 2 - 1
    return normals, (signs / np.sqrt(encoding.width)).astype(np.float32)


@lru_cache(maxsize=_MAX_BITS)
def _planes_between(planes: int) -> NDArray[np.uint8]:
    """Between each two cells, how many planes: the bits in which their numbers differ."""
    cells = np.arange(1 << planes, dtype=np.uint16)
    differing = cells[:, None] ^ cells
    counts: NDArray[np.uint8] = (differing[..., None] >> np.arange(planes) & 1).sum(
        axis=-1, dtype=np.uint8
    )
    return counts
