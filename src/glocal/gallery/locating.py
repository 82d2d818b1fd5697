"""Where was it taken? Probable places of a photo, by the gallery's photos that say where they were.

Photos that verification found to show the same thing count most, each by the probability that it
does. Similar photos count little, and only where more of them crowd at one place than the share of
the gallery's photos there explains: in a gallery of which half was taken at home, half of the
photos that are like any other were taken at home too.

What can be said depends on what is there, so the answer has words and no percentage, a radius, and
the photos behind it; where nothing speaks for any place it says so.

A trained world model (`glocal.geography.world_model`), where the user has one, is asked beside
that: it needs no photo of the place, and what it says stands apart, after the gallery's own photos.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.errors import ModelMismatchError
from glocal.gallery.browsing import Browser
from glocal.gallery.conditions import ANYWHERE, AllOf, Condition, Near
from glocal.gallery.model_id import ModelId
from glocal.gallery.query import Query
from glocal.gallery.results import GalleryImage, Hit, SearchResult
from glocal.geography.clusters import Cluster, clusters
from glocal.geography.world_model import WorldModel, WorldPlace
from glocal.images import Limits, load

if TYPE_CHECKING:
    from glocal.images import ImageSource

COMPARED = 50
"""How many photos are looked at: so many are verified."""

REACH_KM = 25.0
"""How far the photos of one place lie from its middle at most."""

SIMILAR_WEIGHT = 0.05
"""Weight of a similar photo, where one that surely shows the same thing has 1."""

MOST_WORLD_PLACES = 5
"""How many places of a world model are named."""

_SAMPLE = "SELECT id FROM contents WHERE latitude IS NOT NULL ORDER BY id LIMIT ?"
_SAMPLED = 500
_LIKELY = 0.75  # of the weight of all matches
_SIGNIFICANT = 0.01
_UNUSUAL = 3.0  # standard deviations above the mean of the gallery's photos
_BURST = timedelta(minutes=10)
_LEAST_RADIUS_KM = {True: 0.2, False: 5.0}  # of matches, of similar photos


class Confidence(StrEnum):
    """How sure a place is; the values are codes for programs, `label` is for people."""

    LIKELY = "likely"
    POSSIBLE = "possible"
    WEAK = "weak"

    @property
    def label(self) -> str:
        """The confidence in words."""
        return _LABELS[self]


_LABELS = {
    Confidence.LIKELY: "likely",
    Confidence.POSSIBLE: "possibly",
    Confidence.WEAK: "a weak guess",
}


class Silence(StrEnum):
    """Why no place is named; the values are codes for programs, `label` is for people."""

    NO_POSITIONS = "no_positions"
    NOTHING_SIMILAR = "nothing_similar"
    NO_AGREEMENT = "no_agreement"

    @property
    def label(self) -> str:
        """The reason in words."""
        return _REASONS[self]


_REASONS = {
    Silence.NO_POSITIONS: "no photo of the gallery says where it was taken",
    Silence.NOTHING_SIMILAR: "no photo that says where it was taken is similar enough",
    Silence.NO_AGREEMENT: "the similar photos were taken at no one place more often than others",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbablePlace:
    """A place at which a photo may have been taken.

    Attributes:
        latitude: of the middle of the photos behind it, in degrees, no finer than `radius_km`.
        longitude: likewise.
        radius_km: within which they lie, but at least 0.2 km, and 5 km where none is a match.
        confidence: ``likely``: nearly all photos that show the same thing were taken here;
            ``possible``: some of them were; ``weak``: only similar photos were.
        weight: share of all weight, in (0, 1]: matches count by their probability, similar photos
            .05 each. It orders the places and is no probability.
        matches: number of photos behind it that show the same thing.
        hits: these photos, and then the similar ones, best first.
    """

    latitude: float
    longitude: float
    radius_km: float
    confidence: Confidence
    weight: float
    matches: int
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """Where a photo was probably taken.

    Attributes:
        query: path of the photo, or what it was.
        model: the model that compared the photos.
        position: what the photo itself says, latitude and longitude in degrees.
        places: by the gallery's other photos, the most probable first.
        silence: why there is no place; `None` where there is one.
        timings_ms: as of `SearchResult`.
        world: by a trained world model, where one was given: the most believed in first.
    """

    query: str
    model: ModelId
    position: tuple[float, float] | None
    places: tuple[ProbablePlace, ...]
    silence: Silence | None
    timings_ms: dict[str, float]
    world: tuple[WorldPlace, ...] = ()


def locate(
    query: Query,
    position: tuple[float, float] | None,
    where: Condition | None,
    search: Callable[[Query, Condition, int], SearchResult],
    browser: Browser,
    vectors: Callable[[Sequence[UUID]], Mapping[UUID, NDArray[np.float32]]],
    world: WorldModel | None = None,
) -> Located:
    """Where a photo was probably taken.

    Args:
        query: made of the photo; an image of the gallery with the same bytes is left out.
        position: what the photo itself says.
        where: only photos that meet a condition are looked at.
        search: finds so many photos that meet a condition, and verifies them.
        browser: of the gallery.
        vectors: of the gallery's photos, each of unit length.
        world: a trained world model of the query's vector space.

    Raises:
        ModelMismatchError: the world model is of another vector space.
    """
    if world is not None:
        require_world_of(world, query.space)
    known = ANYWHERE if where is None else AllOf((where, ANYWHERE))
    result = search(query, known, COMPARED + 1)
    itself = None if query.identity is None else query.identity.hex
    own = [hit.position for hit in result.hits if hit.id == itself]
    others = tuple(hit for hit in result.hits if hit.id != itself)[:COMPARED]
    sample = browser.rows(_SAMPLE, (_SAMPLED,))  # ids are hashes, so these are any photos
    some = vectors([UUID(bytes=bytes(i)) for (i,) in sample])
    usual = np.array([float(vector @ query.vector) for i, vector in some.items()])

    def share_near(latitude: float, longitude: float, km: float) -> float:
        here = AllOf((known, Near(latitude, longitude, km)))
        return browser.count(here) / max(browser.count(known), 1)

    places, silence = probable_places(replace(result, hits=others), usual, share_near)
    return Located(
        query=result.query,
        model=result.model,
        position=position or (own[0] if own else None),
        places=places,
        silence=silence,
        timings_ms=result.timings_ms,
        world=() if world is None else _of_world(world, query.vector),
    )


def require_world_of(world: WorldModel, space: str) -> None:
    """Raise `ModelMismatchError` unless a world model takes the vectors of a space."""
    if world.card.space != space:
        raise ModelMismatchError(
            f"the world model takes vectors of the space {world.card.space!r}, and the gallery's "
            f"are of {space!r}; train one on this gallery: glocal world FILE"
        )


def _of_world(world: WorldModel, vector: NDArray[np.float32]) -> tuple[WorldPlace, ...]:
    """Its places with rounded numbers, no finer than their radius."""
    found = []
    for place in world.places(vector, MOST_WORLD_PLACES):
        radius = round_up(place.radius_km)
        digits = digits_of(radius)
        found.append(
            replace(
                place,
                latitude=round(place.latitude, digits),
                longitude=round(place.longitude, digits),
                radius_km=radius,
                share=round(place.share, 3),
            )
        )
    return tuple(found)


def stated_position(
    photo: GalleryImage | ImageSource, limits: Limits
) -> tuple[float, float] | None:
    """Where a photo says that it was taken: latitude and longitude in degrees.

    Raises:
        ImageError: it cannot be used as an image.
    """
    if isinstance(photo, GalleryImage):
        return photo.position
    facts = load(photo, min_pixels=1, limits=limits).facts
    if facts.latitude is None or facts.longitude is None:
        return None
    return facts.latitude, facts.longitude


def probable_places(
    result: SearchResult,
    usual: NDArray[np.floating],
    share_near: Callable[[float, float, float], float],
) -> tuple[tuple[ProbablePlace, ...], Silence | None]:
    """The places that a search among photos with positions speaks for.

    Args:
        result: the hits, all with positions.
        usual: ``(n,)`` cosine similarities of the query to photos with positions, of which some
            hundred are taken whatever they show.
        share_near: gives the share of the photos with positions that lie within some kilometres
            of a latitude and longitude.

    Returns:
        The most probable first, and why there are none.
    """
    if not result.hits:
        return (), Silence.NO_POSITIONS
    matches = [hit for hit in result.hits if _is_match(hit)]
    unusual = float(usual.mean() + _UNUSUAL * usual.std()) if len(usual) else np.inf
    similar = [hit for hit in result.hits if not _is_match(hit) and hit.score > unusual]
    told = [*matches, *similar]
    if not told:
        return (), Silence.NOTHING_SIMILAR
    weights = [_weight(hit) for hit in told]
    found = clusters([hit.position or (0, 0) for hit in told], weights, REACH_KM)
    of_matches = sum(weights[: len(matches)])
    places = []
    for cluster in found:
        hits = tuple(told[row] for row in cluster.members)
        sure = sum(_weight(hit) for hit in hits if _is_match(hit))
        if sure:
            likely = sure >= _LIKELY and sure >= _LIKELY * of_matches
            confidence = Confidence.LIKELY if likely else Confidence.POSSIBLE
        elif _crowded(hits, similar, cluster, share_near, len(found)):
            confidence = Confidence.WEAK
        else:
            continue
        places.append(_place(cluster, hits, confidence, sum(weights)))
    order = list(Confidence)
    places.sort(key=lambda place: (order.index(place.confidence), -place.weight))
    return tuple(places), None if places else Silence.NO_AGREEMENT


def _is_match(hit: Hit) -> bool:
    return hit.evidence is not None and hit.evidence.verdict.is_match


def _weight(hit: Hit) -> float:
    if hit.evidence is None or not hit.evidence.verdict.is_match:
        return SIMILAR_WEIGHT
    return max(hit.evidence.same_probability, SIMILAR_WEIGHT)


def _crowded(
    hits: Sequence[Hit],
    similar: Sequence[Hit],
    cluster: Cluster,
    share_near: Callable[[float, float, float], float],
    clusters_tried: int,
) -> bool:
    """Whether more similar photos lie here than chance brings, by a binomial test.

    Photos taken within minutes of each other count once: they are similar to the same things. The
    limit is divided by the number of places tried (Bonferroni).
    """
    here, everywhere = _bursts(hits), _bursts(similar)
    share = min(share_near(cluster.latitude, cluster.longitude, REACH_KM), 1.0)
    return here > 1 and _tail(here, everywhere, share) < _SIGNIFICANT / clusters_tried


def _bursts(hits: Sequence[Hit]) -> int:
    """How many photos there are, those within `_BURST` of the one before counted once."""
    times = sorted(hit.taken for hit in hits if hit.taken is not None)
    follow = sum(after - before <= _BURST for before, after in pairwise(times))
    return len(hits) - follow


def _tail(least: int, trials: int, chance: float) -> float:
    """Probability of so many successes or more."""
    return sum(
        math.comb(trials, k) * chance**k * (1 - chance) ** (trials - k)
        for k in range(least, trials + 1)
    )


def _place(
    cluster: Cluster, hits: tuple[Hit, ...], confidence: Confidence, all_weight: float
) -> ProbablePlace:
    matches = sum(map(_is_match, hits))
    radius = round_up(max(cluster.radius_km, _LEAST_RADIUS_KM[matches > 0]))
    digits = digits_of(radius)
    return ProbablePlace(
        latitude=round(cluster.latitude, digits),
        longitude=round(cluster.longitude, digits),
        radius_km=radius,
        confidence=confidence,
        weight=round(cluster.weight / all_weight, 3),
        matches=matches,
        hits=hits,
    )


def round_up(km: float) -> float:
    """The next of .2, .5, 1, 2, 5, 10 ... kilometres."""
    power = 10.0 ** math.floor(math.log10(km))
    steps = (power * step for step in (1, 2, 5, 10))
    return next(round(step, 3) for step in steps if step >= km * (1 - 1e-9))


def digits_of(radius_km: float) -> int:
    """Decimals of a degree that are worth writing: a degree of latitude has 111 km."""
    return max(0, math.ceil(math.log10(111 / radius_km)))
