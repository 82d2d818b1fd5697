"""How a gallery comes to its collection of a Milvus server: see `Milvus`."""

from __future__ import annotations

import uuid
from pathlib import Path

from glocal.cluster import indexes
from glocal.cluster.catalogued import CataloguedStore, NotedWrites
from glocal.cluster.config import ClusterConfig
from glocal.cluster.ray_workers import RayWorkers
from glocal.cluster.server import Server, require_extra
from glocal.cluster.store import MilvusStore
from glocal.errors import GalleryError
from glocal.gallery.catalog import Catalog
from glocal.gallery.database import Database
from glocal.gallery.rows import RowTable
from glocal.gallery.store_place import NEW, StorePlace
from glocal.gallery.stores.coding import BYTES, Coding
from glocal.gallery.stores.files import replace_file
from glocal.registry import load

_OTHERWISE = {
    True: "the gallery's catalogue is in PostgreSQL, and {config} names no [catalogue]; add it",
    False: "the gallery's catalogue is in its folder, and {config} names another; leave "
    "[catalogue] out of it, or move it there: glocal move GALLERY {config}",
}


def new_collection(config: ClusterConfig) -> str:
    """A name that no collection has."""
    return f"{config.prefix}_{uuid.uuid4().hex}"


def require_server(config: ClusterConfig) -> None:
    """Make sure that a server answers, and has what is asked of it.

    Raises:
        StoreUnavailableError: it does not answer.
        GalleryError: it has no such index.
    """
    server = Server(config)
    try:
        server.version()
        indexes.require(server)
    finally:
        server.close()


def keep_config(folder: Path, config: Path) -> None:
    """Give a gallery its own copy of a cluster's file, with paths that hold there too.

    A token of the environment stays out of it, and that of the file is for its owner alone.
    """
    written = ClusterConfig.read(config, environment=False).text()
    replace_file(folder / "cluster.toml", written.encode(), private=True)


class Milvus:
    """Galleries whose vectors lie in a Milvus server; see `Elsewhere`."""

    @staticmethod
    def place(
        folder: Path, config: Path, known: StorePlace | None = None, *, version: int = NEW
    ) -> StorePlace:
        """See `Elsewhere.place`."""
        require_extra()
        said = ClusterConfig.read(config)
        if known is not None and bool(known.catalogue) != bool(said.catalogue.uri):
            raise GalleryError(_OTHERWISE[bool(known.catalogue)].format(config=config))
        require_server(said)
        catalogue = known.catalogue if known is not None else ""
        if catalogue:  # is it there?
            Database(load("catalogue", "postgres")(config, catalogue), "").close()
        elif said.catalogue.uri:
            catalogue = load("catalogue", "postgres").create(config)
        keep_config(folder, config)
        return known or StorePlace(
            "milvus",
            version=version,
            collection=new_collection(said),
            catalogue=catalogue,
        )

    @staticmethod
    def open(
        config: Path,
        collection: str,
        dim: int,
        catalog: Catalog,
        rows: RowTable,
        coding: Coding = BYTES,
    ) -> CataloguedStore:
        """See `Elsewhere.open`."""
        require_extra()
        server = Server(ClusterConfig.read(config))
        store = MilvusStore(server, collection, dim, NotedWrites(catalog, collection))
        return CataloguedStore(store, rows, coding)

    @staticmethod
    def workers(config: Path) -> RayWorkers | None:
        """See `Elsewhere.workers`."""
        settings = ClusterConfig.read(config).ray
        return None if settings is None else RayWorkers(settings)
