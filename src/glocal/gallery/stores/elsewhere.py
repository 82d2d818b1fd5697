"""Stores that lie outside a gallery's folder: what a part of the kind ``store`` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from glocal.gallery.catalog import Catalog
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.base import Store

if TYPE_CHECKING:
    from glocal.gallery.reading_files import Workers


class Elsewhere(Protocol):
    """A kind of store that lies elsewhere, by the name that ``gallery.json`` has for it."""

    @staticmethod
    def place(folder: Path, config: Path) -> str:
        """Make sure that the store can be reached, and let a gallery know from now on where it is.

        Args:
            folder: of the gallery, which gets its own copy of the file.
            config: the file that says where the store is.

        Returns:
            The name that a new gallery's collection gets; no two are alike.

        Raises:
            GalleryError: the file makes no sense.
            StoreUnavailableError: the store does not answer.
            MissingExtraError: what talks with it is not installed.
        """
        ...

    @staticmethod
    def open(config: Path, collection: str, dim: int, catalog: Catalog, rows: RowTable) -> Store:
        """Open the store of a gallery; nothing is asked of it yet.

        Args:
            config: the gallery's copy of the file.
            collection: its name.
            dim: length of the vectors.
            catalog: the gallery's.
            rows: the table of the images that have a vector, which the store keeps up to date.

        Raises:
            GalleryError: the file is gone or damaged.
        """
        ...

    @staticmethod
    def workers(config: Path) -> Workers | None:
        """What reads and describes images for a gallery; `None`: the gallery's own process does.

        Args:
            config: the gallery's copy of the file.

        Raises:
            GalleryError: the file is gone or damaged.
        """
        ...
