"""What XMP, the metadata that programs write, says of an image: when and where it was taken.

It is searched for the few properties that are needed instead of being parsed: it may be damaged, be
of any size, and define entities that explode.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from glocal.images.moments import parse_moment
from glocal.images.positions import from_text, is_place

_MOST = 1 << 20
_LIST = 100_000  # characters of one list that are read
_ITEM = re.compile(r"<rdf:li\b[^>]{0,200}>([^<]{1,2000})</rdf:li>")
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
    text = packet_text(data)
    moments = (parse_moment(_value(text, name)) for name in (*_DATES, *_MADE))
    taken = next((moment for moment in moments if moment is not None), None)
    latitude = from_text(_value(text, "exif:GPSLatitude"), "N", "S", 90.0)
    longitude = from_text(_value(text, "exif:GPSLongitude"), "E", "W", 180.0)
    if latitude is None or longitude is None or not is_place(latitude, longitude):
        return XmpFacts(taken)
    return XmpFacts(taken, latitude, longitude)


def packet_text(data: Any) -> str:
    """The text of a packet or of a sidecar file, 1 MB at most; empty of what is neither.

    Args:
        data: bytes or text.
    """
    if isinstance(data, bytes):
        data = data[:_MOST].decode("utf-8", "replace")
    return data[:_MOST] if isinstance(data, str) else ""


def list_items(text: str, names: Sequence[str]) -> Iterator[str]:
    """The items of each list of these names, such as ``dc:subject``, of 2,000 characters at most.

    Args:
        text: of a packet.
        names: of properties.
    """
    for name in names:  # found and not matched: a regular expression could take for ever
        start = text.find(f"<{name}")
        end = text.find(f"</{name}>", start)
        if 0 <= start < end:
            for item in _ITEM.finditer(text[start : min(end, start + _LIST)]):
                yield html.unescape(item[1])


def _value(text: str, name: str) -> str:
    """A simple property, which is an attribute or an element."""
    found = re.search(
        rf"\b{name}\s*=\s*[\"']([^\"'<]{{0,100}})[\"']|<{name}>([^<]{{0,100}})<", text
    )
    return "" if found is None else (found[1] or found[2] or "").strip()
