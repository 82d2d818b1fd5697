"""SuperGlobal's re-ranking raises mAP by global vectors alone."""

from __future__ import annotations

from functools import partial

from glocal.ranking.superglobal import superglobal
from glocal.trials import Claim, Lab
from glocal.trials.data import mean_ap_of_scores
from glocal.trials.vectors import Floats, mean_vector, pixel_vectors, reranked

CLAIM = Claim(
    measured="mAP of digits, the best 100 re-ranked by SuperGlobal",
    baseline="mAP by cosine similarity",
    unit="points",
    comparison=">",
    margin=1.0,
    seeds=5,
)


def method(lab: Lab) -> float:
    """Settings are chosen on validation images."""
    data = lab.digits(8)
    mean = mean_vector(data.train.images)
    seen = pixel_vectors(data.validation.images, mean)

    def score(neighbours: int) -> float:
        found = reranked(seen, partial(superglobal, neighbours=neighbours))
        return mean_ap_of_scores(found, data.validation.labels)

    best = lab.choose((5, 10) if lab.smoke is False else (5,), score, on="validation")
    vectors = pixel_vectors(data.test.images, mean)
    return data.test.mean_ap_of_scores(reranked(vectors, partial(superglobal, neighbours=best)))


def baseline(lab: Lab) -> float:
    """The same candidates in the order of their cosine."""
    data = lab.digits(8)
    vectors = pixel_vectors(data.test.images, mean_vector(data.train.images))
    return data.test.mean_ap_of_scores(reranked(vectors, _by_cosine))


def _by_cosine(query: Floats, candidates: Floats) -> Floats:
    return candidates @ query
