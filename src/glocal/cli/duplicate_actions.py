"""What `glocal duplicates` does besides finding: check a plan, carry it out, decide."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from uuid import UUID

from glocal.cli.output import print_json, say, short_path
from glocal.errors import QueryError
from glocal.gallery import Gallery
from glocal.gallery.duplicate_plan import RowState, read_plan
from glocal.gallery.duplicate_rows import Action
from glocal.gallery.trash import Moved, Trash


def check(plan: Path, *, as_json: bool) -> bool:
    """Say which rows of a plan still hold.

    Returns:
        Whether all do.
    """
    rows = read_plan(plan)
    broken = [row for row in rows if row.state is not RowState.HOLDS]
    if as_json:
        print_json(
            [
                {
                    "action": row.action.value,
                    "group": row.group,
                    "path": os.fsdecode(row.path),
                    "state": row.state.value,
                    "reason": row.reason,
                }
                for row in rows
            ],
            indent=2,
        )
        return not broken
    for row in rows:
        said = f": {row.reason}" if row.reason else ""
        path = short_path(row.path)
        say(f"{row.state.value:<13}  {row.action.label:<15}  {path}{said}")
    say(f"{len(rows) - len(broken)} of {len(rows)} rows still hold")
    return not broken


def trash(plan: Path, journal: Path) -> bool:
    """Move what a plan says could be removed, and still could, to the system's trash.

    Returns:
        Whether all of it was moved.
    """
    proposed = [row for row in read_plan(plan) if row.action is Action.COULD_REMOVE]
    _left_out((row.path, row.reason) for row in proposed if row.state is not RowState.HOLDS)
    ready = [row for row in proposed if row.state is RowState.HOLDS]
    moved, left = Trash(journal).move((row.path, row.content) for row in ready)
    _left_out(left)
    _told(moved, "moved to the trash")
    if moved:
        say("To take them back: glocal duplicates --undo-trash", err=True)
    return len(moved) == len(proposed)


def undo_trash(journal: Path) -> bool:
    """Take back what the last `trash` moved.

    Returns:
        Whether all of it is where it was.
    """
    back, left = Trash(journal).undo()
    _left_out(left)
    if not back and not left:
        say("nothing is left to take back")
    else:
        _told(back, "taken back")
    return not left


def decide(
    gallery: Gallery, apart: Sequence[Path], keep: Sequence[Path], forget: Sequence[Path]
) -> None:
    """Remember decisions about files, or forget them.

    Raises:
        QueryError: a file is not in the gallery, one alone was given, or two have the same bytes.
    """
    if len(apart) == 1:
        raise QueryError("one file alone: give --not-duplicates once for each of two or more")
    named = {path: _content(gallery, path) for path in {*apart, *keep, *forget}}
    with gallery.decisions() as decisions:
        if apart:
            if len({named[path] for path in apart}) < len(set(apart)):
                raise QueryError(
                    "some of these files have the same bytes, which nothing can tell apart; "
                    "give --not-duplicates files that differ"
                )
            decisions.set_apart(named[path] for path in apart)
            say(f"remembered: {len(apart)} files are no duplicates of one another")
        for path in keep:
            decisions.set_stays(named[path])
            say(f"remembered: of its group {short_path(path)} stays")
        if forget:
            contents = {named[path] for path in forget}
            pairs = [pair for pair in decisions.apart() if contents.intersection(pair)]
            count = sum(decisions.unset_apart(pair) for pair in pairs)
            count += decisions.unset_stays(contents)
            say(f"forgot {count} decision{'s' * (count != 1)}")


def _content(gallery: Gallery, path: Path) -> UUID:
    content = gallery.content_of(path)
    if content is None:
        raise QueryError(f"{path} is not in the gallery; index it: glocal index {path}")
    return content


def _left_out(files: Iterable[tuple[Path, str]]) -> None:
    for path, reason in files:
        say(f"left where it is: {short_path(path)}: {reason}", err=True)


def _told(moved: Sequence[Moved], done: str) -> None:
    for each in moved:
        say(short_path(each.path))
    say(f"{len(moved)} file{'s' * (len(moved) != 1)} {done}", err=True)
