"""Conditions a search is filtered by: a small tree, and the one function that says what it means.

`meets` works on columns, a value for each of ``n`` images, because a gallery is asked about a
million images at once: half a dozen array operations take some milliseconds, where a call for each
image would take a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from glocal.gallery.records import SEVERAL, Attributes
from glocal.geography.sphere import EARTH_RADIUS_KM

Field = Literal["taken", "width", "height", "bytes"]


@dataclass(frozen=True, slots=True)
class Columns:
    """The attributes of ``n`` images, as arrays of ``n`` values; see `Attributes`.

    Attributes:
        width: in pixels.
        height: in pixels.
        bytes: size of the file.
        taken: float64 seconds since 1970; NaN where it is unknown.
        latitude: float64 degrees; NaN where it is unknown.
        longitude: float64 degrees; NaN where it is unknown.
        camera: the key of its name in `cameras`; a key that is not there where it is unknown.
        folders: the key of its folders in `folder_sets`.
        cameras: names by key.
        folder_sets: numbers of folders by key.
    """

    width: NDArray[np.int32]
    height: NDArray[np.int32]
    bytes: NDArray[np.int64]
    taken: NDArray[np.float64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    camera: NDArray[np.int32]
    folders: NDArray[np.int32]
    cameras: Mapping[int, str]
    folder_sets: Mapping[int, tuple[int, ...]]

    @classmethod
    def of(cls, images: Sequence[Attributes]) -> Columns:
        """The columns of these images."""
        keys: dict[object, int] = {None: 0}
        places = [image.place or (np.nan, np.nan) for image in images]
        return cls(
            np.array([image.width for image in images], np.int32),
            np.array([image.height for image in images], np.int32),
            np.array([image.bytes for image in images], np.int64),
            np.array([np.nan if i.taken is None else i.taken for i in images], np.float64),
            np.array([latitude for latitude, _ in places], np.float64),
            np.array([longitude for _, longitude in places], np.float64),
            np.array([keys.setdefault(image.camera, len(keys)) for image in images], np.int32),
            np.array([keys.setdefault(image.folders, len(keys)) for image in images], np.int32),
            {key: value for value, key in keys.items() if isinstance(value, str)},
            {key: value for value, key in keys.items() if isinstance(value, tuple)},
        )


@dataclass(frozen=True, slots=True)
class InFolder:
    """The image lies in one of these folders or below; an empty tuple matches nothing."""

    folders: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CameraIn:
    """The image was taken by one of these cameras; an empty tuple matches nothing."""

    cameras: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Between:
    """``low <= field < high``; a bound that is `None` is open. Unknown values never match."""

    field: Field
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Near:
    """Taken within ``km`` kilometres of a point, along the great circle.

    Attributes:
        latitude: of the point, in degrees.
        longitude: likewise.
        km: the distance.
        place: which place the point is, where it was given by a name.
    """

    latitude: float
    longitude: float
    km: float
    place: str = field(default="", compare=False)


ANYWHERE = Near(0.0, 0.0, 20_100.0)
"""The image says where it was taken: no two places on Earth lie so far apart."""


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class NotThis:
    """The part does not hold; true also where the image does not say."""

    part: Condition


Condition = InFolder | CameraIn | Between | Near | AllOf | AnyOf | NotThis


def meets(  # noqa: PLR0911 - one for each kind of condition
    condition: Condition, images: Columns
) -> NDArray[np.bool_]:
    """Which of ``n`` images meet a condition: ``(n,)`` booleans."""
    match condition:
        case InFolder(folders):
            apart = set(folders).isdisjoint
            return _keyed(
                images.folders, (k for k, f in images.folder_sets.items() if not apart(f))
            )
        case CameraIn(cameras):
            return _keyed(images.camera, (k for k, c in images.cameras.items() if c in cameras))
        case Between(field, low, high):
            values = getattr(images, field)
            found: NDArray[np.bool_] = values >= (-np.inf if low is None else low)
            return found if high is None else found & (values < high)
        case Near():
            return _near(condition, images)
        case NotThis(part):
            return ~meets(part, images)
        case AllOf(parts):
            everything = np.ones(len(images.width), np.bool_)
            return reduce(np.logical_and, (meets(part, images) for part in parts), everything)
        case AnyOf(parts):
            nothing = np.zeros(len(images.width), np.bool_)
            return reduce(np.logical_or, (meets(part, images) for part in parts), nothing)


def _keyed(column: NDArray[np.int32], keys: Iterable[int]) -> NDArray[np.bool_]:
    """Where a column has one of these keys: a look-up in a table, whatever their number."""
    table = np.zeros(int(column.max(initial=0)) + 1, np.bool_)
    wanted = np.fromiter(keys, np.int64)
    table[wanted[wanted < len(table)]] = True
    found: NDArray[np.bool_] = table[column]
    return found


def _near(near: Near, images: Columns) -> NDArray[np.bool_]:
    """The haversine formula, for those only whose latitude comes near enough."""
    found = np.zeros(len(images.latitude), np.bool_)
    margin = np.degrees(near.km / EARTH_RADIUS_KM) + 1e-6
    band = np.flatnonzero(np.abs(images.latitude - near.latitude) <= margin)
    latitude, longitude = np.radians(images.latitude[band]), np.radians(images.longitude[band])
    here, there = np.radians(near.latitude), np.radians(near.longitude)
    h = np.sin((latitude - here) / 2) ** 2
    h += np.cos(here) * np.cos(latitude) * np.sin((longitude - there) / 2) ** 2
    found[band] = h <= np.sin(min(near.km / (2 * EARTH_RADIUS_KM), np.pi / 2)) ** 2
    return found


def matches(condition: Condition, image: Attributes) -> bool:
    """Whether one image meets a condition."""
    return bool(meets(condition, Columns.of([image]))[0])


def places_in(condition: Condition | None) -> tuple[Near, ...]:
    """What a condition says of where an image was taken."""
    match condition:
        case Near():
            return (condition,)
        case NotThis(part):
            return places_in(part)
        case AllOf(parts) | AnyOf(parts):
            return tuple(near for part in parts for near in places_in(part))
        case _:
            return ()


def for_some_copy(condition: Condition, *, negated: bool = False) -> Condition:
    """A condition that an image meets if one of its copies might meet the given one.

    A store knows an image's folders only together: of one with copies in A and in B it cannot say
    that a copy lies outside A. So "not in A" lets images pass that lie in several folders; which
    of their copies meet the condition is for `meets` to say.
    """
    match condition:
        case NotThis(part):
            return for_some_copy(part, negated=not negated)
        case AllOf(parts) | AnyOf(parts):
            both = isinstance(condition, AllOf) != negated
            inner = tuple(for_some_copy(part, negated=negated) for part in parts)
            return AllOf(inner) if both else AnyOf(inner)
        case InFolder() if negated:
            return AnyOf((NotThis(condition), InFolder((SEVERAL,))))
        case _:
            return NotThis(condition) if negated else condition
