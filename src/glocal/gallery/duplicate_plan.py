"""The plan of `glocal duplicates --plan`: what could be removed, for people and their scripts.

CSV in UTF-8 (bytes of file names that are no text stand as they are). The first line names the
format, the second the columns; then one line a file, groups together, the file to keep first::

    # glocal duplicates, plan 3: nothing has been removed
    action,group,bytes,verdict,copy_probability,path,reason,content

``content`` is half of the SHA-256 of the file's bytes, by which a plan can be checked later, and
``action`` is one of

* ``keep``: the best of its group, where that is clear;
* ``could-remove``: identical to a file of the group that stays, or a copy beside which the kept
  image is as good in every respect and better in one;
* ``decide-yourself``: a copy that has something the kept image lacks, or of which it is not clear
  whether it has, or another photo of the same object or place;
* ``link``: another name of one of these files, and no copy;
* ``changed``: a name under which the gallery knows an image that is no longer there.
"""

from __future__ import annotations

import csv
import io
import os
import secrets
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain
from pathlib import Path
from uuid import UUID

from glocal.errors import GlocalError
from glocal.gallery.duplicate_rows import Action, rows
from glocal.gallery.results import DuplicateGroup
from glocal.gallery.same_files import content_of, look
from glocal.gallery.stores.files import sync

_MARK = "# glocal duplicates, plan "
_FIRST = f"{_MARK}3: nothing has been removed"
_COLUMNS = ("action", "group", "bytes", "verdict", "copy_probability", "path", "reason", "content")


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


def plan_lines(groups: Iterable[DuplicateGroup]) -> Iterator[str]:
    """The lines of a plan; file names that are no text are in them as surrogates."""
    yield _FIRST + "\n"
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    for values in chain([_COLUMNS], _lines(groups)):
        writer.writerow(values)
        yield line.getvalue()
        line.seek(0)
        line.truncate()


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
                file.writelines(plan_lines(groups))
                file.flush()
                sync(file.fileno())
            os.replace(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)
    except OSError as error:
        raise GlocalError(f"the plan {path} cannot be written: {error.strerror}") from error


class RowState(StrEnum):
    """Whether a row of a plan still holds; the values are for people and programs."""

    HOLDS = "holds"
    GONE = "gone"
    CHANGED = "changed"
    NOT_KEPT = "nothing stays"


@dataclass(frozen=True, slots=True)
class PlanRow:
    """A row of a plan, read again.

    Attributes:
        action: what was proposed.
        group: number of its group.
        path: the file.
        content: what its bytes were.
        state: whether that still holds; of a file that could be removed also whether the file to
            keep of its group still does.
        reason: why it does not.
    """

    action: Action
    group: int
    path: Path
    content: UUID
    state: RowState
    reason: str = ""


def read_plan(path: Path) -> list[PlanRow]:
    """Read a plan and look at every file again; each is read whole.

    Raises:
        GlocalError: there is no plan, or it is of another version.
    """
    found = [(action, group, at, content) for action, group, at, content in _read(path)]
    states = {at: _state(at, content) for _, _, at, content in found}
    kept: dict[int, list[Path]] = {}
    for action, group, at, _ in found:
        if action is Action.KEEP and states[at] is RowState.HOLDS:
            kept.setdefault(group, []).append(at)
    checked = []
    for action, group, at, content in found:
        state, reason = states[at], ""
        if state is not RowState.HOLDS:
            reason = "it is no longer there" if state is RowState.GONE else "other bytes by now"
        elif action is Action.COULD_REMOVE:
            state, reason = _beside(at, kept.get(group, []))
        checked.append(PlanRow(action, group, at, content, state, reason))
    return checked


def _beside(path: Path, kept: Sequence[Path]) -> tuple[RowState, str]:
    """Whether something else than this very file stays."""
    mine = look(path)
    for other in kept:
        now = look(other)
        if now is not None and mine is not None and now.key != mine.key and not now.is_link:
            return RowState.HOLDS, ""
    if kept:
        return RowState.NOT_KEPT, "by now it is the same file as the one to keep"
    return RowState.NOT_KEPT, "the file to keep of its group is gone or has changed"


def _state(path: Path, content: UUID) -> RowState:
    if look(path) is None:
        return RowState.GONE
    return RowState.HOLDS if content_of(path) == content else RowState.CHANGED


def _read(path: Path) -> Iterator[tuple[Action, int, Path, UUID]]:
    try:
        with path.open(encoding="utf-8", errors="surrogateescape", newline="") as file:
            first = file.readline().rstrip("\n")
            if not first.startswith(_MARK):
                raise GlocalError(f"{path} is no plan of glocal duplicates")
            if first != _FIRST:
                raise GlocalError(
                    f"the plan {path} is of another version of glocal; write it again: "
                    f"glocal duplicates --plan {path}"
                )
            for row in csv.DictReader(file):
                if row["action"] in (Action.LINK, Action.CHANGED):
                    continue
                at = Path(row["path"])
                yield Action(row["action"]), int(row["group"]), at, UUID(hex=row["content"])
    except (OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        if isinstance(error, GlocalError):
            raise
        said = error.strerror if isinstance(error, OSError) else str(error)
        raise GlocalError(f"the plan {path} cannot be read: {said}") from error


def _lines(groups: Iterable[DuplicateGroup]) -> Iterator[tuple[object, ...]]:
    for number, group in enumerate(groups, start=1):
        for row in rows(group):
            plain = not row.verdict
            chance = "" if plain else f"{row.copy_probability:.3f}"
            yield (
                row.action,
                number,
                row.image.bytes,
                row.verdict,
                chance,
                row.path,
                row.reason,
                row.image.id,
            )
