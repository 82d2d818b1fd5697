"""Local features or regions for images that have none: of older galleries, or after a change."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from pathlib import Path
from uuid import UUID

from glocal.errors import ImageError
from glocal.gallery import batches, packed_features
from glocal.gallery.ahead import as_finished
from glocal.gallery.catalog import Catalog
from glocal.gallery.describing import Describer, Description, unchanged
from glocal.gallery.progress import Progress
from glocal.gallery.records import RegionRecord
from glocal.gallery.stores.mixed import MixedRegions
from glocal.gallery.stores.regions import RegionStore

_BATCH_SECONDS = 2.0

Keep = Callable[[dict[UUID, Description]], None]
"""Writes something of the descriptions of images that are in the gallery; inside a change."""


def keep_local_features(catalog: Catalog, form: packed_features.Form) -> Keep:
    """What keeps local features.

    Args:
        catalog: of the gallery.
        form: of the descriptors; see `StorePlace.descriptors`.
    """

    def keep(found: dict[UUID, Description]) -> None:
        catalog.put_contents(
            [],
            [
                (i, packed_features.pack(d.features.local, d.small, form=form))
                for i, d in found.items()
            ],
        )

    return keep


def keep_regions(catalog: Catalog, store: RegionStore | MixedRegions) -> Keep:
    """What keeps regions."""

    def keep(found: dict[UUID, Description]) -> None:
        folders = catalog.folders_of(found)
        store.upsert([region_record(d, folders.get(i, ())) for i, d in found.items()])

    return keep


def region_record(described: Description, folders: tuple[int, ...]) -> RegionRecord:
    """The regions of an image that lies in these folders."""
    features, content = described.features, described.content
    return RegionRecord(content.id, features.regions, features.boxes, content.attributes(folders))


def complete(
    catalog: Catalog,
    missing: Sequence[UUID],
    describer: Describer,
    keep: Keep,
    require: Callable[[], None],
    listen: Callable[[Progress], None],
) -> int:
    """Read images again and keep what they lack; vectors stay as they are.

    An image of which no file is readable and unchanged any more is left without. What was done
    when a run is stopped is kept.

    Args:
        catalog: the gallery's.
        missing: the images.
        describer: describes them.
        keep: writes what was missing.
        require: raises an error where that is not wanted any more; see `Changes.require`.
        listen: told the progress.

    Returns:
        How many images were completed.
    """

    def write() -> int:
        with catalog.change():
            require()
            there = catalog.contents(found)  # others were removed meanwhile
            keep({i: described for i, described in found.items() if i in there})
        found.clear()
        return len(there)

    found: dict[UUID, Description] = {}
    done, written = 0, time.monotonic()
    results = describe_again(catalog, missing, describer)
    try:
        for tried, (content, described) in enumerate(results, start=1):
            if described is not None:
                found[content] = described
            if len(found) >= batches.BATCH or time.monotonic() - written > _BATCH_SECONDS:
                done += write()
                written = time.monotonic()
            listen(Progress("encode", tried, len(missing)))
    finally:
        results.close()
        done += write()
    return done


def describe_again(
    catalog: Catalog, contents: Iterable[UUID], describer: Describer
) -> Generator[tuple[UUID, Description | None], None, None]:
    """Describe images of the gallery as they finish; `None` where no file is readable as it was.

    Args:
        catalog: the gallery's.
        contents: the images.
        describer: describes them.
    """

    def describe(image: tuple[UUID, list[Path]]) -> tuple[UUID, Description | None]:
        content, paths = image
        for path, data in unchanged(paths, content, describer.limits):
            try:
                return content, describer.describe(data, path)
            except ImageError:
                continue
        return content, None

    return as_finished(describe, _with_files(catalog, contents))


def _with_files(catalog: Catalog, contents: Iterable[UUID]) -> Iterator[tuple[UUID, list[Path]]]:
    for content in contents:
        yield content, [path for _, path in catalog.files_of([content]).get(content, [])]
