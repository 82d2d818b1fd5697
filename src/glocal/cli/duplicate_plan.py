"""The plan of `glocal duplicates --plan`: what could be removed, for people and their scripts.

CSV in UTF-8 (bytes of file names that are no text stand as they are). The first line names the
format, the second the columns; then one line a file, groups together, the file to keep first::

    # glocal duplicates, plan 2: nothing has been removed
    action,group,bytes,verdict,copy_probability,path,reason

``action`` is one of

* ``keep``: the best of its group;
* ``could-remove``: identical to a file of the group that stays, or a copy of which the kept
  image shows nearly all about as finely;
* ``decide-yourself``: a copy that shows more than the kept image or shows it more finely, or
  another photo of the same object or place.
"""

from __future__ import annotations

import csv
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from glocal.cli.duplicate_rows import Action, rows
from glocal.errors import GlocalError
from glocal.gallery import DuplicateGroup

_MARK = "# glocal duplicates, plan "
_FIRST = f"{_MARK}2: nothing has been removed"
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
        for row in rows(group):
            kept = row.action is Action.KEEP
            chance = "" if kept else f"{row.copy_probability:.3f}"
            yield row.action, number, row.image.bytes, row.verdict, chance, row.path, row.reason
