"""Attributes and conditions in Qdrant's terms; keys are short, being stored with each image."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import qdrant_edge as edge

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
from glocal.gallery.records import Attributes

_PLAIN: dict[str, Any] = {"enable_hnsw": False, "memory": edge.Memory.Cold}
_KEYS = {"taken": "t", "width": "w", "height": "h", "bytes": "b"}

# Width, height and bytes have no index: 78 bytes an image each, for filters that are rare and
# take 80 ms over 100,000 images without one. None of the indexes shapes the graph (enable_hnsw),
# which would make its building 2.5 times as long. They stay on disk until they are asked (Cold):
# in memory they would take three quarters of the time to open a store.
INDEXES: dict[str, Callable[[], Any]] = {
    "f": partial(edge.IntegerIndexParams, lookup=True, range=False, **_PLAIN),
    "t": partial(edge.IntegerIndexParams, lookup=False, range=True, **_PLAIN),
    "c": partial(edge.KeywordIndexParams, **_PLAIN),
    "g": partial(edge.GeoIndexParams, **_PLAIN),
}


def payload(attributes: Attributes) -> dict[str, Any]:
    """What Qdrant stores beside the vector; unknown values are left out."""
    fields: dict[str, Any] = folders_payload(attributes.folders)
    fields |= {"w": attributes.width, "h": attributes.height, "b": attributes.bytes}
    if attributes.taken is not None:
        fields["t"] = attributes.taken
    if attributes.camera is not None:
        fields["c"] = attributes.camera
    if attributes.place is not None:
        latitude, longitude = attributes.place
        fields["g"] = {"lat": round(latitude, 5), "lon": round(longitude, 5)}  # to a metre
    return fields


def folders_payload(folders: tuple[int, ...]) -> dict[str, Any]:
    """The part of the payload that changes when copies of an image come and go."""
    return {"f": sorted(folders)}


def folders_of(stored: dict[str, Any]) -> tuple[int, ...]:
    """Read back what `folders_payload` wrote."""
    return tuple(stored.get("f", ()))


def to_filter(condition: Condition) -> edge.Filter:  # noqa: PLR0911 - one for each kind
    """Translate a condition into a filter that means the same."""
    match condition:
        case InFolder(folders):
            return _field("f", match=edge.MatchAny(list(folders))) if folders else _nothing()
        case CameraIn(cameras):
            return _field("c", match=edge.MatchAny(list(cameras))) if cameras else _nothing()
        case Between(field, low, high):
            return _field(_KEYS[field], range=edge.RangeFloat(gte=low, lt=high))
        case Near(latitude, longitude, km):
            circle = edge.GeoRadius(edge.GeoPoint(lon=longitude, lat=latitude), km * 1000)
            return _field("g", geo_radius=circle)
        case AllOf(parts):
            return edge.Filter(must=[to_filter(part) for part in parts])
        case AnyOf(parts):
            return edge.Filter(should=[to_filter(part) for part in parts]) if parts else _nothing()
        case NotThis(part):
            return edge.Filter(must_not=[to_filter(part)])


def _field(key: str, **how: Any) -> edge.Filter:
    return edge.Filter(must=[edge.FieldCondition(key, **how)])


def _nothing() -> edge.Filter:
    return edge.Filter(must=[edge.HasIdCondition(set())])
