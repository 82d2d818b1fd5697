"""When a catalogue cannot even be opened: set it aside, so that the rest can be mended."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from glocal.errors import GalleryDamagedError
from glocal.gallery.catalog import Catalog
from glocal.gallery.layout import Layout, open_layout
from glocal.gallery.locks import locked
from glocal.images.url_paths import as_path


def set_aside_damaged(folder: Path, timeout: float) -> list[str]:
    """Move a catalogue that cannot be read out of the way, and with it the vectors that it numbers.

    A new catalogue knows the old one's roots, if those can still be read, so that `Gallery.repair`
    fills it again. Nothing is deleted. Vectors that are damaged by themselves are mended by
    `Gallery.repair` alone.

    Args:
        folder: of the gallery.
        timeout: seconds to wait for another process that does the same.

    Returns:
        What was done, in words.

    Raises:
        GalleryLockedError: another process is making, migrating or rescuing the gallery.
        GalleryMissingError: there is no gallery.
    """
    layout = open_layout(folder, model=None, sha256=None, create=False, timeout=timeout)
    if layout.store.catalogue:
        return []  # a server's own business
    with locked(layout.folder / "write.lock", f"gallery {layout.folder}", timeout):
        if _catalog_opens(layout):
            return []
        roots = _salvage_roots(layout.catalog)
        aside = _aside(layout.catalog)
        for suffix in ("-wal", "-shm"):
            beside = layout.catalog.with_name(layout.catalog.name + suffix)
            if beside.exists():
                beside.rename(aside.with_name(aside.name + suffix))
        if layout.vectors.exists():
            _aside(layout.vectors)
        with closing(Catalog(layout.catalog)) as fresh:
            for root in roots:
                fresh.add_root(root)
        then = "" if roots else "; index your folders again: glocal index FOLDER"
        return [
            f"the catalogue could not be read: it is now {aside.name}, and a new one "
            f"knows {len(roots)} of its roots{then}"
        ]


def _catalog_opens(layout: Layout) -> bool:
    try:
        with closing(Catalog(layout.catalog)) as catalog:
            return not catalog.problems()
    except GalleryDamagedError:
        return False


def _salvage_roots(path: Path) -> list[Path]:
    try:
        with closing(sqlite3.connect(path)) as db:
            return [as_path(os.fsdecode(p)) for (p,) in db.execute("SELECT path FROM roots")]
    except sqlite3.Error:
        return []


def _aside(path: Path) -> Path:
    number = 1
    while (target := path.with_name(f"{path.name}.broken-{number}")).exists():
        number += 1
    return path.rename(target)
