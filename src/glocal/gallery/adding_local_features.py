"""Local features for images that have none: of older galleries, or after a change of detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

from glocal.errors import ImageError
from glocal.gallery import batches, packed_features
from glocal.gallery.ahead import as_finished
from glocal.gallery.catalog import Catalog
from glocal.gallery.describing import Describer, content_id
from glocal.gallery.progress import Progress
from glocal.images import read_bytes


def add_local_features(
    catalog: Catalog,
    describer: Describer,
    require: Callable[[], None],
    listen: Callable[[Progress], None],
) -> int:
    """Read images without local features again and keep these; vectors stay as they are.

    An image of which no file is readable and unchanged any more is left without. What was done
    when a run is stopped is kept.

    Args:
        catalog: the gallery's.
        describer: finds the local features.
        require: raises an error where these are not the gallery's any more; see `Models.require`.
        listen: told the progress.

    Returns:
        How many images were given local features.
    """

    def find(image: tuple[UUID, list[Path]]) -> tuple[UUID, bytes | None]:
        content, paths = image
        for path in paths:
            try:
                data = read_bytes(path, describer.limits)
                if content_id(data) == content:
                    described = describer.describe(data, path)
                    return content, packed_features.pack(described.features.local, described.small)
            except ImageError:
                continue
        return content, None

    def keep() -> int:
        with catalog.change():
            require()
            there = catalog.contents(i for i, _ in found)  # others were removed meanwhile
            catalog.put_contents([], [(i, packed) for i, packed in found if i in there])
        found.clear()
        return len(there)

    missing = catalog.without_local_features()
    found: list[tuple[UUID, bytes]] = []
    done = 0
    results = as_finished(find, _with_files(catalog, missing))
    try:
        for tried, (content, packed) in enumerate(results, start=1):
            if packed is not None:
                found.append((content, packed))
            if len(found) >= batches.BATCH:
                done += keep()
            listen(Progress("encode", tried, len(missing)))
    finally:
        results.close()
        done += keep()
    return done


def _with_files(catalog: Catalog, contents: list[UUID]) -> Iterator[tuple[UUID, list[Path]]]:
    for content in contents:
        yield content, [path for _, path in catalog.files_of([content]).get(content, [])]
