"""The ways to re-rank, by name, of three kinds.

A re-ranking sees a query and its best candidates' vectors only, so that its cost is bounded
whatever the gallery's size; one by parts sees their local features instead. A gallery transform is
made once over all vectors, before queries; as a re-ranking it is made over the candidates alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.encoders import LocalFeatures
from glocal.errors import RankingError
from glocal.ranking.alpha_expansion import alpha_query_expansion
from glocal.ranking.average_expansion import average_query_expansion
from glocal.ranking.b_attention import b_attention
from glocal.ranking.checks import checked_pair
from glocal.ranking.database_augmentation import augment_database
from glocal.ranking.diffusion import diffusion
from glocal.ranking.inverse_convolution import spread_apart
from glocal.ranking.k_reciprocal import k_reciprocal
from glocal.ranking.matching import mutual_nearest, mutual_score
from glocal.ranking.muvera import max_similarity
from glocal.ranking.superglobal import superglobal

TOP = 400
"""How many candidates are re-ranked by default: the paper of SuperGlobal's number."""

DEFAULT_RERANKING = "dba"
"""What a second look begins with, if nothing else is asked for."""

DEFAULT_RERANKING_TOP = 200
"""Of how many candidates: 400 take twice as long and make no first answer better."""

NO_RERANKING = "none"
"""The name of leaving the vectors' order alone."""


class Rerank(Protocol):
    """Scores a query's candidates anew.

    Vectors of any length are compared by their direction. The scores do not depend on the order of
    the candidates, equal candidates get equal scores, and none is left out. They are comparable
    within one call only: what was not among the candidates stays below them.
    """

    def __call__(self, query: ArrayLike, candidates: ArrayLike, /) -> NDArray[np.float32]:
        """``(d,)`` and ``(m, d)`` to ``(m,)`` float32, higher is better."""
        ...


class Transform(Protocol):
    """Changes a gallery's vectors, of which queries are then asked as before."""

    def __call__(self, vectors: ArrayLike, /) -> NDArray[np.float32]:
        """``(n, d)`` to ``(n, d)`` float32 of unit length, in the same order."""
        ...


class Compare(Protocol):
    """Scores how well a candidate's local features answer a query's; it may have none."""

    def __call__(self, query: LocalFeatures, candidate: LocalFeatures, /) -> float:
        """Higher is better, comparable within one query."""
        ...


@dataclass(frozen=True, slots=True)
class Reranking:
    """A re-ranking of the best candidates.

    Attributes:
        name: by which it is chosen.
        source: the paper, in a line.
        rerank: the function; its keywords are in its own docstring.
    """

    name: str
    source: str
    rerank: Rerank


@dataclass(frozen=True, slots=True)
class LocalReranking:
    """A re-ranking of the best candidates by their local features.

    Attributes:
        name: by which it is chosen.
        source: the paper, in a line.
        compare: the function.
    """

    name: str
    source: str
    compare: Compare


@dataclass(frozen=True, slots=True)
class GalleryTransform:
    """A transform of a whole gallery's vectors.

    Attributes:
        name: by which it is chosen.
        source: the paper, in a line.
        transform: the function; its keywords are in its own docstring.
    """

    name: str
    source: str
    transform: Transform


def among_candidates(transform: Transform) -> Rerank:
    """A gallery transform made of the candidates alone, as if they were all there is."""

    def rerank(query: ArrayLike, candidates: ArrayLike, **settings: Any) -> NDArray[np.float32]:
        asked, rows = checked_pair(query, candidates)
        return np.asarray(transform(rows, **settings) @ asked, np.float32)

    return rerank


def mutual(query: LocalFeatures, candidate: LocalFeatures) -> float:
    """The similarities of the parts that choose each other, added up; no geometry is asked."""
    return mutual_score(mutual_nearest(query.descriptors, candidate.descriptors))


def maxsim(query: LocalFeatures, candidate: LocalFeatures) -> float:
    """The mean, over the query's parts, of each one's best similarity."""
    return float(max_similarity(query.descriptors, [candidate.descriptors])[0])


RERANKINGS: Mapping[str, Reranking] = MappingProxyType(
    {
        each.name: each
        for each in (
            Reranking("aqe", "Chum et al., Total Recall, ICCV 2007", average_query_expansion),
            Reranking("alpha-qe", "Radenovic et al., PAMI 2019", alpha_query_expansion),
            Reranking("superglobal", "Shao et al., ICCV 2023", superglobal),
            Reranking("k-reciprocal", "Zhong et al., CVPR 2017", k_reciprocal),
            Reranking("diffusion", "Iscen et al., CVPR 2017", diffusion),
            Reranking("b-attention", "Wang et al., NeurIPS 2022", b_attention),
            Reranking(
                "dba", "Turcot and Lowe, ICCV workshops 2009", among_candidates(augment_database)
            ),
            Reranking("invgc", "Jian and Wang, EMNLP 2023", among_candidates(spread_apart)),
        )
    }
)

LOCAL_RERANKINGS: Mapping[str, LocalReranking] = MappingProxyType(
    {
        each.name: each
        for each in (
            LocalReranking("mutual", "Lu et al., SelaVPR, ICLR 2024", mutual),
            LocalReranking("maxsim", "Khattab and Zaharia, ColBERT, SIGIR 2020", maxsim),
        )
    }
)

GALLERY_TRANSFORMS: Mapping[str, GalleryTransform] = MappingProxyType(
    {
        each.name: each
        for each in (
            GalleryTransform("dba", "Turcot and Lowe, ICCV workshops 2009", augment_database),
            GalleryTransform("invgc", "Jian and Wang, EMNLP 2023", spread_apart),
        )
    }
)


def find_reranking(name: str) -> Reranking | LocalReranking:
    """The re-ranking of that name, by vectors or by parts.

    Raises:
        RankingError: there is none.
    """
    methods: dict[str, Reranking | LocalReranking] = {**RERANKINGS, **LOCAL_RERANKINGS}
    if name not in methods:
        known = ", ".join(methods)
        raise RankingError(
            f"there is no re-ranking {name!r}; choose of {known} or, for none, {NO_RERANKING}"
        )
    return methods[name]


def find_gallery_transform(name: str) -> GalleryTransform:
    """The gallery transform of that name.

    Raises:
        RankingError: there is none.
    """
    if name not in GALLERY_TRANSFORMS:
        known = ", ".join(GALLERY_TRANSFORMS)
        raise RankingError(f"there is no gallery transform {name!r}; choose of {known}")
    return GALLERY_TRANSFORMS[name]
