"""MaxSim: how well a document's local descriptors cover a query's (late interaction).

Each descriptor of the query finds its best match in the document, and the matches are averaged, so
that the rest of a big image does not count against a small object in its corner.

Source: Khattab and Zaharia, ColBERT: Efficient and Effective Passage Search via Contextualized Late
Interaction over BERT, SIGIR 2020.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import RankingError
from glocal.ranking.checks import checked_rows

_BLOCK = 1 << 20
"""How many similarities are held at once: 4 MB of float32, which stay in the cache; 64 MB took
two and a half times as long."""


def max_similarity(query: ArrayLike, documents: Sequence[ArrayLike]) -> NDArray[np.float32]:
    """Exact MaxSim: the mean, over the query's descriptors, of each one's best similarity.

    It is the mean instead of the paper's sum, so that scores of different queries are comparable.

    Args:
        query: ``(m, e)`` descriptors of unit length.
        documents: Each ``(n, e)`` descriptors of unit length, with an ``n`` of its own.

    Returns:
        One float32 a document, in [-1, 1] (up to rounding); -1 where either has no descriptor.

    Raises:
        RankingError: Descriptors differ in length or are not finite.
    """
    scores: NDArray[np.float32] = max_similarities([query], documents)[0]
    return scores


def max_similarities(
    queries: Sequence[ArrayLike], documents: Sequence[ArrayLike]
) -> NDArray[np.float32]:
    """`max_similarity` of several queries with the same documents, ``(queries, documents)``."""
    query_rows = [checked_rows(query, "the query's descriptors") for query in queries]
    rows = [
        checked_rows(local, f"the descriptors of document {number}")
        for number, local in enumerate(documents)
    ]
    scores = np.full((len(query_rows), len(rows)), -1, np.float32)
    filled = [number for number, local in enumerate(rows) if len(local)]
    asking = [number for number, query in enumerate(query_rows) if len(query)]
    if not filled or not asking:
        return scores
    length = query_rows[asking[0]].shape[1]
    for what, number, local in (
        *(("query", number, query_rows[number]) for number in asking),
        *(("document", number, rows[number]) for number in filled),
    ):
        if local.shape[1] != length:
            raise RankingError(
                f"the query's descriptors have {length} numbers and those of {what} "
                f"{number} {local.shape[1]}: they are of different models"
            )
    together = np.concatenate([query_rows[number] for number in asking]).T
    first = np.cumsum([0, *(len(query_rows[number]) for number in asking[:-1])])
    counts = np.array([[len(query_rows[number])] for number in asking], np.float32)
    start = 0
    while start < len(filled):
        # As many documents at a time as the block holds; a very large one is scored alone.
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
