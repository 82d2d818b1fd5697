"""Conditions as Milvus's boolean expressions.

Milvus 2.3 knows neither empty values nor places. What an image does not say is a value that no
condition asks for; and a circle on the globe becomes the box around it, so that an expression may
let more images pass than it should. Who uses it compares what comes back once more (`meets`).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from glocal.gallery.conditions import (
    AllOf,
    AnyOf,
    Between,
    CameraIn,
    Condition,
    InFolder,
    Near,
    NotThis,
    places_in,
)
from glocal.geography.sphere import EARTH_RADIUS_KM

UNKNOWN = -(2**62)
"""Stands for a date that an image does not say."""

NOWHERE = 1000.0
"""Stands for latitude and longitude of an image that does not say where it was taken."""

LONGEST_CAMERA = 1024
"""Bytes of a camera's name that are kept and compared."""

_LEAST, _MOST = -(2**62) + 1, 2**62  # known whole numbers lie between
_MARGIN = 1e-6  # degrees


@dataclass(frozen=True, slots=True)
class Filter:
    """What a condition comes to.

    Attributes:
        expression: for Milvus; empty where all images pass.
        nothing: whether no image can pass.
        exact: whether the expression lets only images pass that meet the condition.
    """

    expression: str = ""
    nothing: bool = False
    exact: bool = True


def translated(condition: Condition | None) -> Filter:
    """A condition as an expression that each image passes that meets it."""
    if condition is None:
        return Filter()
    said = _said(condition, loose=True)
    if isinstance(said, bool):
        return Filter("", nothing=not said, exact=not places_in(condition))
    return Filter(said, exact=not places_in(condition))


def camera_key(name: str | None) -> str:
    """A camera's name as it is kept; empty where it is unknown."""
    return (name or "").encode()[:LONGEST_CAMERA].decode(errors="ignore")


def wrapped(longitude: float) -> float:
    """The same longitude from -180 to 180 degrees."""
    return longitude if -180 <= longitude <= 180 else (longitude + 180) % 360 - 180


def _said(condition: Condition, *, loose: bool) -> str | bool:  # noqa: PLR0911 - one for each kind
    """An expression, or what it always is.

    Args:
        condition: the condition.
        loose: whether more images may pass than meet it; otherwise fewer may.
    """
    match condition:
        case InFolder(folders):
            listed = ", ".join(map(str, folders))
            return f"array_contains_any(folders, [{listed}])" if folders else False
        case CameraIn(cameras):
            names = sorted({camera_key(name) for name in cameras} - {""})
            quoted = ", ".join(json.dumps(name, ensure_ascii=False) for name in names)
            return f"camera in [{quoted}]" if names else False
        case Between(field, low, high):
            return _between(field, low, high)
        case Near():
            return _box(condition) if loose else False
        case NotThis(part):
            said = _said(part, loose=not loose)
            return not said if isinstance(said, bool) else f"not ({said})"
        case AllOf(parts):
            return _joined([_said(part, loose=loose) for part in parts], "and")
        case AnyOf(parts):
            return _joined([_said(part, loose=loose) for part in parts], "or")


def _joined(said: list[str | bool], word: str) -> str | bool:
    decides = word == "or"  # the value that settles it alone
    if decides in [each for each in said if isinstance(each, bool)]:
        return decides
    rest = [f"({each})" for each in said if isinstance(each, str)]
    return f" {word} ".join(rest) if rest else not decides


def _between(field: str, low: float | None, high: float | None) -> str | bool:
    """All four fields are whole numbers."""
    if (low is not None and math.isnan(low)) or (high is not None and math.isnan(high)):
        return False
    least = _LEAST if low is None else _whole(low)
    most = _MOST if high is None else _whole(high)
    if least >= most:
        return False
    return f"{field} >= {least} and {field} < {most}"


def _whole(bound: float) -> int:
    """The least whole number that is not below a bound."""
    return int(max(_LEAST, min(_MOST, math.ceil(bound) if math.isfinite(bound) else bound)))


def _box(near: Near) -> str:
    """Latitudes and longitudes between which the circle lies."""
    angle = near.km / EARTH_RADIUS_KM
    reach = math.degrees(angle) + _MARGIN
    south, north = max(near.latitude - reach, -90.0), min(near.latitude + reach, 90.0)
    band = f"latitude >= {south - _MARGIN!r} and latitude <= {north + _MARGIN!r}"
    if south <= -90 or north >= 90 or angle >= math.pi / 2:  # a pole is inside
        return band
    across = math.sin(angle) / math.cos(math.radians(near.latitude))
    if across >= 1:
        return band
    width = math.degrees(math.asin(across)) + _MARGIN
    middle = wrapped(near.longitude)
    west, east = middle - width, middle + width
    inside = f"longitude >= {west!r} and longitude <= {east!r}"
    if west < -180:
        inside = f"(({inside}) or longitude >= {west + 360!r})"
    elif east > 180:
        inside = f"(({inside}) or longitude <= {east - 360!r})"
    return f"{band} and {inside}"
