"""Conditions as SQL over the catalogue; `Condition.matches` says what each has to mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

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

NEAR_FUNCTION = "glocal_near"
"""Name of the SQL function that `near` computes; a connection needs it (see `is_near`)."""


def is_near(
    latitude: float | None, longitude: float | None, lat: float, lon: float, km: float
) -> bool:
    """Whether a place, if it is known, lies within kilometres of a point: `Near` as a function."""
    if latitude is None or longitude is None:
        return False
    return Near(lat, lon, km).matches(Attributes((), 0, 0, 0, place=(latitude, longitude)))


def condition_sql(  # noqa: PLR0911 - one for each kind of condition
    condition: Condition | None, below: Callable[[tuple[int, ...]], list[int]], file: str = "f"
) -> tuple[str, list[Any]]:
    """A condition on one file of an image as an SQL expression that is 0 or 1, never NULL.

    Args:
        condition: `None` is always true.
        below: gives folders and all below them, by number.
        file: alias of the table ``files``; ``contents`` has the alias ``c``.

    Returns:
        The expression and the values of its parameters.
    """
    match condition:
        case None:
            return "1", []
        case InFolder(folders):
            # S608: the alias is ours.
            text = f"({file}.folder IN (SELECT value FROM json_each(?)))"  # noqa: S608
            return text, [json.dumps(below(folders))]
        case CameraIn(cameras):
            listed = "SELECT value FROM json_each(?)"
            return f"(c.camera IS NOT NULL AND c.camera IN ({listed}))", [json.dumps(cameras)]
        case Between():
            return _between(condition)
        case Near(latitude, longitude, km):
            places = "c.latitude, c.longitude, ?, ?, ?"
            return f"{NEAR_FUNCTION}({places})", [latitude, longitude, km]
        case NotThis(part):
            text, values = condition_sql(part, below, file)
            return f"(NOT {text})", values
        case AllOf(parts) | AnyOf(parts):
            joined = [condition_sql(part, below, file) for part in parts]
            word = " AND " if isinstance(condition, AllOf) else " OR "
            return f"({word.join(t for t, _ in joined)})", [v for _, vs in joined for v in vs]


def _between(condition: Between) -> tuple[str, list[Any]]:
    parts, values = [f"c.{condition.field} IS NOT NULL"], []
    for mark, bound in ((">=", condition.low), ("<", condition.high)):
        if bound is not None:
            parts.append(f"c.{condition.field} {mark} ?")
            values.append(bound)
    return f"({' AND '.join(parts)})", values


def mentions_place(condition: Condition) -> bool:
    """Whether a condition asks where an image was taken."""
    match condition:
        case Near():
            return True
        case NotThis(part):
            return mentions_place(part)
        case AllOf(parts) | AnyOf(parts):
            return any(map(mentions_place, parts))
        case _:
            return False
