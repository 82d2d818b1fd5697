"""Writing to a gallery in batches that are whole or absent, whoever else writes at the same time.

A batch is one transaction of the catalogue, in which the store takes part. Everything that it
depends on is looked up inside, so that two runs over the same folder, or a removal between two
batches, cannot double or lose anything.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from uuid import UUID

from glocal.gallery import packed_features
from glocal.gallery.catalog import FileState
from glocal.gallery.completing import region_record
from glocal.gallery.context import Context
from glocal.gallery.describing import Description
from glocal.gallery.records import Record
from glocal.gallery.results import Failure
from glocal.gallery.texts import Texts
from glocal.gallery.walk import FoundFile

BATCH = 64
"""Images written at once; a killed run loses at most these."""

_MANY = 1_000  # files removed at once
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ReadFile:
    """What reading one file came to: a content (new to the gallery or not), or a reason.

    Attributes:
        folder: that the file lies in.
        file: as it was found there.
        content: what it holds.
        description: of the content, when it was not in the gallery.
        reason: why the file cannot be used.
        lasting: whether the reason lies in the content, so that it is of no use to try again.
    """

    folder: Path
    file: FoundFile
    content: UUID | None = None
    description: Description | None = None
    reason: str | None = None
    lasting: bool = False


@dataclass(slots=True)
class BatchWriter:
    """Writes what was read and removes what is gone.

    Args:
        context: of the gallery.
        reader: noted with files that cannot be read; see `FileState`.
        require: raises an error, inside the transaction, where the batch must not be written.

    Attributes:
        added: files that were new, so far.
        updated: files whose content had changed.
        unchanged: files that had been read already.
        failed: files that could not be used.
        truncated: files that were cut off and are in the gallery nevertheless.
    """

    context: Context
    reader: str
    require: Callable[[], None]
    added: int = 0
    updated: int = 0
    unchanged: int = 0
    failed: list[Failure] = field(default_factory=list)
    truncated: list[Path] = field(default_factory=list)
    _numbers: dict[Path, int] = field(default_factory=dict)

    def write(self, batch: Sequence[ReadFile]) -> list[ReadFile]:
        """Commit a batch.

        Returns:
            Files of it that have to be read again: their content was in the gallery when they were
            read, and was removed meanwhile.

        Raises:
            DiskFullError: there is too little space; nothing of the batch was kept.
        """
        if not batch:
            return []
        self.context.layout.require_space()
        return self.context.catalog.repeat(lambda: self._write(batch))

    def _write(self, batch: Sequence[ReadFile]) -> list[ReadFile]:
        catalog, store = self.context.catalog, self.context.store
        for folder in {read.folder for read in batch} - set(self._numbers):
            self._numbers[folder] = catalog.folder(folder, _device)
        with self._counted_once(), catalog.change():
            self.require()
            described = {r.content: r.description for r in batch if r.content and r.description}
            known = set(catalog.contents(r.content for r in batch if r.content))
            new = {i: d for i, d in described.items() if i not in known}
            known.update(new)
            stale = [read for read in batch if read.content and read.content not in known]
            batch = [read for read in batch if not read.content or read.content in known]
            homes = catalog.homes_of(known)
            grown: dict[UUID, set[int]] = {}
            for read in batch:
                number = self._numbers[read.folder]
                if read.content and number not in homes.setdefault(read.content, set()):
                    homes[read.content].add(number)
                    grown[read.content] = homes[read.content]
            folders = catalog.folders_above(grown)
            store.upsert(
                [
                    Record(i, d.features.vector, d.content.attributes(folders[i]))
                    for i, d in new.items()
                ]
            )
            moved = {i: folders[i] for i in grown if i not in new}
            store.set_folders(moved)
            if (regions := self.context.regions.store) is not None:
                regions.upsert(
                    [
                        region_record(d, folders[i])
                        for i, d in new.items()
                        if len(d.features.regions)
                    ]
                )
                regions.set_folders(moved)
            form = self.context.layout.store.descriptors
            catalog.put_contents(
                [d.content for d in new.values()],
                [
                    (i, packed_features.pack(d.features.local, d.small, form=form))
                    for i, d in new.items()
                    if d.encoded
                ],
            )
            Texts(catalog).put("caption", [(i, d.caption) for i, d in new.items()])
            catalog.put_truncated((i, d.share) for i, d in new.items() if d.share < 1)
            catalog.put_files([*self._states(batch)])
            _log.debug("wrote a batch of %d files, %d of them new images", len(batch), len(new))
        return stale

    @contextmanager
    def _counted_once(self) -> Iterator[None]:
        """What was counted in a change that was not kept is taken back."""
        counts = self.added, self.updated, self.unchanged
        failed, truncated = len(self.failed), len(self.truncated)
        try:
            yield
        except BaseException:
            self.added, self.updated, self.unchanged = counts
            del self.failed[failed:], self.truncated[truncated:]
            raise

    def _states(self, batch: Sequence[ReadFile]) -> Iterator[tuple[int, FileState]]:
        """The new state of each file of a batch, counted on the way."""
        catalog = self.context.catalog
        names: dict[int, list[bytes]] = {}
        for read in batch:
            names.setdefault(self._numbers[read.folder], []).append(read.file.name)
        known = {number: catalog.files_named(number, n) for number, n in names.items()}
        truncated = catalog.truncated()
        for read in batch:
            number, file = self._numbers[read.folder], read.file
            before = known[number].get(file.name)
            was = before.content if before else None
            if read.reason is not None:
                path = read.folder / os.fsdecode(file.name)
                _log.info("skipping %s: %s", path, read.reason)
                self.failed.append(Failure(path, read.reason))
                if not read.lasting and was is not None:
                    continue  # unreadable for the moment: what is known of it is kept
            elif was is None:
                self.added += 1
            elif was == read.content:
                self.unchanged += 1
            else:
                self.updated += 1
            if read.content in truncated:
                self.truncated.append(read.folder / os.fsdecode(file.name))
            reader = self.reader if read.lasting else None
            yield (
                number,
                FileState(
                    file.name,
                    file.size,
                    file.modified,
                    read.content,
                    read.reason,
                    reader,
                    file.changed,
                ),
            )

    def remove(self, files: Sequence[tuple[int, bytes]]) -> None:
        """Remove files, by the number of their folder and their name."""
        catalog = self.context.catalog

        def drop(some: Sequence[tuple[int, bytes]]) -> None:
            with catalog.change():
                catalog.drop_files(some)

        for start in range(0, len(files), _MANY):
            catalog.repeat(partial(drop, files[start : start + _MANY]))

    def learn(self, changed: Sequence[tuple[int, bytes, int]]) -> None:
        """Note when files changed: see `Plan.learned`."""
        for start in range(0, len(changed), _MANY):
            with self.context.catalog.change():
                self.context.catalog.note_changed(changed[start : start + _MANY])

    def settle(self) -> None:
        """Remove images that no file holds any more, also those of a run that was cut short.

        This comes after everything was read: a file that was renamed brings its image back before.
        """
        catalog = self.context.catalog
        while lost := catalog.lost(_MANY):
            catalog.repeat(partial(self._settle, lost))

    def _settle(self, lost: Sequence[UUID]) -> None:
        catalog, store = self.context.catalog, self.context.store
        with catalog.change():
            held = catalog.folders_of(lost)
            dead = [i for i in lost if i not in held]
            for each in (store, self.context.regions.store):
                if each is not None:
                    each.delete(dead)
                    each.set_folders(held)
            catalog.drop_contents(dead)
            catalog.settle(lost)


def _device(folder: Path) -> int | None:
    try:
        return folder.stat().st_dev
    except OSError:
        return None
