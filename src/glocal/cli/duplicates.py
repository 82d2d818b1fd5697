"""`glocal duplicates`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import click

from glocal.cli.options import FilePath, gallery_option, json_option, wait_option
from glocal.cli.output import Bar, counted, print_json, readable_bytes, say, short_path
from glocal.errors import GlocalError
from glocal.gallery import DuplicateGroup, Duplicates, Gallery
from glocal.gallery.duplicate_rows import edits_in_words, rows


@click.command()
@gallery_option
@click.option(
    "--level",
    type=click.Choice(["copy", "object"]),
    default="copy",
    show_default=True,
    help="copy: identical files and edited, cropped or re-encoded copies. object: also other "
    "photos of the same object or place.",
)
@json_option
@click.option(
    "--html",
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="Write a page to look through; after 100 groups it goes on in FILE-2, FILE-3, ...",
)
@click.option(
    "--plan",
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="Write a list of what to keep, what could be removed and why.",
)
@click.option(
    "--prefer",
    type=FilePath(),
    metavar="DIR",
    multiple=True,
    help="Of copies that are equally good keep the one in this folder; may be repeated.",
)
@click.option(
    "--check",
    "checked",
    type=FilePath(dir_okay=False),
    metavar="PLAN",
    help="Say which rows of a plan still hold, and do nothing else.",
)
@click.option(
    "--trash",
    "carried_out",
    type=FilePath(dir_okay=False),
    metavar="PLAN",
    help="Move what a plan says could be removed, and still could, to the system's trash.",
)
@click.option("--undo-trash", is_flag=True, help="Take back what the last --trash moved.")
@click.option(
    "--not-duplicates",
    type=FilePath(),
    metavar="FILE",
    multiple=True,
    help="Remember that these files are no duplicates of one another; repeat it for each.",
)
@click.option(
    "--keep",
    type=FilePath(),
    metavar="FILE",
    multiple=True,
    help="Remember that of its group this file stays; may be repeated.",
)
@click.option(
    "--undo-decisions",
    type=FilePath(),
    metavar="FILE",
    multiple=True,
    help="Undo what was decided about this file; may be repeated.",
)
@wait_option
def duplicates(
    gallery: Path | None,
    level: str,
    as_json: bool,
    html: Path | None,
    plan: Path | None,
    prefer: tuple[Path, ...],
    checked: Path | None,
    carried_out: Path | None,
    undo_trash: bool,
    not_duplicates: tuple[Path, ...],
    keep: tuple[Path, ...],
    undo_decisions: tuple[Path, ...],
    wait: float,
) -> None:
    """Group photos that are copies of one another. Nothing is ever deleted.

    The photo to keep comes first in each group, if it is clear which one that is. --plan writes a
    CSV file with an action for every file: keep; could-remove (identical to a file that stays, or a
    copy beside which the kept one is as good in every respect and better in one); or
    decide-yourself (anything else). --check looks at a plan again later, --trash moves its
    could-remove files to the trash, --undo-trash takes them back.
    """
    from glocal.cli import duplicate_actions  # only for this command's work
    from glocal.gallery.duplicate_plan import check_plan, write_plan

    if checked is not None:
        sys.exit(0 if duplicate_actions.check(checked, as_json=as_json) else 1)
    if plan is not None:
        check_plan(plan)
    bar = Bar(show=not as_json)
    with Gallery(gallery, create=False, timeout=wait) as opened:
        if carried_out is not None:
            sys.exit(0 if duplicate_actions.trash(carried_out, opened.trash_journal) else 1)
        if undo_trash:
            sys.exit(0 if duplicate_actions.undo_trash(opened.trash_journal) else 1)
        if not_duplicates or keep or undo_decisions:
            duplicate_actions.decide(opened, not_duplicates, keep, undo_decisions)
            return
        try:
            groups = opened.duplicates(level, listen=bar, prefer=prefer)
        finally:
            bar.close()
        without_local_features = opened.info().without_local_features
    # Files first: whoever reads the table may stop reading at any line.
    if plan is not None:
        write_plan(groups, plan)
        say(f"wrote {plan}", err=True)
    if html is not None:
        _write_pages(groups, level, html)
    _warn(groups, without_local_features)
    if as_json:
        print_json(
            {
                "level": level,
                "groups": groups,
                "files": sum(group.files() for group in groups),
                "bytes_to_free": sum(group.bytes_to_free for group in groups),
                "without_local_features": without_local_features,
                "changed": groups.changed,
                "links": groups.links,
            },
            indent=2,
        )
    else:
        _show(groups)


def _warn(groups: Duplicates, without_local_features: int) -> None:
    """Say what could not be compared or was left out."""
    if without_local_features:
        say(
            f"glocal: {without_local_features} photos have no local features; of these only "
            "identical files were found. To add local features: glocal index --refresh",
            err=True,
        )
    if groups.changed:
        few = ", ".join(short_path(path) for path in groups.changed[:3])
        more = ", ..." if len(groups.changed) > 3 else ""
        say(
            f"glocal: left out as gone or changed since they were indexed: "
            f"{counted(len(groups.changed), 'file')} ({few}{more}). "
            "To read them again: glocal index --refresh",
            err=True,
        )
    if groups.links:
        say(
            f"glocal: left out as links or further names of a file, which are not copies: "
            f"{counted(len(groups.links), 'name')}",
            err=True,
        )


def _show(groups: Sequence[DuplicateGroup]) -> None:
    """A table for people: the kept file of a group, and the others indented below it."""
    for group in groups:
        for row in rows(group):
            image = row.image
            size, taken = f"{image.width} x {image.height}", readable_bytes(image.bytes)
            verdict = row.verdict
            if row.path == image.path and image.edits:
                verdict += f" ({edits_in_words(image)})"
            path = short_path(row.path)
            say(f"{row.action.label:<15}  {size:>13}  {taken:>10}  {verdict:<20}  {path}")
        say()
    files = sum(group.files() for group in groups)
    removable = sum(len(image.spare) for group in groups for image in group.images)
    freed = readable_bytes(sum(group.bytes_to_free for group in groups))
    if not groups:
        say("no duplicates")
    else:
        say(
            f"{len(groups)} group{'s' * (len(groups) != 1)} of {files} files; "
            f"{removable} could be removed, which would free {freed}"
        )


def _write_pages(groups: Sequence[DuplicateGroup], level: str, target: Path) -> None:
    from glocal.cli.duplicate_sheets import duplicate_sheets  # only for --html

    try:
        for page in duplicate_sheets(groups, level, target):
            say(f"wrote {page}", err=True)
    except OSError as error:
        raise GlocalError(f"the page {target} cannot be written: {error.strerror}") from error
