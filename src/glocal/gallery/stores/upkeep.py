"""What a file of rows needs now and then: compaction, and a graph over what lies in its rows."""

from __future__ import annotations

import logging
import shutil
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np

from glocal.gallery.records import StoreStatus
from glocal.gallery.rows import Extent, RowTable, View
from glocal.gallery.stores.graph import Graph, GraphFile, GraphKind, kind_of
from glocal.gallery.stores.row_file import RowFile

GRAPH_FROM = 20_000
"""Points from which a graph pays: below, comparing all of them takes two milliseconds."""

GRAPH_BEHIND = 5_000
"""Points behind the graph, half a millisecond of comparing, from which it is extended."""

GRAPH_SHARE = 0.02
"""It is extended by this share at least, since its whole file is written again each time."""

DEAD_SHARE = 0.25
"""Dead rows from which compaction pays, when they are `GRAPH_FROM` too."""

_log = logging.getLogger(__name__)


class Upkeep:
    """Compacts a file of rows, has its graph built by another process, and opens the graph.

    Args:
        file: of the rows.
        dim: length of the vectors in them.
        kind: what a graph holds of them.
        regions: vectors in a row that holds an image's regions; 0 where a row is one vector.
    """

    def __init__(self, file: RowFile, dim: int, kind: GraphKind, regions: int = 0) -> None:
        self._file = file
        self._dim = dim
        self.kind: GraphKind = kind
        self._regions = regions
        self._lock = threading.Lock()
        self._opened: tuple[GraphFile, Graph | None] | None = None
        self._builder: subprocess.Popen[bytes] | None = None
        self.build_error: str | None = None

    @property
    def is_open(self) -> bool:
        """Whether a graph was looked for already."""
        return self._opened is not None

    def close(self) -> None:
        """Release the graph; one that is being built is given up."""
        with self._lock:
            self._opened = None
            if self._builder is not None:
                self._builder.kill()
                self._builder.communicate()
                self._builder = None

    def graph(self, extent: Extent) -> Graph | None:
        """The graph over the first rows, if there is one and it is sound."""
        known = self._known(extent)
        if known is None:
            return None
        with self._lock:
            if self._opened is None or self._opened[0] != known:
                graph = None
                if known.is_sound(self._file.folder):
                    with suppress(RuntimeError):  # not a graph after all: compare all rows
                        path = self._file.folder / known.name
                        regions = bool(self._regions)
                        kind = kind_of(known, self.kind)
                        hidden = known.hidden(self._file.rows.database, self._file.rows.space)
                        graph = Graph(
                            path, self._dim, known.rows, kind, regions=regions, hidden=hidden
                        )
                self._opened = known, graph
            return self._opened[1]

    def _known(self, extent: Extent) -> GraphFile | None:
        known = GraphFile.known(self._file.rows.database, self._file.rows.space)
        return known if known is not None and known.generation == extent.generation else None

    def covered(self, view: View) -> int:
        """Live rows that a sound graph covers."""
        known = self._known(view.extent)
        if known is None or not known.is_sound(self._file.folder):
            return 0
        return int(np.count_nonzero(view.live[: known.rows]))

    def give_up_damaged_graph(self) -> None:
        """Read the whole graph file; if it is not what was written, searches go without."""
        database = self._file.rows.database
        graph = GraphFile.known(database, self._file.rows.space)
        if graph and not graph.is_sound(self._file.folder, thoroughly=True):
            self._opened = None
            if not database.read_only:
                with database.change() as db:
                    db.execute("DELETE FROM graphs WHERE name = ?", (graph.name,))

    def maintain(self) -> bool:
        """See `Maintained.maintain`."""
        file = self._file
        extent = file.rows.extent()
        if extent.dead >= max(GRAPH_FROM, DEAD_SHARE * extent.rows):
            file.rewrite()
            extent = file.rows.extent()
        points = extent.rows * max(self._regions, 1)
        if points < GRAPH_FROM or self.building():
            return self.building()
        known = self._known(extent)
        done = known.rows * max(self._regions, 1) if known and known.is_sound(file.folder) else 0
        if points - done < max(GRAPH_BEHIND, GRAPH_SHARE * points):
            return False
        needed, free = points * (self._dim + 256), shutil.disk_usage(file.folder).free
        if needed > free:
            self.build_error = (
                f"no graph index is built: it needs {needed >> 20} MB of disk, "
                f"and {free >> 20} MB are left"
            )
            _log.warning("%s", self.build_error)
            return False
        _log.info("extending the graph index from %d to %d points", done, points)
        program = [sys.executable, "-m", "glocal.gallery.stores.graph_builder"]
        arguments = [
            *(file.rows.database.engine.address, file.folder, file.rows.space),
            *(self._dim, self._regions, self.kind),
        ]
        self.build_error = None
        self._builder = subprocess.Popen(
            [*program, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            process_group=0,  # Ctrl-C is for the parent, which then ends it
        )
        return True

    def building(self) -> bool:
        """Whether another process builds the graph right now."""
        with self._lock:
            if self._builder is None:
                return False
            if self._builder.poll() is None:
                return True
            said = self._builder.communicate()[1].decode("utf-8", "replace").strip()
            if self._builder.returncode > 0:
                self.build_error = said.rpartition("\n")[2] or "the builder failed"
                _log.warning("the graph index could not be built: %s", said)
            self._builder = None
            return False


class KeptUp(RowFile):
    """Rows with a graph over them; see `Maintained`.

    Args:
        folder: where the files lie; made with the first row.
        row: the type of one row.
        ending: of the files' names.
        rows: the table of them, in the catalogue.
        dim: length of the vectors.
        graph: what a graph holds of them.
        regions: see `Upkeep`.
    """

    def __init__(
        self,
        folder: Path,
        row: np.dtype[Any],
        ending: str,
        rows: RowTable,
        *,
        dim: int,
        graph: GraphKind,
        regions: int = 0,
    ) -> None:
        super().__init__(folder, row, ending, rows)
        self._upkeep = Upkeep(self, dim, graph, regions)

    @property
    def graph_kind(self) -> GraphKind:
        """What a graph holds of the vectors, if signs would lead where it may be of signs."""
        return self._upkeep.kind

    def close(self) -> None:
        """Release the files; a graph that is being built is given up."""
        super().close()
        self._upkeep.close()

    def status(self) -> StoreStatus:
        """See `Store.status`; counted in rows."""
        view = self.rows.view()
        return StoreStatus(
            view.extent.rows - view.extent.dead,
            self._upkeep.covered(view),
            self._upkeep.building(),
            self._upkeep.build_error,
        )

    def maintain(self) -> bool:
        """See `Maintained.maintain`."""
        return self._upkeep.maintain()

    def damaged(self) -> list[UUID]:
        """See `Maintained.damaged`."""
        self._upkeep.give_up_damaged_graph()
        return super().damaged()
