"""Place recognition: images with positions in their names or in tables."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from glocal.errors import EvaluationError
from glocal.evaluate.datasets.evaluation import Report, Sample
from glocal.evaluate.datasets.listing import (
    ImageTest,
    images_below,
    read_table,
    require_folder,
)
from glocal.evaluate.nearest import nearest
from glocal.evaluate.places import Coordinates, evaluate_places, metres_between

RADIUS = 25.0
"""Distance in metres from the query within which an answer is right, as usual in the field."""

_KS = (1, 5, 10, 20)
_LAYOUT = (
    "queries/ and database/ with images named @EASTING@NORTHING@...@.jpg (UTM, metres), or "
    "queries.csv and database.csv with the columns path,latitude,longitude"
)


@dataclass(frozen=True, slots=True, eq=False)
class PlacesEvaluation:
    """Images with positions under `evaluate_places`.

    An unreadable query counts as missed, an unreadable database image is never found.

    Attributes:
        queries: see `Evaluation`.
        query_positions: ``(q, 2)`` float64, see `evaluate_places`.
        gallery: see `Evaluation`.
        gallery_positions: ``(n, 2)`` float64.
        coordinates: ``"utm"`` or ``"latlon"``.
        leave_one_out: see `Evaluation`.
        goodness_name: see `Evaluation`.
    """

    queries: Sequence[Sample]
    query_positions: NDArray[np.float64]
    gallery: Sequence[Sample]
    gallery_positions: NDArray[np.float64]
    coordinates: Coordinates
    leave_one_out: bool = False
    goodness_name: str = "1 / rank of the first right answer"

    def evaluate(self, queries: NDArray[np.float32], gallery: NDArray[np.float32]) -> Report:
        """See `Evaluation`."""
        ranks, _ = nearest(queries, gallery, max(_KS))
        result = evaluate_places(
            ranks,
            self.query_positions,
            self.gallery_positions,
            coordinates=self.coordinates,
            radius=RADIUS,
            ks=_KS,
        )
        first = result.first_right_rank.astype(np.float64)
        goodness = np.where(first > 0, 1 / np.maximum(first, 1), np.where(first == 0, 0.0, np.nan))
        return Report(
            {f"within {RADIUS:g} m": {f"recall@{k}": v for k, v in result.recall_at.items()}},
            {
                "queries": result.queries,
                "queries without a place in the database": result.without_place,
                "database": len(gallery),
            },
            goodness,
        )

    def is_right(self, query: int, answer: int) -> bool:
        """See `Evaluation`."""
        between = metres_between(
            self.query_positions[query], self.gallery_positions[answer], self.coordinates
        )
        return bool(between <= RADIUS)


def read_places(data: Path, is_image: ImageTest) -> PlacesEvaluation:
    """Read a place recognition data set.

    Args:
        data: a folder with ``queries/`` and ``database/``, whose images are named
            ``@EASTING@NORTHING@...@.jpg``, all in one UTM zone; a table ``queries.csv`` or
            ``database.csv`` (paths relative to it, degrees) is read instead of the folder.
        is_image: see `ImageTest`.

    Raises:
        EvaluationError: the folder has another layout, a position cannot be read, the two sides
            have different coordinates, or there is more than one UTM zone.
    """
    require_folder(data, _LAYOUT)
    queries, query_positions, kind = _side(data, "queries", is_image)
    gallery, gallery_positions, gallery_kind = _side(data, "database", is_image)
    if kind != gallery_kind:
        raise EvaluationError(
            f"the queries of {data} have positions in {kind}, its database in {gallery_kind}; "
            "use the same for both"
        )
    coordinates: Coordinates = "latlon" if kind == "degrees" else "utm"
    return PlacesEvaluation(queries, query_positions, gallery, gallery_positions, coordinates)


def _side(
    data: Path, name: str, is_image: ImageTest
) -> tuple[list[Sample], NDArray[np.float64], str]:
    """Images of one side, their positions, and the coordinates of these."""
    table = data / f"{name}.csv"
    if table.is_file():
        samples, positions = _from_table(table)
        kind = "degrees"
    else:
        folder = require_folder(data / name, f"{name}; {data} should hold {_LAYOUT}")
        samples, positions, kind = _from_names(folder, is_image)
    if not samples:
        raise EvaluationError(f"there are no {name} in {data}; it should hold {_LAYOUT}")
    return samples, np.asarray(positions, dtype=np.float64), kind


def _from_table(table: Path) -> tuple[list[Sample], list[tuple[float, float]]]:
    samples, positions = [], []
    rows = read_table(table, [("path",), ("latitude",), ("longitude",)])
    for line, (name, latitude, longitude) in rows:
        position = (_number(latitude), _number(longitude))
        if not (abs(position[0]) <= 90 and abs(position[1]) <= 180):  # also where one is nan
            raise EvaluationError(
                f"{table}, line {line}: {latitude!r}, {longitude!r} is not a latitude and "
                "longitude in degrees"
            )
        samples.append(Sample(table.parent / name))
        positions.append(position)
    return samples, positions


def _from_names(
    folder: Path, is_image: ImageTest
) -> tuple[list[Sample], list[tuple[float, float]], str]:
    samples, positions = [], []
    zones: dict[str, Path] = {}
    for path in images_below(folder, is_image):
        _, *fields = path.name.split("@")
        place = (_number(fields[0]), _number(fields[1])) if len(fields) > 2 else (math.nan,) * 2
        if not (math.isfinite(place[0]) and math.isfinite(place[1])):
            raise EvaluationError(
                f"the name of {path} does not say where it was taken; "
                "it should be @EASTING@NORTHING@...@.jpg, UTM in metres"
            )
        samples.append(Sample(path))
        positions.append(place)
        if len(fields) > 4:
            zones.setdefault((fields[2] + fields[3]).strip(), path)
    named = [zone for zone in zones if zone]
    if len(named) > 1:
        raise EvaluationError(
            f"{zones[named[0]]} lies in UTM zone {named[0]}, {zones[named[1]]} in {named[1]}: "
            "metres of two zones cannot be compared; use tables with path,latitude,longitude"
        )
    return samples, positions, f"UTM zone {named[0]}" if named else "UTM"


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
