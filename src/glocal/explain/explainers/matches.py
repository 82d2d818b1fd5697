"""The explainer ``matches``: the points of two images that geometric verification accepts."""

from __future__ import annotations

from dataclasses import asdict

from glocal.explain.explainer import Explanation, View
from glocal.explain.figures import matches_figure
from glocal.explain.verified import verified_matches
from glocal.ranking.evidence import Evidence


def explain_matches(view: View) -> Explanation:
    """Draw a query's and a hit's verified points, and the query's outline in the hit.

    Its data has ``verified``, the ``evidence`` as a search gives it (None where the matches came
    with the question) and ``matches``, pairs of points as fractions of each image.
    """
    query, hit = view.query, view.hits[0]
    features = view.encoder.encode([query.encoded, hit.encoded])
    score = min(float(features[0].vector @ features[1].vector), 1.0)
    evidence: Evidence | None = None
    matches, verdict = view.matches, view.verdict
    if matches is None:
        matches, evidence = verified_matches(query.encoded, hit.encoded, view.encoder, score)
        verdict = verdict or evidence.verdict.label
    pairs = zip(matches.query_points.tolist(), matches.hit_points.tolist(), strict=True)
    return Explanation(
        "matches",
        (score,),
        lambda: matches_figure(query.shown, hit.shown, matches, score, verdict),
        data={
            "verified": True,
            "evidence": None if evidence is None else asdict(evidence),
            "matches": [{"query": _rounded(one), "hit": _rounded(other)} for one, other in pairs],
        },
    )


def _rounded(point: list[float]) -> list[float]:
    return [round(coordinate, 4) for coordinate in point]
