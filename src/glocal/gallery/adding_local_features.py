"""Local features for images that have none: of older galleries, or after a change of detector."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

from glocal.encoders import Detector, Encoder
from glocal.errors import ImageError
from glocal.gallery import packed_features
from glocal.gallery.ahead import as_finished
from glocal.gallery.catalog import Catalog
from glocal.gallery.indexing import BATCH, Progress, content_id, describe
from glocal.images import Limits, read_bytes


def add_local_features(
    catalog: Catalog,
    encoder: Encoder,
    detector: Detector | None,
    limits: Limits,
    listen: Callable[[Progress], None],
) -> int:
    """Read images without local features again and keep their parts; vectors stay as they are.

    An image of which no file is readable and unchanged any more is left without. What was done
    when a run is stopped is kept.

    Returns:
        How many images were given parts.
    """

    def find(image: tuple[UUID, list[Path]]) -> tuple[UUID, bytes | None]:
        content, paths = image
        for path in paths:
            try:
                data = read_bytes(path, limits)
                if content_id(data) == content:
                    _, features, small = describe(data, encoder, detector, limits, name=path)
                    return content, packed_features.pack(features.local, small)
            except ImageError:
                continue
        return content, None

    missing = catalog.without_local_features()
    found: list[tuple[UUID, bytes]] = []
    done = 0
    results = as_finished(find, _with_files(catalog, missing))
    try:
        for tried, (content, packed) in enumerate(results, start=1):
            if packed is not None:
                found.append((content, packed))
            if len(found) >= BATCH:
                done += _keep(catalog, found)
            listen(Progress("encode", tried, len(missing)))
    finally:
        results.close()
        done += _keep(catalog, found)
    return done


def _with_files(catalog: Catalog, contents: list[UUID]) -> Iterator[tuple[UUID, list[Path]]]:
    for content in contents:
        yield content, [path for _, path in catalog.files_of([content]).get(content, [])]


def _keep(catalog: Catalog, found: list[tuple[UUID, bytes]]) -> int:
    with catalog.change():
        catalog.put_contents([], found)
    count = len(found)
    found.clear()
    return count
