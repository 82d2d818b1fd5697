"""The grid of Major TOM: points about equally far apart, which name cells all over the Earth.

Francis and Czerkawski, Major TOM: Expandable Datasets for Earth Observation, 2024. Rows are circles
of latitude, D km apart or a little less, one of them the equator; each is divided from the
meridian of Greenwich on into parts of D km or a little less. Row 3U is the third north of the
equator, 3D south; column 5R is the fifth to the east, 5L to the west. A point is the lower left
corner of its cell, which reaches to the next row and to the next point of its own row.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from glocal.errors import QueryError

EQUATOR_RADIUS_KM = 6378.137
_NAME = re.compile(r"(\d{1,6})([UD])_(\d{1,6})([RL])")


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell of a grid.

    Attributes:
        row: counted from the equator, southern ones below 0.
        column: counted from the meridian of Greenwich, western ones below 0.
        south: its edges, in degrees.
        west: likewise.
        north: likewise; at most 90.
        east: likewise; above 180 where a cell crosses the date line.
    """

    row: int
    column: int
    south: float
    west: float
    north: float
    east: float

    @property
    def name(self) -> str:
        """Row and column, such as ``922D_249L``."""
        across = f"{abs(self.column)}{'L' if self.column < 0 else 'R'}"
        return f"{abs(self.row)}{'D' if self.row < 0 else 'U'}_{across}"

    @property
    def centre(self) -> tuple[float, float]:
        """Latitude and longitude in degrees."""
        longitude = (self.west + self.east) / 2
        return (self.south + self.north) / 2, longitude - 360 if longitude > 180 else longitude

    def footprint(self) -> tuple[tuple[float, float], ...]:
        """Its corners as longitude, latitude: counter-clockwise, the first again at the end."""
        first = (self.west, self.south)
        return (first, (self.east, self.south), (self.east, self.north),
                (self.west, self.north), first)  # fmt: skip


class Grid:
    """The grid of points D kilometres apart.

    Args:
        km: D; Major TOM Core has 10.

    Raises:
        QueryError: it is not from 0.1 to 5,000.
    """

    def __init__(self, km: float = 10.0) -> None:
        if not 0.1 <= km <= 5_000:
            raise QueryError(f"the distance of a grid is {km} km; give 0.1 to 5,000")
        self.km = km
        self.rows = math.ceil(math.pi * EQUATOR_RADIUS_KM / km)
        self._high = 180 / self.rows

    def columns(self, row: int) -> int:
        """How many cells a row has: as many as its circle of latitude has parts of D km."""
        around = 2 * math.pi * EQUATOR_RADIUS_KM * math.cos(math.radians(row * self._high))
        return max(1, math.ceil(around / self.km))

    def cell(self, row: int, column: int) -> Cell:
        """The cell of a row and a column.

        Raises:
            QueryError: the grid has none there.
        """
        count = self.columns(row)
        lowest, west = -(self.rows // 2), -(count // 2)
        if not (lowest <= row < lowest + self.rows and west <= column < west + count):
            raise QueryError(f"the grid of {self.km:g} km has no cell {row}, {column}")
        wide = 360 / count
        return Cell(
            row,
            column,
            -90.0 if row == lowest else row * self._high,
            column * wide,
            min((row + 1) * self._high, 90.0),
            (column + 1) * wide,
        )

    def cell_at(self, latitude: float, longitude: float) -> Cell:
        """The cell in which a position lies; what lies on a lower or left edge belongs to it.

        Raises:
            QueryError: it is no position.
        """
        if not (-90 <= latitude <= 90 and -180 <= longitude <= 180):
            raise QueryError(f"{latitude}, {longitude} is no position in degrees")
        lowest = -(self.rows // 2)
        row = math.floor(latitude / self._high)
        row = min(max(row, lowest), lowest + self.rows - 1)
        count = self.columns(row)
        west = -(count // 2)
        column = math.floor(longitude / (360 / count))
        # Of an odd number of cells the last one crosses the date line.
        return self.cell(row, west + count - 1 if column < west else min(column, west + count - 1))

    def named(self, name: str) -> Cell:
        """The cell of a name such as ``922D_249L``.

        Raises:
            QueryError: it is no name of a cell of this grid.
        """
        found = _NAME.fullmatch(name)
        if found is None:
            raise QueryError(f"{name!r} names no cell; write it as 922D_249L")
        row = int(found[1]) * (1 if found[2] == "U" else -1)
        return self.cell(row, int(found[3]) * (1 if found[4] == "R" else -1))
