"""What comparing two images gave, remembered, so that a second run compares only new pairs.

An outcome follows from the bytes of both images, from the model and detector of the gallery and
from the rules by which they are compared, and from nothing else: it holds however often files are
moved. It says nothing about which files there are; that is looked up anew each time.

They lie in a file of their own, since the catalogue's changes mean that the gallery has changed. It
has at most one row for each pair of neighbours, of some 80 bytes; what is damaged or was made by
other rules is begun anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from glocal.errors import DiskFullError, GalleryDamagedError, GalleryError, GalleryLockedError
from glocal.gallery.database import Database
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.pixels import Comparison

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rules (rules TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS compared (
    first BLOB NOT NULL, second BLOB NOT NULL, outcome TEXT, PRIMARY KEY (first, second)
) WITHOUT ROWID;
"""
_SOURCES = (
    ("glocal.ranking", ("",)),
    ("glocal.gallery", ("comparing", "originals", "small_images", "thumbnails", "packed_features")),
)
Pair = tuple[UUID, UUID]
_log = logging.getLogger(__name__)


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
    """The outcomes that a gallery remembers; use it as a context manager, or `close` it.

    Args:
        path: of the file, made when it is not there.
        rules: what they depend on beside the images; those of other rules are dropped.
    """

    def __init__(self, path: Path, rules: str) -> None:
        self._rules = rules
        self._database: Database | None = None
        try:
            self._database = Database(path, _SCHEMA)
        except GalleryDamagedError:
            _log.warning("%s is damaged, and is begun anew", path)
            for suffix in ("", "-wal", "-shm"):
                path.with_name(path.name + suffix).unlink(missing_ok=True)
            self._database = Database(path, _SCHEMA)
        except GalleryError as error:  # compared all the same, in an archive for instance
            _log.info("nothing is remembered: %s", error)

    def __enter__(self) -> Outcomes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()

    def keep_only(self, images: Collection[UUID]) -> None:
        """Drop the outcomes of pairs that begin with other images."""
        if self._database is None:
            return
        firsts = {
            UUID(bytes=i) for (i,) in self._database.rows("SELECT DISTINCT first FROM compared")
        }
        self._change(
            "DELETE FROM compared WHERE first = ?", [(i.bytes,) for i in firsts - {*images}]
        )

    def of(self, firsts: Iterable[UUID]) -> dict[Pair, Outcome]:
        """Every outcome of pairs that begin with these images."""
        if self._database is None or not self._current(self._database):
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
        self._change(
            "DELETE FROM compared WHERE first = ? AND second = ?",
            [(first.bytes, second.bytes) for first, second in stale],
        )
        self._change(
            "INSERT OR REPLACE INTO compared VALUES (?, ?, ?)",
            [(a.bytes, b.bytes, _written(outcome)) for (a, b), outcome in found.items()],
        )

    def _change(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        database = self._database
        if database is None or database.read_only or not rows:
            return
        with suppress(GalleryLockedError, DiskFullError), database.change() as db:
            if not self._current(database):
                db.execute("DELETE FROM compared")
                db.execute("DELETE FROM rules")
                db.execute("INSERT INTO rules VALUES (?)", (self._rules,))
            db.executemany(sql, rows)

    def _current(self, database: Database) -> bool:
        return database.rows("SELECT rules FROM rules") == [(self._rules,)]


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
