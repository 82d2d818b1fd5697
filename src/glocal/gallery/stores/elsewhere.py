"""Stores that lie outside a gallery's folder: what a part of the kind ``store`` does."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from glocal.gallery.catalog import Catalog
from glocal.gallery.rows import RowTable
from glocal.gallery.store_place import NEW, StorePlace
from glocal.gallery.stores.base import Store
from glocal.gallery.stores.coding import BYTES, Coding

if TYPE_CHECKING:
    from glocal.gallery.reading_files import Workers


class Elsewhere(Protocol):
    """A kind of store that lies elsewhere, by the name that ``gallery.json`` has for it."""

    @staticmethod
    def place(
        folder: Path, config: Path, known: StorePlace | None = None, *, version: int = NEW
    ) -> StorePlace:
        """Make sure that the store can be reached, and let a gallery know from now on where it is.

        Args:
            folder: of the gallery, which gets its own copy of the file.
            config: the file that says where the store is.
            known: the place that a gallery has, which is to be found where the file says; `None`:
                of a new gallery.
            version: of how a new gallery keeps vectors and local features.

        Returns:
            The place; no two new ones are alike.

        Raises:
            GalleryError: the file makes no sense, or leaves out a part of the place or adds one.
            StoreUnavailableError: the store does not answer.
            MissingExtraError: what talks with it is not installed.
        """
        ...

    @staticmethod
    def open(
        config: Path,
        collection: str,
        dim: int,
        catalog: Catalog,
        rows: RowTable,
        coding: Coding = BYTES,
    ) -> Store:
        """Open the store of a gallery; nothing is asked of it yet.

        Args:
            config: the gallery's copy of the file.
            collection: its name.
            dim: length of the vectors.
            catalog: the gallery's.
            rows: the table of the images that have a vector, which the store keeps up to date.
            coding: how a vector would lie in the gallery's folder, of which it keeps no more.

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
