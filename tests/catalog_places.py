"""Where the catalogues of tests are made: every test that takes `places` is for each of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING

from postgres_server import PostgresServer

if TYPE_CHECKING:
    from glocal.gallery.catalog import Catalog
    from glocal.gallery.database import Engine

Opening = Callable[[float], "Path | Engine"]
"""Gives the place of a catalogue, by how many seconds a writer waits for another."""


class SqlitePlaces:
    """Files in a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def new(self) -> Opening:
        """A new place for a catalogue, of which nothing is known yet."""
        path = Path(mkdtemp(dir=self._folder)) / "catalog.sqlite"

        def place(timeout: float) -> Engine:
            from glocal.gallery.sqlite_file import SqliteFile

            return SqliteFile(path, timeout)

        return place

    def use(self, gallery: Path) -> None:
        """Let a gallery that is empty have its catalogue here."""


class PostgresPlaces:
    """Schemas of a server."""

    def __init__(self, folder: Path, server: PostgresServer) -> None:
        self._config = server.config(folder)

    def new(self) -> Opening:
        from glocal.cluster.postgres import Postgres

        name = Postgres.create(self._config)
        return lambda timeout: Postgres(self._config, name, timeout)

    def use(self, gallery: Path) -> None:
        from glocal.cluster.postgres import Postgres
        from glocal.gallery.layout import open_layout, write_description

        layout = open_layout(gallery, model=None, sha256=None, create=False, timeout=10)
        assert not layout.catalog.exists()
        (gallery / "cluster.toml").write_bytes(self._config.read_bytes())
        place = replace(layout.store, catalogue=Postgres.create(self._config))
        write_description(gallery, layout.model, store=place)


Places = SqlitePlaces | PostgresPlaces


def opened(place: Opening, timeout: float = 30.0) -> Catalog:
    from glocal.gallery.catalog import Catalog

    return Catalog(place(timeout), timeout=timeout)
