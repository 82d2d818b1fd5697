"""Where a gallery's catalogue is, and that nobody writes into one that the gallery has left."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from glocal.errors import GalleryMovedError
from glocal.gallery.layout import Stamp, read_description, stamp_of


def staying(folder: Path, name: str) -> Callable[[], None]:
    """A check that a gallery's catalogue is still the one that was opened.

    `Database.change` makes it once it has the lock. A move of the catalogue replaces
    ``gallery.json`` with that lock held: so nothing is ever written into a catalogue that the
    gallery does not have any more, by whichever process had it open.

    Args:
        folder: of the gallery.
        name: of the catalogue that was opened, as `StorePlace.catalogue` has it.

    Returns:
        The check, which raises `GalleryMovedError`.
    """
    seen: Stamp | None = None

    def check() -> None:
        nonlocal seen
        stamp = stamp_of(folder)
        if stamp == seen:
            return
        if read_description(folder).get("store", {}).get("catalogue", "") != name:
            raise GalleryMovedError(
                f"the catalogue of gallery {folder} was moved by another process meanwhile; run "
                "the same command again"
            )
        seen = stamp

    return check
