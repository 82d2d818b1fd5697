"""An index run: read, encode and write what a plan says, in batches that are whole or absent."""

from __future__ import annotations

import hashlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from glocal.encoders import Detector, Encoder, Features
from glocal.errors import ImageError
from glocal.gallery import packed_features
from glocal.gallery.ahead import as_finished
from glocal.gallery.catalog import Catalog, Content, FileState
from glocal.gallery.layout import Layout
from glocal.gallery.plan import Plan
from glocal.gallery.records import Record
from glocal.gallery.results import Failure, IndexReport
from glocal.gallery.stores.base import Store
from glocal.gallery.thumbnails import shrink, to_jpeg
from glocal.gallery.walk import FoundFile
from glocal.images import Facts, Limits, load, read_bytes

BATCH = 64
"""Images written at once; a killed run loses at most these."""

_BATCH_SECONDS = 2.0
_log = logging.getLogger(__name__)
_EPOCH_DAY = 719_163  # 1970-01-01 as a proleptic ordinal


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: ``scan`` (looking through folders), ``encode`` or ``graph`` (building the index);
            of `Gallery.duplicates`: ``neighbours`` and ``verify``.
        done: files seen or read, images or pairs compared.
        total: how many there are, when it is known.
        unchanged: files that needed nothing.
        failed: files that could not be used, so far.
    """

    stage: str
    done: int = 0
    total: int | None = None
    unchanged: int = 0
    failed: int = 0


def quiet(progress: Progress) -> None:
    """Listen to the progress of a run and do nothing."""


def content_id(data: bytes) -> UUID:
    """Name an image by its file's content: 128 bits of SHA-256, which processors are built for."""
    return UUID(bytes=hashlib.sha256(data).digest()[:16])


def describe(
    data: bytes, encoder: Encoder, detector: Detector | None, limits: Limits, *, name: Path
) -> tuple[Facts, Features, bytes]:
    """Decode a file's content and make its features, with the detector's parts if there is one.

    Returns:
        What the file says of itself, the features, and the image, small, as JPEG.

    Raises:
        ImageError: it is no image that can be used.
    """
    least = max(encoder.card.area, detector.area if detector else 0)
    image = load(data, min_pixels=least, limits=limits, name=name)
    features = encoder.encode([image.array])[0]
    if detector is not None:
        found = detector.detect(image.array)
        features = Features(features.vector, found.keypoints, found.descriptors, found.scores)
    return image.facts, features, to_jpeg(shrink(image.array))


