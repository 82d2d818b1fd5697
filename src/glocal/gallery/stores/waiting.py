"""Stores of the space that an upgrade is leaving: what the new space has already is passed over.

The old rows stay as they are, so that the gallery can return to them. Which of them are passed over
is told by the rows of the new space, and remembered as long as neither has changed.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.conditions import Condition
from glocal.gallery.records import StoreStatus
from glocal.gallery.rows import RowTable, View
from glocal.gallery.stores.coding import BYTES, Coding
from glocal.gallery.stores.flat import FlatStore
from glocal.gallery.stores.graph import GraphKind
from glocal.gallery.stores.regions import RegionStore
from glocal.gallery.stores.upkeep import KeptUp


def keys(ids: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Half of each id, ``(rows,)``: ids are of a hash, of which 64 bits tell millions apart."""
    return np.ascontiguousarray(ids[:, :8]).view(np.uint64)[:, 0]


@dataclass(slots=True)
class _Known:
    """Which rows of a view are done; up to which rows of the new space that is known."""

    view: View
    order: NDArray[np.int64]
    ordered: NDArray[np.uint64]
    done: NDArray[np.bool_]
    new: View | None = None


class Done:
    """Tells which rows of the old space are of images that the new space has.

    Args:
        rows: the table of the new space.
    """

    def __init__(self, rows: RowTable) -> None:
        self._rows = rows
        self._lock = threading.Lock()
        self._known: _Known | None = None

    def of(self, ids: Iterable[UUID]) -> set[UUID]:
        """Those of some images that are done."""
        return set(self._rows.find(ids)[1])

    def among(self, view: View) -> NDArray[np.bool_]:
        """Of the rows of a view of the old space those whose images are done, ``(rows,)``.

        Whoever asks has taken the view before, so that no image is in neither space.
        """
        new = self._rows.view()
        with self._lock:
            known = self._known
            if known is None or known.view.extent != view.extent:
                every = keys(view.ids)
                order = np.argsort(every)
                known = _Known(view, order, every[order], np.zeros(len(every), np.bool_))
                self._known = known
            before = known.new
            if before is None or before.extent != new.extent:
                start = 0
                if before is not None and _grown_only(before, new):
                    start = before.extent.rows
                    known.done = known.done.copy()  # others have the one that was given out
                else:
                    known.done = np.zeros(len(known.order), np.bool_)
                _mark(known, keys(new.ids[start:])[new.live[start:]])
                known.new = new
            return known.done


def _grown_only(before: View, new: View) -> bool:
    rows = before.extent.rows
    return (
        new.extent.generation == before.extent.generation
        and new.extent.rows >= rows
        and bool(np.array_equal(new.live[:rows], before.live))
    )


def _mark(known: _Known, found: NDArray[np.uint64]) -> None:
    if not len(known.ordered):
        return
    at = np.minimum(np.searchsorted(known.ordered, found), len(known.ordered) - 1)
    known.done[known.order[at[known.ordered[at] == found]]] = True


class _Waiting(KeptUp):
    """Rows of which those that are done are passed over."""

    done: Done

    def meeting(self, where: Condition | None) -> tuple[View, NDArray[Any], NDArray[np.bool_]]:
        """See `RowFile.meeting`."""
        view, written, allowed = super().meeting(where)
        return view, written, allowed & ~self.done.among(view)

    def read(self, ids: Sequence[UUID]) -> tuple[list[UUID], NDArray[Any]]:
        """See `RowFile.read`."""
        done = self.done.of(ids)
        return super().read([i for i in ids if i not in done])

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        """See `Store.scan`."""
        view, columns = self.rows.described()
        for row in np.flatnonzero(view.live & ~self.done.among(view)).tolist():
            yield view.id(row), columns.folder_sets[int(columns.folders[row])]

    def status(self) -> StoreStatus:
        """See `Store.status`; what its graph covers counts as far as it is waiting."""
        view = self.rows.view()
        waiting = int(np.count_nonzero(view.live & ~self.done.among(view)))
        return StoreStatus(waiting, min(waiting, self._upkeep.covered(view)))

    def maintain(self) -> bool:
        """See `Maintained.maintain`; it is about to go, and needs no new graph."""
        return False


class WaitingStore(_Waiting, FlatStore):
    """Old vectors of images that the new space lacks; see `FlatStore`."""

    def __init__(
        self, folder: Path, dim: int, rows: RowTable, done: Done, coding: Coding = BYTES
    ) -> None:
        super().__init__(folder, dim, rows, coding)
        self.done = done


class WaitingRegions(_Waiting, RegionStore):
    """Old regions of images that the new space lacks; see `RegionStore`."""

    def __init__(
        self,
        folder: Path,
        dim: int,
        count: int,
        rows: RowTable,
        done: Done,
        graph: GraphKind = "bytes",
    ) -> None:
        super().__init__(folder, dim, count, rows, graph)
        self.done = done
