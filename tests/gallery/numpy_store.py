"""The slow, obvious store: what every other one must agree with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from uuid import UUID

import numpy as np

from glocal.gallery.conditions import Condition
from glocal.gallery.records import Match, Record, StoreStatus


class NumpyStore:
    def __init__(self) -> None:
        self.records: dict[UUID, Record] = {}

    def upsert(self, records: Sequence[Record]) -> None:
        self.records |= {record.id: record for record in records}

    def set_folders(self, folders: Mapping[UUID, tuple[int, ...]]) -> None:
        for i, numbers in folders.items():
            if i in self.records:
                record = self.records[i]
                attributes = replace(record.attributes, folders=numbers)
                self.records[i] = replace(record, attributes=attributes)

    def delete(self, ids: Sequence[UUID]) -> None:
        for i in ids:
            self.records.pop(i, None)

    def search(
        self,
        vector: np.ndarray,
        limit: int,
        *,
        where: Condition | None = None,
        exact: bool = False,  # it always is
    ) -> list[Match]:
        found = [
            Match(r.id, float(vector @ r.vector))
            for r in self.records.values()
            if where is None or where.matches(r.attributes)
        ]
        return sorted(found, key=lambda match: -match.score)[:limit]

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, np.ndarray]:
        return {i: self.records[i].vector for i in ids if i in self.records}

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        for i, record in self.records.items():
            yield i, record.attributes.folders

    def status(self) -> StoreStatus:
        return StoreStatus(len(self.records), 0)

    def build_graph(self) -> bool:
        return False

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass
