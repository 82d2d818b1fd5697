"""What a gallery asks of the place that keeps its vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol, runtime_checkable
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.conditions import Condition
from glocal.gallery.records import Match, Record, StoreStatus


class Store(Protocol):
    """Vectors with filterable attributes, kept durably; every method may be called from any thread.

    What changes a store is called inside a transaction of the catalogue (`Database.change`). A
    store whose rows lie in the catalogue takes part in the transaction; any other one has changed
    when the call returns, and a change that is made again does no harm. A store that lies elsewhere
    raises `StoreUnavailableError` while it is away.
    """

    def upsert(self, records: Sequence[Record]) -> None:
        """Add records; one that is there already is replaced whole."""
        ...

    def set_folders(self, folders: Mapping[UUID, tuple[int, ...]]) -> None:
        """Replace the folders of images; ids that are not there are passed over."""
        ...

    def delete(self, ids: Sequence[UUID]) -> None:
        """Remove records; ids that are not there are passed over."""
        ...

    def search(
        self,
        vector: NDArray[np.float32],
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,
    ) -> list[Match]:
        """Find the nearest records by dot product, best first.

        Args:
            vector: ``(d,)`` float32 of unit length.
            limit: how many at most, at least 1.
            where: only records that meet this condition.
            exact: compare with every record instead of walking a graph.
        """
        ...

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, NDArray[np.float32]]:
        """Return the vectors, each ``(d,)`` float32, of those ids that are there."""
        ...

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        """Yield the id and the folders of every record, in no order."""
        ...

    def status(self) -> StoreStatus:
        """Count what is there and what a graph covers."""
        ...

    def close(self) -> None:
        """Release the files. Closing twice is fine; any other call after it is not."""
        ...


@runtime_checkable
class Maintained(Protocol):
    """What a store on this machine's disk needs now and then, beside any other work."""

    def maintain(self) -> bool:
        """Compact the files and begin to build or to extend the graph, where that pays.

        Returns whether a build runs now; `Store.status` tells when it has ended.
        """
        ...

    def damaged(self) -> list[UUID]:
        """The images whose vectors are not what was written; a damaged graph is given up."""
        ...

    def rewrite(self) -> None:
        """Write the vectors that are left into a new file, as after `damaged` ones were deleted."""
        ...
