"""Options of a part of a training by name, such as ``objective.margin=0.3``, before it is built.

What a part takes is read off its class, so that a new part's options can be set at once.
"""

from __future__ import annotations

import inspect
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from glocal.errors import LearnError
from glocal.registry import Kind, part

Value = bool | int | float | str | list[int]

_KINDS: tuple[Kind, ...] = ("head", "objective", "recipe")
_GIVEN = frozenset(  # the trainer says these
    {"self", "levels", "dim", "classes", "model", "objective", "instance", "self_weight", "old"}
)
_ELSEWHERE = {
    "head.dim": "--dim",
    "objective.dim": "--dim",
    "instance": "--temperature and --entropy",
}
_MAY_BE_ZERO = frozenset({"margin", "weight", "coarse"})
_BELOW_ONE = frozenset({"median_probability", "least", "most", "decay", "share"})
_WORDS = {bool: "true or false", int: "a whole number", float: "a number"}


def split_options(given: Iterable[str]) -> dict[str, str]:
    """Names and texts of ``head.power=4`` and the like.

    Raises:
        LearnError: one is not of this form, or a name comes twice.
    """
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = (piece.strip() for piece in text.partition("="))
        kind, dot, own = name.partition(".")
        if not (equals and dot and own and value) or kind not in _KINDS:
            raise LearnError(
                f"--set {text}: give head.NAME=VALUE, objective.NAME=VALUE or "
                "recipe.NAME=VALUE, as head.power=4"
            )
        if name in found:
            raise LearnError(f"--set {name} is given twice: {found[name]} and {value}")
        found[name] = value
    return found


def read_options(
    given: Mapping[str, str | Value], *, head: str, objective: str, recipe: str
) -> dict[str, Value]:
    """The values of options, each checked against the part it belongs to.

    Args:
        given: by ``head.NAME``, ``objective.NAME`` and ``recipe.NAME``; texts,
            or values that are read already.
        head: registered name of the head.
        objective: of the objective.
        recipe: of the recipe.

    Returns:
        Plain values by the same names, which are the same however they were written.

    Raises:
        LearnError: a part has no such option, or the value is not one for it.
        MissingExtraError: a part needs a package that is not installed.
    """
    chosen = {"head": head, "objective": objective, "recipe": recipe}
    found: dict[str, Value] = {}
    for name, value in sorted(given.items()):
        kind, _, own = name.partition(".")
        where = f"--set {name}"
        if kind not in chosen:
            raise LearnError(f"{where}: only head, objective and recipe have options to set")
        instead = _ELSEWHERE.get(name) or _ELSEWHERE.get(chosen[kind])
        if instead:
            raise LearnError(f"{where} is not needed: {instead} says it")
        known = option_types(typing.cast(Kind, kind), chosen[kind])
        if own not in known:
            near = get_close_matches(own, known, n=1)
            hint = f"did you mean {kind}.{near[0]}? " if near else ""
            there = ", ".join(f"{kind}.{other}" for other in known) or "none"
            raise LearnError(
                f"{where}: the {kind} {chosen[kind]} has no option {own!r}; {hint}there are: "
                f"{there}"
            )
        found[name] = _value(own, value, known[own], where)
    return found


def options_of(options: Mapping[str, str | Value], kind: str) -> dict[str, str | Value]:
    """Those of one kind of part, as arguments for its class."""
    return {
        name.partition(".")[2]: value
        for name, value in options.items()
        if name.startswith(f"{kind}.")
    }


def option_types(kind: Kind, name: str) -> dict[str, Any]:
    """The options of a part, and the type of each.

    Raises:
        PartError: there is no such part.
        MissingExtraError: it needs a package that is not installed.
    """
    made = part(kind, name).load()
    hints = typing.get_type_hints(made.__init__)
    return {
        option: hints[option]
        for option, parameter in inspect.signature(made.__init__).parameters.items()
        if option not in _GIVEN and parameter.kind is not parameter.VAR_KEYWORD
    }


def _value(name: str, given: str | Value, wanted: Any, where: str) -> Value:
    if typing.get_origin(wanted) is Sequence:
        pieces: Sequence[Any] = given.split(",") if isinstance(given, str) else _listed(given)
        if not pieces or pieces == [""]:
            raise LearnError(f"{where}={given}: give whole numbers, as 6,12,18")
        return [int(_number(name, piece, int, f"{where}={given}")) for piece in pieces]
    if isinstance(wanted, types.UnionType):
        wanted = next(one for one in typing.get_args(wanted) if one is not type(None))
    if typing.get_origin(wanted) is typing.Literal:
        if given not in typing.get_args(wanted):
            raise LearnError(f"{where}: give one of {', '.join(typing.get_args(wanted))}")
        return str(given)
    if wanted is bool:
        known = {"true": True, "false": False, "yes": True, "no": False}
        found = known.get(str(given).strip().lower())
        if found is None:
            raise LearnError(f"{where}={given}: give {_WORDS[bool]}")
        return found
    return _number(name, given, wanted, f"{where}={given}")


def _listed(given: Value) -> list[Any]:
    return list(given) if isinstance(given, list | tuple) else [given]


def _number(name: str, given: Any, wanted: Any, where: str) -> int | float:
    try:
        if isinstance(given, bool):
            raise ValueError
        found: int | float = wanted(given)
        if not isinstance(given, str) and found != given:
            raise ValueError
    except (ValueError, TypeError, OverflowError):
        raise LearnError(f"{where}: give {_WORDS[wanted]}") from None
    if not math.isfinite(found) or found < 0 or (found == 0 and name not in _MAY_BE_ZERO):
        least = "at least 0" if name in _MAY_BE_ZERO else "more than 0"
        raise LearnError(f"{where}: it has to be {least}")
    if name in _BELOW_ONE and found >= 1:
        raise LearnError(f"{where}: it has to be less than 1")
    return found
