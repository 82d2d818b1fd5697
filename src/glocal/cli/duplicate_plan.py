"""The plan of `glocal duplicates --plan`: what could be removed, for people and their scripts.

CSV in UTF-8 (bytes of file names that are no text stand as they are). The first line names the
format, the second the columns; then one line a file, groups together, the file to keep first::

    # glocal duplicates, plan 1: nothing has been removed
    action,group,bytes,verdict,copy_probability,path,reason

``action`` is one of

* ``keep``: the best of its group;
* ``could-remove``: identical to a file of the group that stays, or a copy of which the kept
  image shows nearly all about as finely;
* ``look``: a copy that shows more than the kept image or shows it more finely, or another
  image of the same thing.
"""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from glocal.errors import GlocalError
from glocal.gallery import Duplicate, DuplicateGroup
from glocal.ranking.evidence import Verdict

_MARK = "# glocal duplicates, plan "
_FIRST = f"{_MARK}1: nothing has been removed"
_COLUMNS = ("action", "group", "bytes", "verdict", "copy_probability", "path", "reason")


def check_plan(path: Path) -> None:
    """See that a plan may be written there: over nothing, an empty file or another plan.

    Raises:
        GlocalError: something else is there, or it cannot be read.
    """
    try:
        if not path.exists():
            return
        with path.open("rb") as file:
            start = file.read(len(_MARK))
    except OSError as error:
        raise GlocalError(f"the plan {path} cannot be written: {error.strerror}") from error
    if start and start != _MARK.encode():
        raise GlocalError(f"{path} is there and is no plan of glocal's; name another file")


def write_plan(groups: Sequence[DuplicateGroup], path: Path) -> None:
    """Write the plan, whole or not at all.

    Raises:
        GlocalError: something else is there, or it cannot be written.
    """
    check_plan(path)
    target = path.resolve()
    unfinished = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        try:
            with unfinished.open(
                "x", encoding="utf-8", errors="surrogateescape", newline=""
            ) as file:
                file.write(_FIRST + "\n")
                csv.writer(file, lineterminator="\n").writerows([_COLUMNS, *_lines(groups)])
            os.replace(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise GlocalError(f"the plan {path} cannot be written: {error.strerror}") from error


def _lines(groups: Sequence[DuplicateGroup]) -> Iterator[tuple[object, ...]]:
    for number, group in enumerate(groups, start=1):
        best = f"the best of {1 + len(group.others)}: {group.width} x {group.height}"
        yield "keep", number, group.bytes, "", "", group.kept, best
        for other in group.others:
            action = "could-remove" if other.removable else "look"
            chance = f"{other.copy_probability:.3f}"
            reason = _reason(other)
            yield action, number, other.bytes, other.verdict, chance, other.path, reason


def _reason(other: Duplicate) -> str:
    size = f"{other.width} x {other.height}"
    if other.verdict is Verdict.IDENTICAL:
        return "the same bytes as another file of the group that stays"
    if other.verdict is Verdict.SAME_OBJECT:
        return f"another image of the same thing, {other.inliers} parts agree"
    seen = "shown by the kept one" if other.removable else "shows more, or more finely"
    return f"copy, {size}, {other.inliers} parts agree: {seen}"
