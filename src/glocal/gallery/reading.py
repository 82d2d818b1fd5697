"""Reading the texts that images lack: captions in older galleries, and words in the images."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from glocal.encoders.written_words import PIXELS, READER, WordReader
from glocal.errors import ImageError
from glocal.gallery import batches
from glocal.gallery.ahead import as_finished
from glocal.gallery.catalog import Catalog
from glocal.gallery.describing import unchanged
from glocal.gallery.progress import Progress
from glocal.gallery.texts import TextKind, Texts
from glocal.images import Limits, load
from glocal.images.captions import read_caption

_KEY = "ocr"
Listen = Callable[[Progress], None]


def read_missing(catalog: Catalog, limits: Limits, listen: Listen) -> int:
    """Read the words in images, in a gallery that wants them; how many images were read."""
    if catalog.get_state(_KEY) != READER:
        return 0
    missing = Texts(catalog).missing("image")
    if not missing:
        return 0
    reader = WordReader()

    def read(data: bytes, path: Path) -> str:
        return reader.read(load(data, min_pixels=PIXELS, limits=limits, name=path).array)

    return _complete(catalog, "image", missing, read, limits, listen)


def read_captions(catalog: Catalog, limits: Limits, listen: Listen) -> int:
    """Read captions that were never read; how many images were read."""
    missing = Texts(catalog).missing("caption")
    return _complete(catalog, "caption", missing, read_caption, limits, listen)


def choose(catalog: Catalog, *, wanted: bool) -> None:
    """Decide whether the words in images are read from now on; if not, those read are dropped.

    Raises:
        MissingExtraError: they are wanted, and what reads them is not installed.
    """
    chosen = READER if wanted else ""
    if wanted:
        WordReader()
    with catalog.change():
        if (catalog.get_state(_KEY) or "") != chosen:
            Texts(catalog).drop("image")  # another reader reads otherwise
            catalog.set_state(_KEY, chosen)


def _complete(
    catalog: Catalog,
    kind: TextKind,
    missing: list[UUID],
    read: Callable[[bytes, Path], str],
    limits: Limits,
    listen: Listen,
) -> int:
    """Read the texts of images, and keep them batch by batch: a run that is stopped goes on later.

    An image of which no file is readable and unchanged any more stays without.
    """

    def read_one(content: UUID) -> tuple[UUID, str | None]:
        paths = [path for _, path in catalog.files_of([content]).get(content, [])]
        for path, data in unchanged(paths, content, limits):
            try:
                return content, read(data, path)
            except ImageError:
                continue
        return content, None

    def write() -> int:
        with catalog.change():
            there = catalog.contents(found)  # others were removed meanwhile
            Texts(catalog).put(kind, [(i, text) for i, text in found.items() if i in there])
        found.clear()
        return len(there)

    found: dict[UUID, str] = {}
    done = 0
    results = as_finished(read_one, missing)
    try:
        for tried, (content, text) in enumerate(results, start=1):
            if text is not None:
                found[content] = text
            if len(found) >= batches.BATCH:
                done += write()
            listen(Progress("read", tried, len(missing)))
    finally:
        results.close()
        done += write()
    return done
