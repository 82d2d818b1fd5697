"""What comparing two images gave, remembered, so that a second run compares only new pairs.

An outcome follows from the bytes of both images, from the model and detector of the gallery and
from the rules by which they are compared, and from nothing else: it holds however often files are
moved. It says nothing about which files there are; that is looked up anew each time.

The table lies in the catalogue's database. It has at most one row for each pair of neighbours, of
some 80 bytes twice, and loses the rows of an image with the image.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from typing import Any
from uuid import UUID

import numpy as np

from glocal.errors import DiskFullError, GalleryLockedError
from glocal.gallery.database import Database
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.pixels import Comparison

SCHEMA = """
CREATE TABLE IF NOT EXISTS compared (
    first BLOB NOT NULL, second BLOB NOT NULL, outcome TEXT, PRIMARY KEY (first, second)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS compared_by_second ON compared (second);
"""

_RULES = "compared_by"
_SOURCES = (
    ("glocal.ranking", ("",)),
    ("glocal.gallery", ("comparing", "originals", "small_images", "thumbnails", "packed_features")),
)
Pair = tuple[UUID, UUID]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What comparing two images gave.

    Attributes:
        evidence: of a tie between them, with the homography from the first to the second; `None`
            where there is none.
        comparison: of their pixels, where they were compared.
    """

    evidence: Evidence | None = None
    comparison: Comparison | None = None


class Outcomes:
    """The outcomes that a gallery remembers.

    Args:
        database: the gallery's catalogue.
        rules: what they depend on beside the images; those of other rules are dropped.
    """

    def __init__(self, database: Database, rules: str) -> None:
        self._database = database
        self._rules = rules

    def of(self, firsts: Iterable[UUID]) -> dict[Pair, Outcome]:
        """Every outcome of pairs that begin with these images."""
        if self._database.read_only or not self._current():
            return {}
        rows = self._database.rows_for(
            "SELECT first, second, outcome FROM compared WHERE first IN (?*)",
            (first.bytes for first in firsts),
            lambda row: ((UUID(bytes=row[0]), UUID(bytes=row[1])), _read(row[2])),
        )
        return dict(rows)

    def replace(self, found: Mapping[Pair, Outcome], stale: Collection[Pair]) -> None:
        """Remember outcomes, and drop those of pairs that are no neighbours any more.

        A gallery that cannot be written, or not now, is compared all the same.
        """
        if self._database.read_only or not (found or stale):
            return
        try:
            with self._database.change() as db:
                if not self._current():
                    db.execute("DELETE FROM compared")
                    db.execute("INSERT OR REPLACE INTO state VALUES (?, ?)", (_RULES, self._rules))
                db.executemany(
                    "DELETE FROM compared WHERE first = ? AND second = ?",
                    [(first.bytes, second.bytes) for first, second in stale],
                )
                # Only of images that are still there: another process may have removed some.
                db.executemany(
                    "INSERT OR REPLACE INTO compared SELECT ?1, ?2, ?3 "
                    "WHERE EXISTS (SELECT 1 FROM contents WHERE id = ?1) "
                    "AND EXISTS (SELECT 1 FROM contents WHERE id = ?2)",
                    [(a.bytes, b.bytes, _written(outcome)) for (a, b), outcome in found.items()],
                )
        except (GalleryLockedError, DiskFullError):
            return

    def _current(self) -> bool:
        known = self._database.value("SELECT value FROM state WHERE key = ?", (_RULES,))
        return bool(known == self._rules)


def drop_outcomes(db: sqlite3.Connection, ids: Iterable[UUID]) -> None:
    """Drop all that is remembered of images; inside `Database.change`."""
    keys = [(i.bytes,) for i in ids]
    db.executemany("DELETE FROM compared WHERE first = ?", keys)
    db.executemany("DELETE FROM compared WHERE second = ?", keys)


@cache
def rules() -> str:
    """A hash of the code that compares two images: outcomes of other code are not believed."""
    found = hashlib.sha256()
    for package, names in _SOURCES:
        for file in sorted(resources.files(package).iterdir(), key=lambda each: each.name):
            stem, _, ending = file.name.rpartition(".")
            if ending in ("py", "json") and (names == ("",) or stem in names):
                found.update(file.name.encode() + b"\0" + file.read_bytes())
    return found.hexdigest()[:32]


def _written(outcome: Outcome) -> str | None:
    if outcome.evidence is None:
        return None
    said: dict[str, Any] = {"evidence": asdict(outcome.evidence)}
    if outcome.comparison is not None:
        said["comparison"] = asdict(outcome.comparison)
        said["comparison"]["homography"] = outcome.comparison.homography.tolist()
    return json.dumps(said)  # with Infinity, as Python writes and reads it


def _read(said: str | None) -> Outcome:
    if said is None:
        return Outcome()
    fields = json.loads(said)
    evidence, comparison = fields["evidence"], fields.get("comparison")
    evidence["verdict"] = Verdict(evidence["verdict"])
    if evidence["homography"] is not None:
        evidence["homography"] = tuple(map(tuple, evidence["homography"]))
    if comparison is not None:
        comparison["homography"] = np.array(comparison["homography"], np.float64)
        comparison["differing"] = tuple(map(tuple, comparison["differing"]))
        comparison = Comparison(**comparison)
    return Outcome(Evidence(**evidence), comparison)
