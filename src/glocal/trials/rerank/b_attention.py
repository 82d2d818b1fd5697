"""B-Attention's similarity of neighbourhoods improves retrieval and clustering over cosine."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from glocal.ranking.b_attention import b_attention
from glocal.trials import Claim, Lab
from glocal.trials.data import mean_ap_of_scores
from glocal.trials.vectors import Floats, mean_vector, pixel_vectors, reranked

CLAIM = Claim(
    measured="mAP of digits, the best 100 re-ranked by B-Attention",
    baseline="mAP by cosine similarity",
    unit="points",
    comparison=">",
    margin=1.0,
    seeds=5,
)


def method(lab: Lab) -> float:
    """Settings are chosen on validation images; edges by both similarities are clustered."""
    data = lab.digits(8)
    mean = mean_vector(data.train.images)
    seen, labels = pixel_vectors(data.validation.images, mean), data.validation.labels

    def scores(neighbours: int, vectors: Floats, count: int = 100) -> NDArray[np.floating]:
        return reranked(vectors, partial(b_attention, neighbours=neighbours), count=count)

    best = lab.choose(
        (15, 30), lambda k: mean_ap_of_scores(scores(k, seen), labels), on="validation"
    )
    if lab.seed == 0:
        few = seen[:200]
        plain = _clustering(reranked(few, _by_cosine, count=199), labels[:200])
        rebuilt = _clustering(scores(best, few, count=199), labels[:200])
        lab.check(
            "mutual information of clusters and classes above that by cosine edges",
            rebuilt - plain,
            ">",
            0,
        )
    vectors = pixel_vectors(data.test.images, mean)
    return data.test.mean_ap_of_scores(scores(best, vectors))


def baseline(lab: Lab) -> float:
    """The same candidates in the order of their cosine."""
    data = lab.digits(8)
    vectors = pixel_vectors(data.test.images, mean_vector(data.train.images))
    return data.test.mean_ap_of_scores(reranked(vectors, _by_cosine))


def _by_cosine(query: Floats, candidates: Floats) -> Floats:
    return candidates @ query


def _clustering(scores: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    """Normalised mutual information of the classes and ten clusters of a graph of ten edges."""
    from sklearn.cluster import SpectralClustering
    from sklearn.metrics import normalized_mutual_info_score

    edges = np.zeros_like(scores)
    nearest = np.argsort(-scores, axis=1)[:, :10]
    rows = np.arange(len(scores))[:, None]
    edges[rows, nearest] = np.maximum(scores[rows, nearest], 0)
    clusters = SpectralClustering(10, affinity="precomputed", random_state=0)
    found = clusters.fit_predict((edges + edges.T) / 2)
    return float(normalized_mutual_info_score(labels, found))
