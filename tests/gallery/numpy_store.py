"""The slow, obvious store, and what each condition means: what every other one must agree with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import asin, cos, radians, sin, sqrt
from uuid import UUID

import numpy as np

from glocal.gallery.conditions import (
    AllOf,
    AnyOf,
    Between,
    CameraIn,
    Condition,
    InFolder,
    Near,
    NotThis,
)
from glocal.gallery.records import Attributes, Match, Record, StoreStatus
from glocal.geography.sphere import EARTH_RADIUS_KM


def matches(condition: Condition, image: Attributes) -> bool:  # noqa: PLR0911
    """What a condition means, for one image, in plain Python."""
    match condition:
        case InFolder(folders):
            return any(folder in image.folders for folder in folders)
        case CameraIn(cameras):
            return image.camera in cameras
        case Between(field, low, high):
            value = getattr(image, field)
            if value is None:
                return False
            return (low is None or value >= low) and (high is None or value < high)
        case Near(latitude, longitude, km):
            if image.place is None:
                return False
            lat1, lon1, lat2, lon2 = map(radians, (latitude, longitude, *image.place))
            h = sin((lat2 - lat1) / 2) ** 2
            h += cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
            return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(h))) <= km
        case AllOf(parts):
            return all(matches(part, image) for part in parts)
        case AnyOf(parts):
            return any(matches(part, image) for part in parts)
        case NotThis(part):
            return not matches(part, image)


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
            if where is None or matches(where, r.attributes)
        ]
        return sorted(found, key=lambda match: -match.score)[:limit]

    def vectors(self, ids: Sequence[UUID]) -> dict[UUID, np.ndarray]:
        return {i: self.records[i].vector for i in ids if i in self.records}

    def scan(self) -> Iterator[tuple[UUID, tuple[int, ...]]]:
        for i, record in self.records.items():
            yield i, record.attributes.folders

    def status(self) -> StoreStatus:
        return StoreStatus(len(self.records), 0)

    def close(self) -> None:
        pass
