"""Which parts of two images answer each other: mutual nearest neighbours of descriptors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.errors import RankingError


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Pairs of parts that choose each other.

    Attributes:
        query: ``(n,)`` indices of the query's parts, rising.
        candidate: ``(n,)`` indices of the candidate's parts, each at most once.
        similarity: ``(n,)`` float32 cosine similarity of each pair.
    """

    query: NDArray[np.intp]
    candidate: NDArray[np.intp]
    similarity: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.query)


def mutual_nearest(
    query: NDArray[np.float32], candidate: NDArray[np.float32], minimum: float = -1.0
) -> Matches:
    """Match parts that are each other's most similar.

    Args:
        query: ``(m, e)`` descriptors of unit length; ``m`` may be 0.
        candidate: ``(k, e)`` of another image.
        minimum: pairs less similar than this are left out.

    Of equally similar parts the first is chosen, so blank or repeated texture gives few pairs.

    Raises:
        RankingError: the descriptors are of different lengths.
    """
    if not len(query) or not len(candidate):
        none = np.empty(0, np.intp)
        return Matches(none, none, np.empty(0, np.float32))
    if query.shape[1] != candidate.shape[1]:
        raise RankingError(
            f"the query's parts have {query.shape[1]} numbers, the candidate's "
            f"{candidate.shape[1]}: they are of different models or detectors"
        )
    table = query @ candidate.T
    answer, back = table.argmax(axis=1), table.argmax(axis=0)
    best = table[np.arange(len(query)), answer]
    mutual = np.flatnonzero((back[answer] == np.arange(len(query))) & (best >= minimum))
    return Matches(mutual, answer[mutual], best[mutual])


def mutual_score(matches: Matches) -> float:
    """How much two images' parts answer each other, without geometry (Lu et al., SelaVPR, 2024).

    The similarities of the mutual pairs, added up; SelaVPR counts the pairs. The sum says a little
    more where nearly every part finds some partner.
    """
    return float(matches.similarity.sum())
