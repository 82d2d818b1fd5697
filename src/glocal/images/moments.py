"""When a photo was taken, from the texts in which files say so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

# Fields may be padded with blanks; programs write other separators than EXIF's colons.
_DATE = re.compile(
    r"\s*([0-9]{4})\s*[:\-/.]\s*([0-9]{1,2})\s*[:\-/.]\s*([0-9]{1,2})"
    r"(?:[T, ]\s*([0-9]{1,2})\s*[:.]\s*([0-9]{1,2})(?:\s*[:.]\s*([0-9]{1,2}))?)?"
)
_COMPACT = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})[T ]?([0-9]{2})([0-9]{2})([0-9]{2})?")
_OFFSET = re.compile(r"([+-])([0-9]{2}):?([0-9]{2})")
_GPS_TIME, _GPS_DATE = 7, 29
_ORIGINAL, _DIGITIZED, _CHANGED = 0x9003, 0x9004, 0x0132
_OFFSETS = (0x9011, 0x9012, 0x9010)  # of the original, the digitized, the changed time


def parse_moment(text: str) -> datetime | None:
    """A camera's local time from a text; an offset from UTC behind it is left out.

    >>> parse_moment("2019:05:03 10:30:00"), parse_moment("2019-05-03T10:30+02:00")
    (datetime.datetime(2019, 5, 3, 10, 30), datetime.datetime(2019, 5, 3, 10, 30))

    Returns:
        `None` of what is no date, such as ``0000:00:00 00:00:00``, which cameras write whose clock
        was never set.
    """
    match = _DATE.match(text) or _COMPACT.match(text)
    if match is None:
        return None
    year, month, day, hour, minute, second = (int(part or 0) for part in match.groups())
    midnight = (hour, minute, second) == (24, 0, 0)
    try:
        found = datetime(year, month, day, 0 if midnight else hour, minute, min(second, 59))
        return found + timedelta(days=midnight)
    except (ValueError, OverflowError):
        return None


def exif_moment(
    main: Mapping[int, Any], details: Mapping[int, Any], gps: Mapping[int, Any], text: Any
) -> Iterable[datetime | None]:
    """When a photo was taken by each of the fields of its EXIF, the most telling one first.

    Args:
        main: The first directory.
        details: The EXIF directory.
        gps: The GPS directory.
        text: Makes text of a field's value.
    """
    yield parse_moment(text(details.get(_ORIGINAL)))
    yield parse_moment(text(details.get(_DIGITIZED)))
    yield _gps_moment(details, gps, text)
    yield parse_moment(text(main.get(_CHANGED)))


def _gps_moment(details: Mapping[int, Any], gps: Mapping[int, Any], text: Any) -> datetime | None:
    """The satellites' time, which is UTC, as local time where an offset is stated."""
    found = parse_moment(text(gps.get(_GPS_DATE)))
    clock = gps.get(_GPS_TIME)
    if found is None or not isinstance(clock, tuple) or len(clock) != 3:
        return found
    offsets = (_OFFSET.match(text(details.get(tag))) for tag in _OFFSETS)
    offset = next((match for match in offsets if match), None)
    try:
        hours, minutes, seconds = map(float, clock)
        local = found + timedelta(seconds=int(hours * 3600 + minutes * 60 + seconds))
        if offset is not None:
            away = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
            local += away if offset[1] == "+" else -away
    except (TypeError, ValueError, ArithmeticError):
        return found
    return local
