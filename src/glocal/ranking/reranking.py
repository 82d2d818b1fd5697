"""What a re-ranking is, and the re-ranking of a name.

A re-ranking sees a query and its best candidates only, so that its cost is bounded whatever the
gallery's size. One kind sees their vectors, the other their local features. A gallery transform
is made once over all vectors, before any query; applied to the candidates alone it is a
re-ranking too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.encoders.features import LocalFeatures
from glocal.ranking.checks import checked_pair
from glocal.ranking.database_augmentation import augment_database
from glocal.ranking.inverse_convolution import spread_apart
from glocal.ranking.matching import mutual_nearest, mutual_score
from glocal.ranking.maxsim import max_similarity
from glocal.registry import part

TOP = 400
"""How many candidates are re-ranked by default: the number of SuperGlobal's paper."""

DEFAULT_RERANKING = "dba"
"""The re-ranking before a geometric verification where none is named."""

DEFAULT_RERANKING_TOP = 200
"""How many candidates it re-ranks: 400 take twice as long and do not improve the first hit."""

NO_RERANKING = "none"
"""The name that leaves the order of the vectors as it is."""

LOCAL = "local-features"
"""The trait of a re-ranking that compares local features."""


class Rerank(Protocol):
    """Scores a query's candidates anew by their vectors.

    Vectors of any length are compared by their direction. The scores do not depend on the order of
    the candidates, equal candidates get equal scores, and none is left out. They are comparable
    within one call only; what was not among the candidates stays below them.
    """

    def __call__(self, query: ArrayLike, candidates: ArrayLike, /) -> NDArray[np.float32]:
        """``(d,)`` and ``(m, d)`` to ``(m,)`` float32, higher is better."""
        ...


class Compare(Protocol):
    """Scores how well a candidate's local features match a query's; either may have none."""

    def __call__(self, query: LocalFeatures, candidate: LocalFeatures, /) -> float:
        """Higher is better; comparable within one query."""
        ...


class Transform(Protocol):
    """Changes all vectors of a gallery, which is then searched as before."""

    def __call__(self, vectors: ArrayLike, /) -> NDArray[np.float32]:
        """``(n, d)`` to ``(n, d)`` float32 of unit length, in the same order."""
        ...


@dataclass(frozen=True, slots=True)
class Reranking:
    """A re-ranking of the best candidates by their vectors.

    Attributes:
        name: Its name in the registry.
        rerank: The function; its keywords are described in its own docstring.
    """

    name: str
    rerank: Rerank


@dataclass(frozen=True, slots=True)
class LocalReranking:
    """A re-ranking of the best candidates by their local features.

    Attributes:
        name: Its name in the registry.
        compare: The function.
    """

    name: str
    compare: Compare


def find_reranking(name: str) -> Reranking | LocalReranking:
    """Load the re-ranking of that name.

    Raises:
        MissingExtraError: It needs a package that is not installed.
        PartError: There is none; the text names those there are.
    """
    row = part("reranker", name)
    return LocalReranking(name, row.load()) if LOCAL in row.traits else Reranking(name, row.load())


def augmented_candidates(
    query: ArrayLike, candidates: ArrayLike, **settings: Any
) -> NDArray[np.float32]:
    """Similarity to the candidates after database augmentation among them.

    Its settings are those of `glocal.ranking.database_augmentation.augment_database`.
    """
    vector, rows = checked_pair(query, candidates)
    return np.asarray(augment_database(rows, **settings) @ vector, np.float32)


def spread_candidates(
    query: ArrayLike, candidates: ArrayLike, **settings: Any
) -> NDArray[np.float32]:
    """Similarity to the candidates after inverse graph convolution among them.

    Its settings are those of `glocal.ranking.inverse_convolution.spread_apart`.
    """
    vector, rows = checked_pair(query, candidates)
    return np.asarray(spread_apart(rows, **settings) @ vector, np.float32)


def mutual(query: LocalFeatures, candidate: LocalFeatures) -> float:
    """Sum of the similarities of mutual nearest neighbours, without geometry."""
    return mutual_score(mutual_nearest(query.descriptors, candidate.descriptors))


def maxsim(query: LocalFeatures, candidate: LocalFeatures) -> float:
    """Mean, over the query's local features, of each one's best similarity."""
    return float(max_similarity(query.descriptors, [candidate.descriptors])[0])
