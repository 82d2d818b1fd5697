"""The language of `--where`: conditions on folder, date, camera, size and place.

::

    folder = ~/Pictures/2019          in that folder or below
    camera = "canon eos"              the camera's name contains it, whatever the case
    taken >= 2019-05  taken = 2019    year, month, day or second: 2019-05-17T10:30:00
    width >= 2000     height < 500    pixels of the upright image
    bytes > 2MB                       size of the file, with kB, MB or GB
    near 48.8583,2.2945 within 5 km   latitude,longitude in degrees
    near "Paris, Texas" within 20 km  a town, with the extra places; 25 km if no distance is given

joined by ``and``, ``or``, ``not`` and parentheses; ``and`` binds tighter than ``or``. A value with
spaces or parentheses stands in quotes. ``=  !=  <  <=  >  >=`` compare; an image that does not say
(no date, no place) meets no comparison.
"""

from __future__ import annotations

import calendar
import contextlib
import os
import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Protocol

from glocal.errors import QueryError
from glocal.gallery.conditions import (
    AllOf,
    AnyOf,
    Between,
    CameraIn,
    Condition,
    Field,
    InFolder,
    Near,
    NotThis,
)
from glocal.geography.gazetteer import town_named
from glocal.images.url_paths import UrlPath, given_path

