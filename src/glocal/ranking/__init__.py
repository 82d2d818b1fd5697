"""Re-rank the best candidates of a search and verify them by their local features."""

from glocal.ranking.reranking import (
    DEFAULT_RERANKING,
    DEFAULT_RERANKING_TOP,
    NO_RERANKING,
    TOP,
    Compare,
    LocalReranking,
    Rerank,
    Reranking,
    Transform,
    find_reranking,
)

__all__ = [
    "DEFAULT_RERANKING",
    "DEFAULT_RERANKING_TOP",
    "NO_RERANKING",
    "TOP",
    "Compare",
    "LocalReranking",
    "Rerank",
    "Reranking",
    "Transform",
    "find_reranking",
]
