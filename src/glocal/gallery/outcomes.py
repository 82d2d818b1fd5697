"""What comparing and reading images gave, so that a second run looks only at what is new.

An outcome follows from the bytes of both images, from the model and detector of the gallery and
from the rules by which they are compared, and from nothing else: it holds however often files are
moved. It says nothing about which files there are; that is looked up anew each time.

Facts about one image, or about what two files were made from, are remembered alike; whoever uses
one has seen that a file still has those bytes.

They lie in a file of their own, since the catalogue's changes mean that the gallery has changed. It
has at most one row for each pair of neighbours, of some 80 bytes; what is damaged or was made by
other rules is begun anew.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from uuid import UUID
from zlib import crc32

import numpy as np

from glocal.errors import DiskFullError, GalleryDamagedError, GalleryError, GalleryLockedError
from glocal.gallery.database import Database
from glocal.gallery.originals import Fact
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.pixels import Comparison

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rules (rules TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS compared (
    first BLOB NOT NULL, second BLOB NOT NULL, outcome TEXT, checksum INTEGER NOT NULL,
    PRIMARY KEY (first, second)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS facts (
    image BLOB NOT NULL, about TEXT NOT NULL, said TEXT NOT NULL, checksum INTEGER NOT NULL,
    PRIMARY KEY (image, about)
) WITHOUT ROWID;
"""
_SOURCES = (
    ("glocal.ranking", ("",)),
    (
        "glocal.gallery",
        (
            "comparing",
            "pair_points",
            "originals",
            "traits",
            "holdings",
            "small_images",
            "thumbnails",
            "packed_features",
            "verifier",
        ),
    ),
    ("glocal.images", ("notes", "captions")),
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


class _DamagedRowError(Exception):
    """A row is not what was written: SQLite has no checksums, and files may depend on this one."""


class Outcomes:
    """The outcomes that a gallery remembers; use it as a context manager, or `close` it.

    Args:
        path: of the file, made when it is not there.
        rules: what they depend on beside the images; those of other rules are dropped.
    """

    def __init__(self, path: Path, rules: str) -> None:
        self._path = path
        self._rules = rules
        self._database: Database | None = None
        with self._begun_anew():
            self._database = self._opened()

    def _opened(self) -> Database | None:
        try:
            return Database(self._path, _SCHEMA)
        except GalleryDamagedError:
            raise
        except GalleryError as error:  # compared all the same, in an archive for instance
            _log.info("nothing is remembered: %s", error)
            return None

    @contextmanager
    def _begun_anew(self) -> Iterator[None]:
        """Where the file turns out to be damaged, an empty one takes its place."""
        try:
            yield
        except (GalleryDamagedError, _DamagedRowError):
            _log.warning("%s is damaged, and is begun anew", self._path)
            self.close()
            for suffix in ("", "-wal", "-shm"):
                self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)
            self._database = self._opened()

    def __enter__(self) -> Outcomes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        if self._database is not None:
            self._database.close()

    def keep_only(self, images: Collection[UUID]) -> None:
        """Drop what is remembered of other images, and of pairs that begin with them."""
        for table, column in (("compared", "first"), ("facts", "image")):
            known = set[UUID]()
            if self._database is not None:
                with self._begun_anew():
                    rows = self._database.rows(f"SELECT DISTINCT {column} FROM {table}")  # noqa: S608
                    known = {UUID(bytes=i) for (i,) in rows}
            gone = known.difference(images)
            self._change(
                f"DELETE FROM {table} WHERE {column} = ?",  # noqa: S608
                [(i.bytes,) for i in gone],
            )

    def of(self, firsts: Iterable[UUID]) -> dict[Pair, Outcome]:
        """Every outcome of pairs that begin with these images."""
        found: dict[Pair, Outcome] = {}
        if self._database is not None:
            with self._begun_anew():
                if self._current(self._database):
                    sql = (
                        "SELECT first, second, outcome, checksum FROM compared WHERE first IN (?*)"
                    )
                    keys = (first.bytes for first in firsts)
                    found = dict(self._database.rows_for(sql, keys, _read))
        return found

    def replace(self, found: Mapping[Pair, Outcome], stale: Collection[Pair]) -> None:
        """Remember outcomes, and drop those of pairs that are no neighbours any more.

        A gallery that cannot be written, or not now, is compared all the same.
        """
        self._change(
            "DELETE FROM compared WHERE first = ? AND second = ?",
            [(first.bytes, second.bytes) for first, second in stale],
        )
        self._change(
            "INSERT OR REPLACE INTO compared VALUES (?, ?, ?, ?)",
            [_row(*pair, outcome) for pair, outcome in found.items()],
        )

    def facts(self, images: Iterable[UUID]) -> dict[Fact, Any]:
        """What is known about images; see `glocal.gallery.originals.Originals`."""
        found: dict[Fact, Any] = {}
        if self._database is not None:
            with self._begun_anew():
                if self._current(self._database):
                    sql = "SELECT image, about, said, checksum FROM facts WHERE image IN (?*)"
                    keys = (image.bytes for image in images)
                    found = dict(self._database.rows_for(sql, keys, _read_fact))
        return found

    def remember(self, facts: Mapping[Fact, Any]) -> None:
        """Remember facts about images, where the gallery can be written."""
        rows = [(i.bytes, about, json.dumps(value)) for (i, about), value in facts.items()]
        self._change(
            "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?)",
            [(*row, _fact_checksum(*row)) for row in rows],
        )

    def _change(self, sql: str, rows: Sequence[tuple[Any, ...]]) -> None:
        database = self._database
        if database is None or database.read_only or not rows:
            return
        with (
            self._begun_anew(),
            suppress(GalleryLockedError, DiskFullError),
            database.change() as db,
        ):
            if not self._current(database):
                db.execute("DELETE FROM compared")
                db.execute("DELETE FROM facts")
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


