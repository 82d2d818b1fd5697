"""MUVERA: an image's local descriptors as one vector that an ordinary index can search.

MaxSim (`glocal.ranking.maxsim`) compares sets of descriptors and cannot be indexed. A
fixed-dimension encoding can: the inner product of a query's and a document's encoding approximates
their MaxSim. Search by the encodings, then score the results exactly with `max_similarity`.

Descriptors match at about the same scale only, so a small object needs a query encoded at a small
scale too. The smaller the share of a document's descriptors that are on the object, the more the
averages of the encoding hide them (`benchmarks/reranking.py` measures both).

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


@dataclass(frozen=True, slots=True)
class FixedEncoding:
    """How descriptors become one vector; encodings are comparable only if all of this is equal.

    Random planes divide space into cells, several times over. In each cell a query's descriptors
    are summed and a document's are averaged, so that each of the query's is multiplied with the
    average of those that lie on the same side of every plane. An empty cell of a document takes
    the average of the descriptors that are across the fewest planes.

    Attributes:
        descriptor_dim: Length of a descriptor, ``e``.
        repetitions: How often space is divided anew; more is closer to MaxSim and longer.
        planes: Number of planes in each repetition; there are ``2 ** planes`` cells.
        width: Length to which a descriptor is projected by random signs before it is encoded;
            None keeps it whole, which was closer to MaxSim at equal length for 48 numbers.
        seed: Seed of the planes and signs. They are the same in every version of NumPy.
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
                f"be too long; use at most {_MAX_BITS} planes and {_MAX_DIM} numbers in all"
            )

    @property
    def dim(self) -> int:
        """Length of an encoding."""
        return self.repetitions * (1 << self.planes) * (self.width or self.descriptor_dim)

    def encode_query(self, descriptors: ArrayLike) -> NDArray[np.float32]:
        """Encode a query.

        Args:
            descriptors: ``(m, e)``; ``m`` may be 0, which gives zeros.

        Returns:
            ``(dim,)`` float32. Its inner product with a document's encoding approximates
            `glocal.ranking.maxsim.max_similarity`, from below.

        Raises:
            RankingError: A descriptor has another length or is not finite.
        """
        local = self._checked(descriptors, "the query's descriptors")
        if not len(local):
            return np.zeros(self.dim, np.float32)
        cells, projected = self._placed(local)
        inside = cells[:, None] == np.arange(1 << self.planes)[:, None]
        sums: NDArray[np.float32] = (inside.astype(np.float32) @ projected).ravel()
        return sums / np.float32(len(local) * self.repetitions)

    def encode_documents(self, documents: Sequence[ArrayLike]) -> NDArray[np.float32]:
        """Encode documents.

        Args:
            documents: Each ``(m, e)``, with an ``m`` of its own that may be 0.

        Returns:
            ``(n, dim)`` float32.

        Raises:
            RankingError: A descriptor has another length or is not finite.
        """
        encoded = np.zeros((len(documents), self.dim), np.float32)
        differing = _planes_between(self.planes)
        for number, descriptors in enumerate(documents):
            local = self._checked(descriptors, f"the descriptors of document {number}")
            if not len(local):
                continue
            cells, projected = self._placed(local)
            apart = differing[:, cells].transpose(1, 0, 2)
            closest = (apart == apart.min(axis=2, keepdims=True)).astype(np.float32)
            averages = (closest @ projected) / closest.sum(axis=2, keepdims=True)
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
        projected = (local @ signs).reshape(len(local), self.repetitions, -1)
        return cells.T, projected.transpose(1, 0, 2)


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
