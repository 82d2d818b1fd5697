"""How a gallery comes to its collection of a Milvus server: see `Milvus`."""

from __future__ import annotations

import uuid
from pathlib import Path

from glocal.cluster.catalogued import CataloguedStore, NotedWrites
from glocal.cluster.config import ClusterConfig
from glocal.cluster.ray_workers import RayWorkers
from glocal.cluster.server import Server, require_extra
from glocal.cluster.store import MilvusStore
from glocal.gallery.catalog import Catalog
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.files import replace_file


class Milvus:
    """Galleries whose vectors lie in a Milvus server; see `Elsewhere`."""

    @staticmethod
    def place(folder: Path, config: Path) -> str:
        """See `Elsewhere.place`."""
        require_extra()
        said = ClusterConfig.read(config)
        server = Server(said)
        try:
            server.version()
        finally:
            server.close()
        # The gallery's own copy, with paths that hold there too; a token of the environment stays
        # out of it, and that of the file is for its owner alone.
        written = ClusterConfig.read(config, environment=False).text()
        replace_file(folder / "cluster.toml", written.encode(), private=True)
        return f"{said.prefix}_{uuid.uuid4().hex}"

    @staticmethod
    def open(
        config: Path, collection: str, dim: int, catalog: Catalog, rows: RowTable
    ) -> CataloguedStore:
        """See `Elsewhere.open`."""
        require_extra()
        server = Server(ClusterConfig.read(config))
        store = MilvusStore(server, collection, dim, NotedWrites(catalog, collection))
        return CataloguedStore(store, rows)

    @staticmethod
    def workers(config: Path) -> RayWorkers | None:
        """See `Elsewhere.workers`."""
        settings = ClusterConfig.read(config).ray
        return None if settings is None else RayWorkers(settings)