def _row(first: UUID, second: UUID, outcome: Outcome) -> tuple[bytes, bytes, str | None, int]:
    said = None
    if outcome.evidence is not None:
        fields: dict[str, Any] = {"evidence": asdict(outcome.evidence)}
        if outcome.comparison is not None:
            fields["comparison"] = asdict(outcome.comparison)
            fields["comparison"]["homography"] = outcome.comparison.homography.tolist()
        said = json.dumps(fields)  # with Infinity, as Python writes and reads it
    return first.bytes, second.bytes, said, _checksum(first.bytes, second.bytes, said)


def _read(row: tuple[bytes, bytes, str | None, int]) -> tuple[Pair, Outcome]:
    first, second, said, checksum = row
    if checksum != _checksum(first, second, said):
        raise _DamagedRowError
    pair = UUID(bytes=first), UUID(bytes=second)
    if said is None:
        return pair, Outcome()
    fields = json.loads(said)
    evidence, comparison = fields["evidence"], fields.get("comparison")
    evidence["verdict"] = Verdict(evidence["verdict"])
    if evidence["homography"] is not None:
        evidence["homography"] = tuple(map(tuple, evidence["homography"]))
    if comparison is not None:
        comparison["homography"] = np.array(comparison["homography"], np.float64)
        comparison["differing"] = tuple(map(tuple, comparison["differing"]))
        comparison = Comparison(**comparison)
    return pair, Outcome(Evidence(**evidence), comparison)


def _read_fact(row: tuple[bytes, str, str, int]) -> tuple[Fact, Any]:
    image, about, said, checksum = row
    if checksum != _fact_checksum(image, about, said):
        raise _DamagedRowError
    return (UUID(bytes=image), about), json.loads(said)


def _fact_checksum(image: bytes, about: str, said: str) -> int:
    return crc32(b"\0".join([image, about.encode(), said.encode()]))


def _checksum(first: bytes, second: bytes, said: str | None) -> int:
    return crc32(b"\0".join([first, second, (said or "").encode()]))
