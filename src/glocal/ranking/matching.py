"""Match the local features of two images: mutual nearest neighbours of descriptors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.errors import RankingError


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """Mutual nearest neighbours among the local features of two images.

    Attributes:
        query: ``(n,)`` indices of the query's local features, rising.
        candidate: ``(n,)`` indices of the candidate's, each at most once.
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
    """Match descriptors that are each other's nearest neighbours.

    Args:
        query: ``(m, e)`` descriptors of unit length; ``m`` may be 0.
        candidate: ``(k, e)`` descriptors of another image.
        minimum: Pairs less similar than this are left out.

    Of equally similar descriptors the first is chosen, so that blank or repeated texture gives few
    pairs.

    Raises:
        RankingError: The descriptors differ in length.
    """
    if not len(query) or not len(candidate):
        none = np.empty(0, np.intp)
        return Matches(none, none, np.empty(0, np.float32))
    if query.shape[1] != candidate.shape[1]:
        raise RankingError(
            f"the query's descriptors have {query.shape[1]} numbers and the candidate's "
            f"{candidate.shape[1]}: they come from different models or "
            "detectors; detect both images with the same one"
        )
    table = query @ candidate.T
    nearest = table.argmax(axis=1)
    best = table[np.arange(len(query)), nearest]
    # The greatest of each column, which takes a fraction of the time of where it is.
    mutual = np.flatnonzero((best == table.max(axis=0)[nearest]) & (best >= minimum))
    first = np.sort(np.unique(nearest[mutual], return_index=True)[1])
    mutual = mutual[first]
    return Matches(mutual, nearest[mutual], best[mutual])


def mutual_score(matches: Matches) -> float:
    """How well two images' local features match, without geometry (Lu et al., SelaVPR, 2024).

    It is the sum of the similarities of the matches. SelaVPR counts the matches; the sum tells a
    little more where nearly every local feature finds a match.
    """
    return float(matches.similarity.sum())