_TOKEN = re.compile(
    r"""\s*(?:(?P<quoted>"[^"]*"|'[^']*')|(?P<mark><=|>=|!=|[=<>(),])|(?P<word>[^\s=<>!(),"']+))"""
)
_TIME = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?)?)?")
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*(b|kb|mb|gb|px)?", re.IGNORECASE)
_UNITS = {"": 1, "b": 1, "px": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
_COMPARISONS = {"=", "!=", "<", "<=", ">", ">="}
_NUMBERS: dict[str, Field] = {"width": "width", "height": "height", "bytes": "bytes"}
_NUMBER = re.compile(r"[+-]?(?:[\d.].*|nan|inf)")
DEFAULT_KM = 25.0
"""How far from a place, where no distance is given: a large town and what lies around it."""
_AFTER = {"and", "or", ")"}  # what may follow a condition
_MAX_LENGTH = 10_000
_MAX_DEPTH = 50


class Names(Protocol):
    """What the catalogue knows of the names in a condition."""

    def find_folder(self, path: Path) -> int | None:
        """The number of a folder, or `None`."""
        ...

    def all_folders(self) -> dict[Path, int]:
        """Every folder that ever held an image, and those above, with their numbers."""
        ...

    def cameras_like(self, text: str) -> tuple[str, ...]:
        """Every camera whose name contains the text, whatever its case."""
        ...


def parse(text: str, names: Names) -> Condition:
    """Read a condition.

    Args:
        text: as described above.
        names: resolves folders and cameras.

    Raises:
        QueryError: the text is no condition, and the error says where and what was expected; or
            the gallery has no such folder or camera, and the error names those that were meant.
    """
    if len(text) > _MAX_LENGTH:
        raise QueryError(f"the condition is longer than {_MAX_LENGTH} characters")
    return _Parser(text, names).parse()


def parse_place(text: str, km: float) -> Near:
    """Read a place: ``48.8583,2.2945`` in degrees, or the name of a town.

    Args:
        text: as after ``near``.
        km: the distance from it.

    Raises:
        QueryError: it is neither, or several towns could be meant.
        MissingExtraError: it is a name, and the extra ``places`` is not installed.
    """
    first, _, second = text.partition(",")
    if _NUMBER.fullmatch(first.strip()):
        degrees = _in_degrees("latitude", 90, first), _in_degrees("longitude", 180, second)
        return Near(*degrees, km)
    town, others = town_named(text)
    also = f"; there is also {others[0].label} ({others[0].population:,})" if others else ""
    place = f"{town.label} ({town.population:,} people){also}"
    return Near(town.latitude, town.longitude, km, place)


class _Parser:
    def __init__(self, text: str, names: Names) -> None:
        self._text = text
        self._names = names
        self._tokens = _tokens(text)
        self._at = 0
        self._depth = 0

    def parse(self) -> Condition:
        condition = self._any()
        if self._at < len(self._tokens):
            raise self._wrong("'and', 'or' or the end")
        return condition

    def _any(self) -> Condition:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise QueryError("the condition is nested too deeply")
        parts = [self._all()]
        while self._accept("or"):
            parts.append(self._all())
        self._depth -= 1
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all(self) -> Condition:
        parts = [self._one()]
        while self._accept("and"):
            parts.append(self._one())
        return parts[0] if len(parts) == 1 else AllOf(tuple(parts))

    def _one(self) -> Condition:
        negations = 0
        while self._accept("not"):
            negations += 1
        if self._accept("("):
            condition = self._any()
            self._expect(")")
        else:
            condition = self._comparison()
        return NotThis(condition) if negations % 2 else condition

    def _comparison(self) -> Condition:
        name = self._next("folder, camera, taken, width, height, bytes or near").lower()
        if name == "near":
            return self._near()
        kinds: dict[str, Callable[[str, str], Condition]] = {
            "folder": self._folder,
            "camera": self._camera,
            "taken": self._taken,
        } | {n: self._number(field) for n, field in _NUMBERS.items()}
        if name not in kinds:
            self._at -= 1
            raise self._wrong("folder, camera, taken, width, height, bytes or near")
        how = self._next("a comparison such as = or >=")
        if how not in _COMPARISONS:
            self._at -= 1
            raise self._wrong("a comparison such as = or >=")
        return kinds[name](how, self._next("a value"))

    def _folder(self, how: str, value: str) -> Condition:
        path = given_path(value)
        with contextlib.suppress(RuntimeError):  # "~nobody"
            path = path.expanduser()
        if not isinstance(path, UrlPath):
            path = Path(os.path.abspath(path))  # unlike resolve, this keeps links
        spelled = {self._names.find_folder(path), self._names.find_folder(_resolved(path))}
        numbers = {number for number in spelled if number is not None}
        if not numbers:
            numbers = self._spelled_otherwise(path)
        return self._equality("folder", how, InFolder(tuple(sorted(numbers))))

    def _spelled_otherwise(self, path: Path) -> set[int]:
        """Folders whose names differ in nothing but how accents are encoded.

        Keyboards compose them (NFC); macOS, and disks that were written there, keep them apart.
        """
        folders = self._names.all_folders()
        wanted = _composed(str(path))
        found = {number for other, number in folders.items() if _composed(str(other)) == wanted}
        if not found:
            named = [str(f) for f in folders if f.name.casefold() == path.name.casefold()]
            near = named[:3] or get_close_matches(str(path), map(str, folders), cutoff=0.8)
            raise QueryError(f"the gallery has nothing in a folder {path}{_suggested(near)}")
        return found

    def _camera(self, how: str, value: str) -> Condition:
        found = self._names.cameras_like(value)
        if not found:
            cameras = {name.casefold(): name for name in self._names.cameras_like("")}
            near = get_close_matches(value.casefold(), cameras, cutoff=0.4) or list(cameras)[:3]
            raise QueryError(
                f"no camera in the gallery is named like {value!r}"
                f"{_suggested([cameras[name] for name in near])}"
            )
        return self._equality("camera", how, CameraIn(found))

    def _equality(self, name: str, how: str, condition: Condition) -> Condition:
        if how not in ("=", "!="):
            raise QueryError(f"{name} can be compared with = and != only, not {how}")
        return condition if how == "=" else NotThis(condition)

    def _taken(self, how: str, value: str) -> Condition:
        first, after = _span(value)
        return _compare("taken", how, first, after)

    def _number(self, field: Field) -> Callable[[str, str], Condition]:
        def number(how: str, value: str) -> Condition:
            match = _AMOUNT.fullmatch(value)
            if not match:
                raise QueryError(f"{field} needs a number such as 2000 or 2MB, not {value!r}")
            amount = float(match[1]) * _UNITS[(match[2] or "").lower()]
            return _compare(field, how, amount, amount + 1)

        return number

    def _near(self) -> Condition:
        words: list[str] = []
        while self._at < len(self._tokens) and not self._ends_place():
            words.append(self._next("a place"))
        if not words:
            raise self._wrong("latitude,longitude in degrees or the name of a town")
        place = parse_place(" ".join(words).replace(" ,", ","), DEFAULT_KM)
        return replace(place, km=self._distance())

    def _ends_place(self) -> bool:
        return self._tokens[self._at][0].lower() in {"within", *_AFTER}

    def _distance(self) -> float:
        if self._at == len(self._tokens) or self._tokens[self._at][0].lower() in _AFTER:
            return DEFAULT_KM
        self._expect("within")
        value = self._next("a distance such as 5 km")
        if value.lower().endswith("km"):
            value = value[:-2]
        else:
            self._accept("km")
        try:
            km = float(value)
        except ValueError:
            km = -1.0
        if not 0 < km < 20_100:  # half way round the earth
            raise QueryError(f"a distance is a number of kilometres above 0, not {value!r}")
        return km

    def _next(self, expected: str) -> str:
        if self._at >= len(self._tokens):
            raise self._wrong(expected)
        self._at += 1
        return _bare(self._tokens[self._at - 1][0])

    def _accept(self, word: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at][0].lower() == word:
            self._at += 1
            return True
        return False

    def _expect(self, word: str) -> None:
        if not self._accept(word):
            raise self._wrong(repr(word))

    def _wrong(self, expected: str) -> QueryError:
        if self._at >= len(self._tokens):
            return QueryError(f"the condition ends where {expected} should follow: {self._text!r}")
        token, position = self._tokens[self._at]
        return QueryError(
            f"expected {expected} instead of {token!r} at character {position + 1} "
            f"of the condition {self._text!r}"
        )


def _in_degrees(what: str, most: float, value: str) -> float:
    try:
        degrees = float(value)
    except ValueError:
        degrees = float("nan")
    if not -most <= degrees <= most:
        raise QueryError(
            f"a {what} lies between -{most:g} and {most:g} degrees, not at {value.strip()!r}"
        )
    return degrees


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _suggested(names: list[str]) -> str:
    return f"; did you mean {' or '.join(map(repr, names))}?" if names else ""


def _tokens(text: str) -> list[tuple[str, int]]:
    tokens = []
    at = 0
    end = len(text.rstrip())
    while at < end:
        match = _TOKEN.match(text, at)
        if not match:
            raise QueryError(f"cannot read the condition {text!r} from character {at + 1} on")
        tokens.append((match[0].strip(), match.end() - len(match[0].lstrip())))
        at = match.end()
    return tokens


def _bare(token: str) -> str:
    return token[1:-1] if token[:1] in ("'", '"') else token


def _resolved(path: Path) -> Path:
    if isinstance(path, UrlPath):
        return path
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # a loop of links
        return path


def _compare(field: Field, how: str, first: float, after: float) -> Condition:
    """Compare with a value that spans ``first <= x < after``: a whole year, or one pixel."""
    match how:
        case "=":
            return Between(field, first, after)
        case "!=":
            return AnyOf((Between(field, None, first), Between(field, after, None)))
        case "<":
            return Between(field, None, first)
        case "<=":
            return Between(field, None, after)
        case ">":
            return Between(field, after, None)
        case _:
            return Between(field, first, None)


def _span(value: str) -> tuple[float, float]:
    """The seconds since 1970 at which a year, month, day, minute or second begins and ends."""
    match = _TIME.fullmatch(value)
    try:
        if not match:
            raise ValueError
        year, month, day, hour, minute, second = (
            None if g is None else int(g) for g in match.groups()
        )
        start = datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0)
        if month is None:
            length = timedelta(days=365 + calendar.isleap(start.year))
        elif day is None:
            length = timedelta(days=calendar.monthrange(start.year, start.month)[1])
        elif hour is None:
            length = timedelta(days=1)
        else:
            length = timedelta(seconds=60 if second is None else 1)
    except (ValueError, OverflowError) as error:
        raise QueryError(
            f"a date looks like 2019, 2019-05, 2019-05-17 or 2019-05-17T10:30, not {value!r}"
        ) from error
    begin = (start - datetime(1970, 1, 1)).total_seconds()
    return begin, begin + length.total_seconds()
