"""Conditions a search is filtered by: a small tree that every store understands.

`matches` says what each means, for one image; a store's own filter must agree with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import asin, cos, radians, sin, sqrt
from typing import Literal

from glocal.gallery.records import SEVERAL, Attributes

EARTH_RADIUS_KM = 6371.0088

Field = Literal["taken", "width", "height", "bytes"]


@dataclass(frozen=True, slots=True)
class InFolder:
    """The image lies in one of these folders or below; an empty tuple matches nothing."""

    folders: tuple[int, ...]

    def matches(self, attributes: Attributes) -> bool:
        """Whether the image with these attributes meets the condition."""
        return not set(self.folders).isdisjoint(attributes.folders)


@dataclass(frozen=True, slots=True)
class CameraIn:
    """The image was taken by one of these cameras; an empty tuple matches nothing."""

    cameras: tuple[str, ...]

    def matches(self, attributes: Attributes) -> bool:
        """Whether the image with these attributes meets the condition."""
        return attributes.camera in self.cameras


@dataclass(frozen=True, slots=True)
class Between:
    """``low <= field < high``; a bound that is `None` is open. Unknown values never match."""

    field: Field
    low: float | None
    high: float | None

    def matches(self, attributes: Attributes) -> bool:
        """Whether the image with these attributes meets the condition."""
        value = getattr(attributes, self.field)
        if value is None:
            return False
        return (self.low is None or value >= self.low) and (self.high is None or value < self.high)


@dataclass(frozen=True, slots=True)
class Near:
    """Taken within ``km`` kilometres of a point, along the great circle."""

    latitude: float
    longitude: float
    km: float

    def matches(self, attributes: Attributes) -> bool:
        """Whether the image with these attributes meets the condition."""
        if attributes.place is None:
            return False
        lat1, lon1, lat2, lon2 = map(radians, (self.latitude, self.longitude, *attributes.place))
        h = sin((lat2 - lat1) / 2) ** 2 + cos(lat1) * cos(lat2) * sin((lon2 - lon1) / 2) ** 2
        return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(h))) <= self.km


@dataclass(frozen=True, slots=True)
class AllOf:
    """Every part holds."""

    parts: tuple[Condition, ...]

    def matches(self, attributes: Attributes) -> bool:
        """Whether the image with these attributes meets the condition."""
        return all(part.matches(attributes) for part in self.parts)


@dataclass(frozen=True, slots=True)
class AnyOf:
    """At least one part holds."""

    parts: tuple[Condition, ...]

    def matches(self, attributes: Attributes) -> bool:
        """Whether the image with these attributes meets the condition."""
        return any(part.matches(attributes) for part in self.parts)


@dataclass(frozen=True, slots=True)
class NotThis:
    """The part does not hold; true also where the image does not say."""

    part: Condition

    def matches(self, attributes: Attributes) -> bool:
        """Whether the image with these attributes meets the condition."""
        return not self.part.matches(attributes)


Condition = InFolder | CameraIn | Between | Near | AllOf | AnyOf | NotThis


def for_some_copy(condition: Condition, *, negated: bool = False) -> Condition:
    """A condition that an image meets if one of its copies might meet the given one.

    A store knows an image's folders only together: of one with copies in A and in B it cannot say
    that a copy lies outside A. So "not in A" lets images pass that lie in several folders; which
    of their copies meet the condition is for `matches` to say.
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
