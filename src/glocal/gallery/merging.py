"""One ranking of what several galleries have found for the same query."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from glocal.gallery.results import GalleryHit, Hit, SearchResult
from glocal.gallery.under_way import Knots
from glocal.ranking.evidence import Verdict


@dataclass(frozen=True, slots=True)
class Answer:
    """What one gallery has found.

    Attributes:
        folder: of the gallery.
        result: its own, in its own order.
        knots: its similarities, and those of the merged result's model that mean as much; `None`
            where they are the same.
    """

    folder: Path
    result: SearchResult
    knots: Knots | None = None


@dataclass(frozen=True, slots=True)
class _Placed:
    """A hit and what orders it among those of other galleries, least first."""

    key: tuple[float, ...]
    folder: Path
    hit: Hit


def merge(answers: Sequence[Answer], limit: int) -> SearchResult:
    """Merge the answers of several galleries to one query.

    What shows the same thing as the query comes first. Among those, and among the others, each
    gallery's own order is kept, whatever made it: its first hit has the best of its scores, its
    second one the second best, and so on. These scores (similarities of vectors raised by geometric
    evidence, or words) merge the galleries. An image that several galleries have is one hit; so is
    a file that they know under several names or contents.

    Args:
        answers: of at least the best 50 hits each, so that all matches are among them; that of the
            gallery whose model is named in the result first.
        limit: how many hits are wanted.
    """
    placed = sorted(
        (each for answer in answers for each in _placed(answer)), key=lambda each: each.key
    )
    hits = _each_once(placed)
    matches = sum(_tier(hit) < _SIMILAR for hit in hits)
    founds = {answer.result.found for answer in answers}
    first = answers[0].result
    timings = dict[str, float]()
    for answer in answers:
        for stage, spent in answer.result.timings_ms.items():
            timings[stage] = timings.get(stage, 0.0) + spent
    return SearchResult(
        first.query,
        first.model,
        tuple(hits[:limit]),
        timings,
        True if matches else (False if founds == {False} else None),
        matches,
        first.text,
    )


_SIMILAR = 2


def _tier(hit: Hit) -> int:
    """First the query's own file, then what shows the same, then all others."""
    if hit.evidence is None or not hit.evidence.verdict.is_match:
        return _SIMILAR
    return 0 if hit.evidence.verdict is Verdict.IDENTICAL_FILE else 1


def _placed(answer: Answer) -> Iterable[_Placed]:
    tiers = dict[int, list[Hit]]()
    for hit in answer.result.hits:
        tiers.setdefault(_tier(hit), []).append(hit)
    for tier, hits in tiers.items():
        values = sorted((_value(hit, answer.knots) for hit in hits), reverse=True)
        for hit, value in zip(hits, values, strict=True):
            yield _Placed((tier, *(-v for v in value)), answer.folder, _on_scale(hit, answer.knots))


def _value(hit: Hit, knots: Knots | None) -> tuple[float, float]:
    """What a hit is worth beside those of other galleries."""
    if "vector" not in hit.scores:  # words alone: how many of them, then how rare they are
        return hit.score, hit.scores.get("words", 0.0)
    evidence = hit.scores.get("combined", hit.score) - hit.score
    return _as(hit.score, knots) + evidence, 0.0


def _as(score: float, knots: Knots | None) -> float:
    return score if knots is None else float(np.interp(score, *knots))


def _on_scale(hit: Hit, knots: Knots | None) -> Hit:
    """A hit whose score is one of the result's model."""
    if knots is None or "vector" not in hit.scores:
        return hit
    score = _as(hit.score, knots)
    return replace(hit, score=score, scores=hit.scores | {"vector": score, "own": hit.score})


def _each_once(placed: Iterable[_Placed]) -> list[GalleryHit]:
    """The hits in their order, each image and each file once."""
    places, hits, shown = dict[str, int](), list[GalleryHit](), set[str]()
    for each in placed:
        fresh = [path for path in each.hit.paths if os.path.realpath(path) not in shown]
        shown.update(map(os.path.realpath, fresh))
        known = places.get(each.hit.id)
        if known is not None:
            before = hits[known]
            hits[known] = replace(
                before,
                paths=(*before.paths, *fresh),
                galleries=tuple(dict.fromkeys([*before.galleries, each.folder])),
            )
        elif fresh:  # otherwise one gallery has yet to see that the file has changed
            places[each.hit.id] = len(hits)
            named = _fields(each.hit) | {"paths": tuple(fresh), "path": fresh[0]}
            hits.append(GalleryHit(**named | {"rank": len(hits) + 1, "galleries": (each.folder,)}))
    return hits


def _fields(hit: Hit) -> dict[str, Any]:
    return {each.name: getattr(hit, each.name) for each in fields(hit)}
