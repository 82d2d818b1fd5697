"""When a part of a gallery cannot even be opened: set it aside, so that the rest can be mended."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from glocal.errors import GalleryDamagedError
from glocal.gallery.catalog import Catalog
from glocal.gallery.layout import Layout, open_layout
from glocal.gallery.stores.edge import EdgeStore


def set_aside_damaged(folder: Path, timeout: float) -> list[str]:
    """Move a catalogue or a vector store that cannot be opened out of the way.

    A new catalogue knows the old one's roots, if those can still be read, so that `Gallery.repair`
    fills it again. Nothing is deleted.

    Args:
        folder: of the gallery.
        timeout: seconds to wait for other processes to let go of it.

    Returns:
        What was done, in words.

    Raises:
        GalleryLockedError: another process uses the gallery.
        GalleryMissingError: there is no gallery.
    """
    layout = open_layout(folder, model=None, sha256=None, create=False, timeout=timeout)
    done = []
    writing, holding = layout.write_lock(), layout.vectors_lock()
    writing.acquire(timeout)
    try:
        holding.acquire(timeout)
        try:
            if not _catalog_opens(layout):
                roots = _salvage_roots(layout.catalog)
                aside = _aside(layout.catalog)
                for suffix in ("-wal", "-shm"):
                    beside = layout.catalog.with_name(layout.catalog.name + suffix)
                    if beside.exists():
                        beside.rename(aside.with_name(aside.name + suffix))
                with closing(Catalog(layout.catalog)) as fresh:
                    for root in roots:
                        fresh.add_root(root)
                done.append(
                    f"the catalogue could not be read: it is now {aside.name}, and a new one "
                    f"knows {len(roots)} of its roots"
                )
            if not _store_opens(layout):
                aside = _aside(layout.vectors)
                done.append(f"the vectors could not be opened: they are now in {aside.name}")
        finally:
            holding.release()
    finally:
        writing.release()
    return done


def _catalog_opens(layout: Layout) -> bool:
    try:
        with closing(Catalog(layout.catalog)) as catalog:
            return not catalog.problems()
    except GalleryDamagedError:
        return False


def _store_opens(layout: Layout) -> bool:
    try:
        with closing(EdgeStore(layout.vectors, layout.model.dim)) as store:
            store.status()
    except GalleryDamagedError:
        return False
    return True


def _salvage_roots(path: Path) -> list[Path]:
    try:
        with closing(sqlite3.connect(path)) as db:
            return [Path(os.fsdecode(p)) for (p,) in db.execute("SELECT path FROM roots")]
    except sqlite3.Error:
        return []


def _aside(path: Path) -> Path:
    number = 1
    while (target := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    return path.rename(target)
