"""The grid is Major TOM's: compared with a slow construction of the published definition."""

from __future__ import annotations

import math

import numpy as np
import pytest

from glocal.errors import QueryError
from glocal.geography.grid import EQUATOR_RADIUS_KM, Grid


def slow_points(length: float, km: float, half: float) -> np.ndarray:
    """A circle or half-circle in equal parts of at most D, one of which begins at 0; sorted."""
    parts = math.ceil(length / km)
    around = np.linspace(-half, half, parts + 1)[:-1]
    return np.sort(np.mod(around, 2 * half) - half)


@pytest.mark.parametrize("km", [10, 100, 333, 1000, 2500])
def test_rows_and_columns_begin_where_the_definition_says(km: float) -> None:
    grid = Grid(km)
    rows = slow_points(math.pi * EQUATOR_RADIUS_KM, km, 90)
    assert len(rows) == grid.rows
    zero = int(np.flatnonzero(np.isclose(rows, 0))[0])
    for number in {0, 1, zero, len(rows) - 1, len(rows) // 3}:
        row = number - zero
        around = 2 * math.pi * EQUATOR_RADIUS_KM * math.cos(math.radians(rows[number]))
        columns = slow_points(max(around, 1e-9), km, 180)
        assert grid.columns(row) == len(columns)
        first = int(np.flatnonzero(np.isclose(columns, 0))[0])
        for at in {0, first, len(columns) - 1}:
            cell = grid.cell(row, at - first)
            assert cell.west == pytest.approx(columns[at])
            if number:  # the lowest row reaches to the pole
                assert cell.south == pytest.approx(rows[number])


def test_every_position_lies_in_its_cell_and_the_cells_name_finds_it_again() -> None:
    random = np.random.default_rng(0)
    for km in (10.0, 100.0, 1000.0):
        grid = Grid(km)
        places = [(random.uniform(-90, 90), random.uniform(-180, 180)) for _ in range(100)]
        for latitude, longitude in [*places, (0, 0), (90, 180), (-90, -180), (12, -180)]:
            cell = grid.cell_at(latitude, longitude)
            assert cell.south <= latitude <= cell.north
            assert any(cell.west <= turned <= cell.east for turned in (longitude, longitude + 360))
            assert grid.named(cell.name) == cell
            assert cell.north - cell.south <= 1.5 * 180 / grid.rows + 1e-9
            width = math.radians(cell.east - cell.west) * math.cos(math.radians(cell.south))
            assert width * EQUATOR_RADIUS_KM <= km * 1.01


def test_names_are_those_of_the_published_tables() -> None:
    grid = Grid(10)
    assert grid.cell_at(0.01, 0.01).name == "0U_0R"
    assert grid.cell_at(-0.01, -0.01).name == "1D_1L"
    assert grid.cell_at(48.8583, 2.2945).name == "543U_16R"
    corners = grid.cell_at(0.01, 0.01).footprint()
    assert corners[0] == corners[-1] == (0, 0)
    assert len(corners) == 5
    assert -180 <= Grid(1000).cell_at(0, 179.9).centre[1] <= 180


@pytest.mark.parametrize("name", ["", "5U", "5U_5", "5X_5R", "9999U_0R", "0U_9999R", "-1U_0R"])
def test_what_names_no_cell_is_refused(name: str) -> None:
    with pytest.raises(QueryError, match="cell"):
        Grid(100).named(name)


def test_impossible_grids_and_positions_are_refused() -> None:
    for km in (0, -1, 1e9, float("nan")):
        with pytest.raises(QueryError, match="distance of a grid"):
            Grid(km)
    for place in ((91, 0), (0, 181), (float("nan"), 0)):
        with pytest.raises(QueryError, match="no position"):
            Grid(100).cell_at(*place)
