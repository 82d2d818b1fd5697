"""What XMP, the metadata that programs write, says of an image: when and where it was taken.

It is searched for the few properties that are needed instead of being parsed: it may be damaged, be
of any size, and define entities that explode.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from glocal.images.moments import parse_moment
from glocal.images.positions import from_text, is_place

_MOST = 1 << 20
_DATES = ("exif:DateTimeOriginal", "photoshop:DateCreated", "exif:DateTimeDigitized")
_MADE = ("xmp:CreateDate", "exif:GPSTimeStamp")


@dataclass(frozen=True, slots=True)
class XmpFacts:
    """What XMP says.

    Attributes:
        taken: The camera's local time without a zone.
        latitude, longitude: Degrees in WGS84; both or neither are given.
    """

    taken: datetime | None = None
    latitude: float | None = None
    longitude: float | None = None


def read_xmp(data: Any) -> XmpFacts:
    """Read XMP.

    Args:
        data: Bytes or text of a packet or of a sidecar file; anything else says nothing.
    """
    if isinstance(data, bytes):
        data = data[:_MOST].decode("utf-8", "replace")
    if not isinstance(data, str):
        return XmpFacts()
    text = data[:_MOST]
    moments = (parse_moment(_value(text, name)) for name in (*_DATES, *_MADE))
    taken = next((moment for moment in moments if moment is not None), None)
    latitude = from_text(_value(text, "exif:GPSLatitude"), "N", "S", 90.0)
    longitude = from_text(_value(text, "exif:GPSLongitude"), "E", "W", 180.0)
    if latitude is None or longitude is None or not is_place(latitude, longitude):
        return XmpFacts(taken)
    return XmpFacts(taken, latitude, longitude)


def _value(text: str, name: str) -> str:
    """A simple property, which is an attribute or an element."""
    found = re.search(
        rf"\b{name}\s*=\s*[\"']([^\"'<]{{0,100}})[\"']|<{name}>([^<]{{0,100}})<", text
    )
    return "" if found is None else (found[1] or found[2] or "").strip()
