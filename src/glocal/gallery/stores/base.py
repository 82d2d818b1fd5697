"""What a gallery asks of the place that keeps its vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.conditions import Condition
from glocal.gallery.records import Match, Record, StoreStatus


class Store(Protocol):
    """Vectors with filterable attributes, kept durably; every method may be called from any thread.

    A call that changes something returns when the change would survive the process being killed.
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
            exact: compare with every record instead of walking the graph.
        """
        ...

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, NDArray[np.float32]]:
        """Return the vectors, each ``(d,)`` float32, of those ids that are there."""
        ...

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        """Yield the id and the folders of every record, in no order."""
        ...

    def status(self) -> StoreStatus:
        """Count what is there and what the graph covers."""
        ...

    def build_graph(self) -> bool:
        """Begin to rebuild the HNSW graph beside the work, if enough is not in it yet.

        Returns whether a build runs now; `status` tells when it has ended.
        """
        ...

    def flush(self) -> None:
        """Write everything to its final place, so that the next opening is quick."""
        ...

    def close(self) -> None:
        """Let go of the files. Closing twice is fine; any other call after it is not."""
        ...
