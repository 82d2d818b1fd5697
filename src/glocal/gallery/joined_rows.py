"""The images of two spaces as one table, to browse a gallery while an upgrade is under way."""

from __future__ import annotations

import numpy as np

from glocal.gallery.conditions import Columns
from glocal.gallery.rows import Extent, RowTable, View
from glocal.gallery.stores.waiting import Done

_COLUMNS = ("width", "height", "bytes", "taken", "latitude", "longitude", "camera", "folders")


class JoinedRows:
    """The rows of the old space, and behind them those of images that only the new one has.

    Images stay where they are in this order while the new model encodes them.

    Args:
        old: the table of the space that is being left.
        new: the table of the other one.
    """

    def __init__(self, old: RowTable, new: RowTable) -> None:
        self._old, self._new = old, new
        self._known = Done(old)

    def described(self) -> tuple[View, Columns]:
        """See `RowTable.described`."""
        new, more = self._new.described()
        old, columns = self._old.described()
        only_new = new.live & ~self._known.among(new)
        extent = Extent(
            old.extent.generation + new.extent.generation,
            old.extent.rows + new.extent.rows,
            old.extent.dead + int(np.count_nonzero(~only_new)),
            old.extent.version + new.extent.version,
        )
        ids = np.concatenate([old.ids, new.ids])
        view = View(extent, ids, np.concatenate([old.live, only_new]))
        joined = {n: np.concatenate([getattr(columns, n), getattr(more, n)]) for n in _COLUMNS}
        return view, Columns(
            **joined,
            cameras={**more.cameras, **columns.cameras},
            folder_sets={**more.folder_sets, **columns.folder_sets},
        )

    def numbered(self) -> tuple[str, str, tuple[str | int, ...], tuple[str, ...]]:
        """See `RowTable.numbered`."""
        before = self._old.extent().rows
        row = "r.row + CASE r.space WHEN ? THEN ? ELSE 0 END"
        spaces = self._new.space, self._old.space
        return row, "r.space IN (?, ?)", (self._new.space, before), spaces
