"""Two spaces searched as one while an upgrade is under way; see `Passage`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, Self, TypeVar
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import Regions
from glocal.gallery.conditions import Condition
from glocal.gallery.passage import Passage
from glocal.gallery.records import (
    Match,
    Record,
    RegionRecord,
    RegionSimilarities,
    StoreStatus,
)
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.base import Store
from glocal.gallery.stores.flat import FlatStore
from glocal.gallery.stores.regions import RegionStore
from glocal.gallery.stores.waiting import WaitingRegions, WaitingStore

Floats = NDArray[np.float32]


_DEEPER = 50
"""Candidates of the old space beyond those that are wanted: in the new space others of them are the
best."""

New = TypeVar("New", FlatStore, RegionStore)
Old = TypeVar("Old", WaitingStore, WaitingRegions)


class _Both(Generic[New, Old]):
    """What both kinds of stores do in both spaces.

    Args:
        new: what the new model has encoded.
        old: what it has yet to encode.
        passage: between both.
    """

    def __init__(self, new: New, old: Old, passage: Passage) -> None:
        self.new: New = new
        self.old: Old = old
        self.passage = passage

    @property
    def rows(self) -> RowTable:
        """The table of the new space."""
        return self.new.rows

    def asked(self, queries: Floats) -> Self:
        """The same, for one query that was encoded by the old model too; see `Passage.asked`."""
        return type(self)(self.new, self.old, self.passage.asked(queries))

    def set_folders(self, folders: Mapping[UUID, tuple[int, ...]]) -> None:
        """See `Store.set_folders`."""
        self.new.set_folders(folders)
        self.old.set_folders(folders)

    def delete(self, ids: Sequence[UUID]) -> None:
        """See `Store.delete`."""
        self.new.delete(ids)
        self.old.delete(ids)

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        """See `Store.scan`; each image once, also where it changes its space meanwhile."""
        seen = set()
        for i, folders in self.old.scan():
            seen.add(i)
            yield i, folders
        yield from ((i, folders) for i, folders in self.new.scan() if i not in seen)

    def status(self) -> StoreStatus:
        """See `Store.status`."""
        new, old = self.new.status(), self.old.status()
        return StoreStatus(
            new.vectors + old.vectors, new.in_graph + old.in_graph, new.building, new.build_error
        )

    def maintain(self) -> bool:
        """See `Maintained.maintain`."""
        return self.new.maintain()

    def damaged(self) -> list[UUID]:
        """See `Maintained.damaged`."""
        return sorted({*self.new.damaged(), *self.old.damaged()})

    def rewrite(self) -> None:
        """See `Maintained.rewrite`."""
        self.new.rewrite()
        self.old.rewrite()

    def sweep(self) -> None:
        """See `RowFile.sweep`."""
        self.new.sweep()
        self.old.sweep()

    def bytes_on_disk(self) -> int:
        """See `RowFile.bytes_on_disk`."""
        return self.new.bytes_on_disk() + self.old.bytes_on_disk()

    def close(self) -> None:
        """See `Store.close`."""
        self.new.close()
        self.old.close()


class MixedStore(_Both[FlatStore, WaitingStore]):
    """Vectors of both spaces as one `Store` of the new one."""

    def upsert(self, records: Sequence[Record]) -> None:
        """See `Store.upsert`."""
        self.new.upsert(records)

    def search(
        self,
        vector: Floats,
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,
    ) -> list[Match]:
        """See `Store.search`."""
        if not self.passage.reaches_old:
            return self.new.search(vector, limit, where=where, exact=exact)
        old_vector = self.passage.queries(vector[None])[0]
        # The old space first: an image that changes its space meanwhile is found in both.
        old, rows = self.old.search_rows(old_vector, limit + _DEEPER, where=where, exact=exact)
        found = self.new.search(vector, limit, where=where, exact=exact)
        there = {match.id for match in found}
        if old:
            scores = self.passage.similarities(vector, rows).tolist()
            scored = zip(old, scores, strict=True)
            found += [Match(match.id, score) for match, score in scored if match.id not in there]
        return sorted(found, key=lambda match: -match.score)[:limit]

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, Floats]:
        """See `Store.vectors`; old ones are brought into the new space, where a bridge does."""
        found = self.new.vectors(ids)
        if not self.passage.brings_vectors:
            return found
        old = self.old.vectors([i for i in ids if i not in found])
        if old:
            found |= zip(old, self.passage.vectors(np.stack([*old.values()])), strict=True)
        return found


class MixedRegions(_Both[RegionStore, WaitingRegions]):
    """Regions of both spaces as one `RegionStore` of the new one."""

    @property
    def count(self) -> int:
        """Regions of each image."""
        return self.new.count

    def upsert(self, records: Sequence[RegionRecord]) -> None:
        """See `RegionStore.upsert`."""
        self.new.upsert(records)

    def search(
        self,
        queries: Floats,
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,
    ) -> list[UUID]:
        """See `RegionStore.search`; so many of either space."""
        if not self.passage.reaches_old:
            return self.new.search(queries, limit, where=where, exact=exact)
        old = self.old.search(self.passage.queries(queries), limit, where=where, exact=exact)
        new = self.new.search(queries, limit, where=where, exact=exact)
        return list(dict.fromkeys([*old, *new]))

    def compare(self, queries: Floats, ids: Sequence[UUID]) -> RegionSimilarities:
        """See `RegionStore.compare`."""
        new = self.new.compare(queries, ids)
        rest = [i for i in ids if i not in new.rows]
        if not self.passage.reaches_old:
            return new
        old = self.old.compare(self.passage.queries(queries), rest)
        return RegionSimilarities(
            new.rows | {i: len(new.rows) + row for i, row in old.rows.items()},
            np.concatenate([new.values, self.passage.region_similarities(old.values)]),
            np.concatenate([new.boxes, old.boxes]),
        )

    def regions(self, ids: Sequence[UUID]) -> dict[UUID, Regions]:
        """See `RegionStore.regions`; old ones are brought into the new space."""
        found = self.new.regions(ids)
        if not self.passage.brings_vectors:
            return found
        for i, old in self.old.regions([i for i in ids if i not in found]).items():
            found[i] = Regions(self.passage.vectors(old.vectors), old.boxes)
        return found

    def clear(self) -> None:
        """See `RowFile.clear`."""
        self.new.clear()
        self.old.clear()


def parts(store: Store) -> tuple[Store, ...]:
    """The stores of one space each that a store consists of."""
    return (store.new, store.old) if isinstance(store, MixedStore) else (store,)
