"""Tiles on Major TOM's grid become a table of embeddings, which is searched by an example.

A toy: 120 tiles of the Blue Marble in cells of 500 km that are mostly land, encoded by an
EfficientNet-Lite0 with the weights of ImageNet. An example is such a tile as it looks shifted by up
to a fifth, brighter or darker, and with noise; it has to find the cell in which it lies. The table
is a file that is written, read again and searched.

The trunk knows photos, not the Earth from above: tiles reduced to 8 x 8 pixels are better vectors
here (80 and 77 points where the trunk's have 63 and 68; two seeds).
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.embedding_table import EmbeddingTable, TableRow, write_table
from glocal.geography.grid import Cell, Grid
from glocal.trials import Claim, Lab, geography
from glocal.trials.trunk_vectors import vectors_of

CLAIM = Claim(
    measured="share of examples whose own cell is the first hit, by embeddings",
    baseline="share for which a row that is drawn is that cell",
    unit="points",
    comparison=">",
    margin=20.0,
    seeds=5,
)
_KM, _CELLS, _SIDE, _DEGREES = 500.0, 120, 64, 4.5


def method(lab: Lab) -> float:
    """The embeddings; the table is checked for its footprints."""
    cells, tiles, examples = _data(lab)
    found, table = _first_cells(cells, vectors_of("lite0", tiles), vectors_of("lite0", examples))
    lab.check("rows of the table", table, "=", float(len(cells)))
    return found


def baseline(lab: Lab) -> float:
    """Chance: any row of the table."""
    cells, _, _ = _data(lab)
    drawn = lab.random().integers(0, len(cells), len(cells))
    return 100 * float(np.mean(drawn == np.arange(len(cells))))


def _first_cells(
    cells: list[Cell], vectors: NDArray[np.float32], queries: NDArray[np.float32]
) -> tuple[float, float]:
    """How often the first hit is the cell of the example, in points; and the rows of the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tiles.parquet"
        rows = (
            TableRow(
                cell.name, vector, "bmng", "2004-08-01", cell.centre, cell.footprint(),
                (0, 0, _SIDE, _SIDE),
            )
            for cell, vector in zip(cells, vectors, strict=True)
        )  # fmt: skip
        write_table(path, rows, dim=vectors.shape[1], grid_km=_KM)
        table = EmbeddingTable(path)
        best = [table.search(query, 1)[0].grid_cell for query in queries]
    right = [name == cell.name for name, cell in zip(best, cells, strict=True)]
    return 100 * float(np.mean(right)), float(table.rows)


def _data(lab: Lab) -> tuple[list[Cell], NDArray[np.uint8], NDArray[np.uint8]]:
    """Cells, their tiles, and an example of each: ``(n, 128, 128, 3)``."""
    random, grid = lab.random(), Grid(_KM)
    places = geography.positions(random, 4_000)
    places = places[geography.is_land(places) & (np.abs(places[:, 0]) < 75)]
    found = {cell.name: cell for cell in (grid.cell_at(*place) for place in places)}
    cells = list(found.values())[: lab.steps(_CELLS) * 10 if lab.smoke else _CELLS]
    centres = np.array([cell.centre for cell in cells])
    moved = centres + random.uniform(-0.2, 0.2, centres.shape) * _DEGREES
    light = random.uniform(0.8, 1.25, (len(cells), 1))
    noisy = geography.tiles(moved, _SIDE, _DEGREES, ("bmng",)) * light
    noisy += random.normal(0, 0.03, noisy.shape)
    return cells, _images(geography.tiles(centres, _SIDE, _DEGREES, ("bmng",))), _images(noisy)


def _images(tiles: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Tiles as images of twice the side, which the trunk takes."""
    pixels = (255 * np.clip(tiles, 0, 1)).astype(np.uint8).reshape(-1, _SIDE, _SIDE, 3)
    return pixels.repeat(2, axis=1).repeat(2, axis=2)
