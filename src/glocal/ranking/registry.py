"""The neighbour-based methods by name, of two kinds.

A re-ranking sees a query and its best candidates' vectors only, so that its cost is bounded
whatever the gallery's size. A gallery transform is made once over all vectors, before queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import RankingError
from glocal.ranking.alpha_expansion import alpha_query_expansion
from glocal.ranking.average_expansion import average_query_expansion
from glocal.ranking.b_attention import b_attention
from glocal.ranking.database_augmentation import augment_database
from glocal.ranking.diffusion import diffusion
from glocal.ranking.inverse_convolution import spread_apart
from glocal.ranking.k_reciprocal import k_reciprocal
from glocal.ranking.superglobal import superglobal

TOP = 400
"""How many candidates are re-ranked by default: the paper of SuperGlobal's number."""


_Method = TypeVar("_Method")


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


def find_reranking(name: str) -> Reranking:
    """The re-ranking of that name.

    Raises:
        RankingError: there is none.
    """
    return _found(RERANKINGS, name, "re-ranking")


def find_gallery_transform(name: str) -> GalleryTransform:
    """The gallery transform of that name.

    Raises:
        RankingError: there is none.
    """
    return _found(GALLERY_TRANSFORMS, name, "gallery transform")


def _found(methods: Mapping[str, _Method], name: str, kind: str) -> _Method:
    try:
        return methods[name]
    except KeyError:
        raise RankingError(f"there is no {kind} {name!r}; choose of {', '.join(methods)}") from None
