"""From format 1, whose vectors Qdrant Edge kept, to format 2: in place, nothing is encoded again.

Safe at any moment: the old vectors are only read, images get their rows batch by batch (those that
have one are passed over when a migration goes on after a kill), and ``gallery.json`` is written
last. What is left of the old store is deleted by the next opening that finds the new one whole.
"""

from __future__ import annotations

import logging
import sqlite3
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import OnnxEncoder
from glocal.encoders.spaces import space_of
from glocal.errors import GalleryDamagedError, MissingExtraError, ModelError, install_command
from glocal.gallery.catalog import Catalog
from glocal.gallery.layout import Layout, read_description, write_description
from glocal.gallery.locks import locked
from glocal.gallery.model_id import ModelId
from glocal.gallery.records import Record
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.flat import FlatStore

if TYPE_CHECKING:
    from qdrant_edge import EdgeShard

_PAGE = 2_000
_log = logging.getLogger(__name__)


def migrate(folder: Path, timeout: float) -> None:
    """Migrate a gallery of format 1.

    Args:
        folder: of the gallery.
        timeout: seconds to wait for other processes that use it.

    Raises:
        MissingExtraError: qdrant-edge-py is not installed.
        GalleryLockedError: another process, perhaps of the version that made it, uses the gallery.
        GalleryDamagedError: its vectors cannot be read.
    """
    with (
        # The locks of the version that made it: whoever changes it, and whoever has the vectors.
        locked(folder / "write.lock", f"gallery {folder} (to migrate it)", timeout),
        locked(folder / "vectors.lock", f"gallery {folder} (to migrate it)", timeout),
    ):
        described = read_description(folder)
        if described["format"] != 1:
            return  # another process was quicker
        model = ModelId(**described["model"], space="")
        layout = Layout(folder, model)
        card = None
        with suppress(ModelError):  # searches will say so
            card = OnnxEncoder(layout.model_file).card
        layout = replace(layout, model=replace(model, space=space_of(card, model.sha256)))
        shard = _open_shard(layout.vectors)
        _log.info("migrating gallery %s to format 2", folder)
        _rename_tables(layout.catalog)
        with closing(Catalog(layout.catalog)) as catalog:
            rows = RowTable(catalog, layout.model.space)
            store = FlatStore(layout.vectors, layout.model.dim, rows, layout.store.coding)
            _copy(catalog, store, shard)
        if shard is not None:
            shard.close()
        write_description(folder, layout.model, layout.store)
    for name in ("vectors.lock", "vectors.lock.json", "write.lock.json"):
        (folder / name).unlink(missing_ok=True)


def _open_shard(folder: Path) -> EdgeShard | None:
    """The old vectors; `None` of a gallery that never had any."""
    if not (folder / "current").exists():
        return None
    try:
        import qdrant_edge
    except ImportError as error:
        raise MissingExtraError(
            "the gallery was made by an older glocal, and reading its vectors once needs a "
            f"package that is not installed: {install_command('glocal[migrate]')}"
        ) from error
    name = (folder / "current").read_bytes().decode("ascii", "replace").strip()
    try:
        return qdrant_edge.EdgeShard.load(str(folder / name))
    except Exception as error:
        raise GalleryDamagedError(
            f"the vectors in {folder} cannot be read ({error}); delete the gallery's folder and "
            "index the images again"
        ) from error


def _rename_tables(catalog: Path) -> None:
    with closing(sqlite3.connect(catalog, isolation_level=None)) as db:
        tables = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        if "parts" in tables and "local_features" not in tables:
            db.execute("ALTER TABLE parts RENAME TO local_features")


def _copy(catalog: Catalog, store: FlatStore, shard: EdgeShard | None) -> None:
    """Give every image its row; one without a vector leaves, so that the next run reads it again.

    Vectors that no image names are those of a change that was cut short: they are left behind.
    """
    with catalog.change():
        catalog.drop_contents(catalog.unreferenced())
    done = {i for i, _ in store.scan()}
    ids = sorted(catalog.content_ids() - done)
    for start in range(0, len(ids), _PAGE):
        page = ids[start : start + _PAGE]
        vectors = _vectors(shard, page) if shard is not None else {}
        contents, folders = catalog.contents(page), catalog.folders_of(page)
        with catalog.change():
            store.upsert(
                [Record(i, v, contents[i].attributes(folders[i])) for i, v in vectors.items()]
            )
            catalog.drop_contents([i for i in page if i not in vectors])


def _vectors(shard: EdgeShard, ids: list[UUID]) -> dict[UUID, NDArray[np.float32]]:
    found = shard.retrieve(list(ids), with_payload=False, with_vector=True)
    return {
        UUID(str(point.id)): np.asarray(point.vector, np.float32)
        for point in found
        if isinstance(point.vector, list)  # a damaged file may have lost it
    }
