"""Where a photo was taken, from the numbers in which files say so."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

_LATITUDE_REF, _LATITUDE, _LONGITUDE_REF, _LONGITUDE = 1, 2, 3, 4
_TEXT = re.compile(
    r"(-?[0-9]{1,3}(?:\.[0-9]+)?)(?:,([0-9]{1,2}(?:\.[0-9]+)?))?(?:,([0-9]{1,2}(?:\.[0-9]+)?))?"
    r"\s*([NSEWnsew]?)"
)


def exif_place(gps: Mapping[int, Any], text: Any) -> tuple[float | None, float | None]:
    """Latitude and longitude in degrees by a GPS directory; both or neither.

    Args:
        gps: The directory.
        text: Makes text of a field's value.
    """
    latitude = _degrees(gps.get(_LATITUDE), text(gps.get(_LATITUDE_REF)), "N", "S", 90.0)
    longitude = _degrees(gps.get(_LONGITUDE), text(gps.get(_LONGITUDE_REF)), "E", "W", 180.0)
    if latitude is None or longitude is None or not is_place(latitude, longitude):
        return None, None
    return latitude, longitude


def is_place(latitude: float, longitude: float) -> bool:
    """Whether these are a place, and not what programs write where they know none: 0, 0."""
    return (latitude, longitude) != (0.0, 0.0)


def from_text(text: str, positive: str, negative: str, bound: float) -> float | None:
    """Degrees as XMP writes them: ``48,51.5N``, ``48,51,30N``, or decimal."""
    match = _TEXT.fullmatch(text.strip())
    if match is None:
        return None
    degrees, minutes, seconds = (float(part or 0) for part in match.groups()[:3])
    return _signed(degrees, minutes, seconds, match[4].upper(), positive, negative, bound)


def _degrees(
    value: object, direction: str, positive: str, negative: str, bound: float
) -> float | None:
    if not isinstance(value, tuple) or len(value) not in (2, 3):
        return None
    try:
        degrees, *rest = (float(part) for part in value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    # Seconds are often 0/0, where minutes have a fraction.
    minutes, seconds = (0.0 if math.isnan(part) else part for part in (*rest, 0.0)[:2])
    return _signed(degrees, minutes, seconds, direction.upper()[:1], positive, negative, bound)


def _signed(
    degrees: float,
    minutes: float,
    seconds: float,
    letter: str,
    positive: str,
    negative: str,
    bound: float,
) -> float | None:
    if letter not in (positive, negative, ""):
        return None
    # Without a letter, north and east are what programs mean that leave it out.
    angle = abs(degrees) + minutes / 60 + seconds / 3600
    if not math.isfinite(angle) or min(minutes, seconds) < 0 or angle > bound:
        return None
    if letter and degrees < 0:
        return None
    return -angle if letter == negative or degrees < 0 else angle
