"""Results out of JSON: the inverse of `glocal.gallery.results.plain`."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def from_json(kind: type[T], value: dict[str, Any]) -> T:
    """A result of a type out of its JSON.

    Members of the JSON that the type does not have are ignored, so that newer servers can have
    more of them.

    Args:
        kind: a dataclass.
        value: its fields.

    Raises:
        KeyError: a field is missing.
        TypeError: a value has another type.
        ValueError: a value is not one of the type's.
    """
    found: T = _parse(kind, value)
    return found


def _parse(kind: Any, value: Any) -> Any:  # noqa: PLR0911 - a case for each form of a type
    make: Any = kind
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        (other,) = (each for each in arguments if each is not type(None))
        return None if value is None else _parse(other, value)
    if origin is tuple and arguments[-1] is Ellipsis:
        return tuple(_parse(arguments[0], each) for each in value)
    if origin is tuple:
        return tuple(_parse(*each) for each in zip(arguments, value, strict=True))
    if origin is dict:
        return {name: _parse(arguments[1], each) for name, each in value.items()}
    if is_dataclass(kind):
        types = _types(make)
        return make(**{name: _parse(each, value[name]) for name, each in types.items()})
    if kind is datetime:
        return datetime.fromisoformat(value)
    if isinstance(kind, type) and issubclass(kind, Enum | Path):
        return kind(value)
    return value


@cache
def _types(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind)}