@dataclass(frozen=True, slots=True)
class _Read:
    """What reading one file came to: a content (new to the gallery or not), or a reason."""

    folder: Path
    file: FoundFile
    content: UUID | None = None
    facts: Facts | None = None
    features: Features | None = None
    small: bytes = b""
    reason: str | None = None
    lasting: bool = False  # the reason lies in the content: no use to try again


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads and encodes one file; called from many threads."""

    catalog: Catalog
    encoder: Encoder
    detector: Detector | None
    limits: Limits

    def read(self, found: tuple[Path, FoundFile]) -> _Read:
        """Read a file that was found in a folder; what is known already is not encoded."""
        folder, file = found
        path = folder / os.fsdecode(file.name)
        try:
            data = read_bytes(path, self.limits)
        except ImageError as error:
            lasting = file.size == 0 or file.size > self.limits.max_bytes
            return _Read(folder, file, reason=str(error), lasting=lasting)
        content = content_id(data)
        if self.catalog.known(content):
            return _Read(folder, file, content)
        try:
            described = describe(data, self.encoder, self.detector, self.limits, name=path)
        except ImageError as error:
            return _Read(folder, file, reason=str(error), lasting=True)
        return _Read(folder, file, content, *described)


@dataclass(slots=True)
class IndexRun:
    """One run over a plan.

    Args:
        layout: of the gallery.
        catalog: the gallery's.
        open_store: gives the gallery's store; a run that changes nothing never calls it.
        load_encoder: gives what makes the features.
        load_detector: gives what finds the local features, or None where the encoder does.
        limits: of what is read.
        reader: see `Planner`.
        listen: told the progress.
    """

    layout: Layout
    catalog: Catalog
    open_store: Callable[[], Store]
    load_encoder: Callable[[], Encoder]
    load_detector: Callable[[], Detector | None]
    limits: Limits
    reader: str
    listen: Callable[[Progress], None] = quiet
    _added: int = 0
    _updated: int = 0
    _unchanged: int = 0
    _numbers: dict[Path, int] = field(default_factory=dict)
    _failed: list[Failure] = field(default_factory=list)
    _lost: set[UUID] = field(default_factory=set)

    def carry_out(self, plan: Plan, started: float) -> IndexReport:
        """Do what the plan says and report; `started` is `time.monotonic` when planning began.

        Raises:
            DiskFullError: too little space; everything committed so far is whole.
            KeyboardInterrupt: as it came, after the last full batch was committed.
        """
        self._failed = list(plan.failed)
        self._unchanged = plan.unchanged
        total = plan.count()
        encoding = 0.0
        if total:
            encoder, store = self.load_encoder(), self.open_store()
            began = time.monotonic()
            self._read_all(plan, total, encoder, store)
            encoding = time.monotonic() - began
        if plan.gone or self._lost:
            self._remove(plan, self.open_store())
        if total or plan.gone:
            self._build_graph(self.open_store())
        return IndexReport(
            added=self._added,
            updated=self._updated,
            unchanged=self._unchanged,
            removed=len(plan.gone),
            failed=tuple(self._failed),
            unreachable=tuple(plan.unreachable),
            seconds=time.monotonic() - started,
            images_per_second=total / encoding if total else 0.0,
        )

    def _read_all(self, plan: Plan, total: int, encoder: Encoder, store: Store) -> None:
        self.layout.require_space()
        reader = _Reader(self.catalog, encoder, self.load_detector(), self.limits)
        reads = as_finished(reader.read, plan.files())
        batch: list[_Read] = []
        written = time.monotonic()
        done = 0
        try:
            for read in reads:
                batch.append(read)
                done += 1
                if len(batch) >= BATCH or time.monotonic() - written > _BATCH_SECONDS:
                    self._write(batch, store)
                    batch, written = [], time.monotonic()
                self.listen(
                    Progress(
                        "encode", done, total, self._unchanged, len(self._failed) + _bad(batch)
                    )
                )
        finally:
            # Also on Ctrl-C: what has been read by now is worth keeping.
            reads.close()
            self._write(batch, store)

    def _write(self, batch: list[_Read], store: Store) -> None:
        """Commit a batch: vectors first, then the rows that make them part of the gallery."""
        if not batch:
            return
        self.layout.require_space()
        for folder in {read.folder for read in batch} - set(self._numbers):
            self._numbers[folder] = self.catalog.folder(folder, _device)
        numbers = {read.folder: self._numbers[read.folder] for read in batch}
        good = [read for read in batch if read.content is not None]
        homes = self.catalog.homes_of(_ids(good))
        grown: dict[UUID, set[int]] = {}
        for read in good:
            if read.content and numbers[read.folder] not in homes.get(read.content, ()):
                grown[read.content] = homes.setdefault(read.content, set())
                grown[read.content].add(numbers[read.folder])
        folders = self.catalog.folders_above(grown)
        new: dict[UUID, tuple[Content, Features, bytes]] = {}
        for read in good:
            if read.content in grown and read.facts and read.features:
                content = _content(read.content, read.facts)
                new[read.content] = content, read.features, read.small
        store.upsert(
            [
                Record(i, features.vector, content.attributes(folders[i]))
                for i, (content, features, _) in new.items()
            ]
        )
        store.set_folders({i: folders[i] for i in grown if i not in new})
        _log.debug("writing a batch of %d files, %d of them new images", len(batch), len(new))
        with self.catalog.change():
            self.catalog.put_contents(
                [content for content, *_ in new.values()],
                [
                    (i, packed_features.pack(features.local, small))
                    for i, (_, features, small) in new.items()
                ],
            )
            self.catalog.put_files(self._states(batch, numbers))

    def _states(
        self, batch: list[_Read], numbers: dict[Path, int]
    ) -> Iterator[tuple[int, FileState]]:
        """The new state of each file of a batch, counted on the way."""
        names: dict[int, list[bytes]] = {}
        for read in batch:
            names.setdefault(numbers[read.folder], []).append(read.file.name)
        known = {number: self.catalog.files_named(number, n) for number, n in names.items()}
        for read in batch:
            number, file = numbers[read.folder], read.file
            before = known[number].get(file.name)
            was = before.content if before else None
            if read.reason is not None:
                path = read.folder / os.fsdecode(file.name)
                _log.info("skipping %s: %s", path, read.reason)
                self._failed.append(Failure(path, read.reason))
                if not read.lasting and was is not None:
                    continue  # unreadable for the moment: what is known of it is kept
            elif was is None:
                self._added += 1
            elif was == read.content:
                self._unchanged += 1
            else:
                self._updated += 1
            if was is not None and was != read.content:
                self._lost.add(was)
            yield (
                number,
                FileState(
                    file.name,
                    file.size,
                    file.modified,
                    read.content,
                    read.reason,
                    self.reader if read.lasting else None,
                ),
            )

    def _remove(self, plan: Plan, store: Store) -> None:
        """Forget files that are gone, and contents that no file holds any more."""
        gone: dict[int, list[bytes]] = {}
        for number, name in plan.gone:
            gone.setdefault(number, []).append(name)
        for number, names in gone.items():
            states = self.catalog.files_in(number)
            self._lost.update(s.content for n in names if (s := states.get(n)) and s.content)
        with self.catalog.change():
            self.catalog.drop_files(plan.gone)
        held = self.catalog.folders_of(self._lost)
        dead = [i for i in self._lost if i not in held]
        with self.catalog.change():
            self.catalog.drop_contents(dead)
        store.delete(dead)
        store.set_folders(held)

    def _build_graph(self, store: Store) -> None:
        """Begin a graph build if one is due, and wait for it."""
        store.flush()
        if store.build_graph():
            vectors = store.status().vectors
            while store.status().building:
                self.listen(Progress("graph", total=vectors))
                time.sleep(0.1)


def _ids(reads: list[_Read]) -> list[UUID]:
    return [read.content for read in reads if read.content is not None]


def _bad(batch: list[_Read]) -> int:
    return sum(read.reason is not None for read in batch)


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:
        return None


def _content(content: UUID, facts: Facts) -> Content:
    taken = None
    if facts.taken is not None:
        days = facts.taken.toordinal() - _EPOCH_DAY
        clock = facts.taken.time()
        taken = days * 86_400 + clock.hour * 3600 + clock.minute * 60 + clock.second
    return Content(
        content,
        facts.width,
        facts.height,
        facts.bytes or 0,
        taken,
        facts.camera,
        facts.latitude,
        facts.longitude,
    )
