"""Reading files for an index run: here, in threads, or by workers on other machines."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Protocol
from uuid import UUID

from glocal.encoders import OWN, OnnxEncoder, RegionSettings, open_detector
from glocal.errors import ImageError
from glocal.gallery.ahead import as_finished
from glocal.gallery.batches import ReadFile
from glocal.gallery.describing import Describer, content_id
from glocal.gallery.walk import FoundFile
from glocal.images import Limits, read_bytes
from glocal.images.url_paths import UrlPath

Found = tuple[Path, FoundFile]
"""A file with the folder that it was found in."""

Reading = Callable[[Iterable[Found]], Generator[ReadFile, None, None]]
"""Reads files and yields each as it is done, taking them only as results are taken from it."""


@dataclass(frozen=True, slots=True)
class FileReader:
    """Reads and describes one file; any thread may call.

    Args:
        describer: describes what is new.
        known: whether the gallery has a content already, which is then not described again.
    """

    describer: Describer
    known: Callable[[UUID], bool]

    def read(self, found: Found) -> ReadFile:
        """Read a file that was found in a folder; why it cannot be used is part of the result."""
        folder, file = found
        path = folder / os.fsdecode(file.name)
        limits = self.describer.limits
        try:
            if isinstance(path, UrlPath) and file.size >= 0:
                limits.check_bytes(file.size)  # nothing is sent of what is too large
            data = read_bytes(path, limits)
        except ImageError as error:
            lasting = file.size == 0 or file.size > limits.max_bytes
            return ReadFile(folder, file, reason=str(error), lasting=lasting)
        content = content_id(data)
        if self.known(content):
            return ReadFile(folder, file, content)
        try:
            return ReadFile(folder, file, content, self.describer.describe(data, path))
        except ImageError as error:
            return ReadFile(folder, file, reason=str(error), lasting=True)

    def read_all(self, files: Iterable[Found]) -> Generator[ReadFile, None, None]:
        """Read files in as many threads as there are cores; see `Reading`."""
        return as_finished(self.read, files)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that another process needs to describe images as this one would, but the model's bytes.

    Attributes:
        sha256: of the model's file.
        detector: name of the detector of local features.
        limits: of what is read.
        regions: which regions get a vector; `None` for none.
    """

    sha256: str
    detector: str
    limits: Limits
    regions: RegionSettings | None

    def describer(self, model: Path, *, side_by_side: int = 1) -> Describer:
        """Open the model, of which nothing is read any more afterwards.

        Args:
            model: its file.
            side_by_side: how many images may be encoded at a time, each by one core.

        Raises:
            ModelError: it cannot be run.
            PartError: there is no such detector here.
            MissingExtraError: the detector needs a package that is not installed.
        """
        encoder = OnnxEncoder(model, threads=1, sessions=side_by_side)
        extra = None if self.detector == OWN else open_detector(self.detector, encoder)
        return Describer(encoder, extra, self.limits, self.regions)


class Workers(Protocol):
    """Processes that read files for a gallery, on any number of machines.

    What they give back is what `FileReader` gives, so that whoever writes it need not know.
    """

    def read(
        self, recipe: Recipe, model: Path, files: Iterable[Found]
    ) -> Generator[ReadFile, None, None]:
        """Read files; see `Reading`.

        Args:
            recipe: how images are described.
            model: the file of the model, which the workers may not be able to see.
            files: what to read; taken only as results are taken, so memory stays bounded.

        Raises:
            GalleryError: there are no workers, or they cannot do it.
            MissingExtraError: what reaches them is not installed.
        """
        ...


@dataclass(frozen=True, slots=True)
class Apart:
    """Has workers read all files but those of one folder, which they may not be able to see.

    Args:
        there: has files read by workers.
        here: gives what reads the files of the folder, when there are any.
        folder: of images that were added without a file of their own, in the gallery's.
    """

    there: Reading
    here: Callable[[], Reading]
    folder: Path

    def read(self, files: Iterable[Found]) -> Generator[ReadFile, None, None]:
        """Read files; see `Reading`. No worker is asked for where there is nothing else."""
        mine: list[Found] = []
        others = self._others(files, mine)
        first = next(others, None)
        if first is not None:
            yield from self.there(chain([first], others))
        if mine:
            yield from self.here()(mine)

    def _others(self, files: Iterable[Found], mine: list[Found]) -> Iterator[Found]:
        for found in files:
            if found[0] == self.folder:
                mine.append(found)
            else:
                yield found
