"""`glocal duplicates`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from glocal.cli.duplicate_rows import Action, rows
from glocal.cli.options import gallery_option, json_option, wait_option
from glocal.cli.output import Bar, print_json, readable_bytes, short_path
from glocal.errors import GlocalError
from glocal.gallery import DuplicateGroup, Gallery


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
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a page to look through; after 100 groups it goes on in FILE-2, FILE-3, ...",
)
@click.option(
    "--plan",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a list of what to keep, what could be removed and why.",
)
@wait_option
def duplicates(
    gallery: Path | None,
    level: str,
    as_json: bool,
    html: Path | None,
    plan: Path | None,
    wait: float,
) -> None:
    """Group photos that are copies of one another. Nothing is ever removed.

    The photo with the most pixels comes first in each group: it is the one to keep. --plan writes a
    CSV file with an action for every file: keep; could-remove (identical to a file that stays, or a
    copy of which the kept photo shows nearly everything, as finely); or decide-yourself (a copy
    that shows more, or another photo of the same object).
    """
    from glocal.cli.duplicate_plan import check_plan, write_plan  # only for this command's work

    if plan is not None:
        check_plan(plan)
    bar = Bar(show=not as_json)
    with Gallery(gallery, create=False, timeout=wait) as opened:
        try:
            groups = opened.duplicates(level, listen=bar)
        finally:
            bar.close()
        without_local_features = opened.info().without_local_features
    if without_local_features:
        click.echo(
            f"glocal: {without_local_features} photos have no local features; of these only "
            "identical files were found. To add local features: glocal index --refresh",
            err=True,
        )
    if as_json:
        print_json(
            {
                "level": level,
                "groups": groups,
                "files": sum(group.files() for group in groups),
                "bytes_to_free": sum(group.bytes_to_free for group in groups),
                "without_local_features": without_local_features,
            },
            indent=2,
        )
    else:
        _show(groups)
    if plan is not None:
        write_plan(groups, plan)
        click.echo(f"wrote {plan}", err=True)
    if html is not None:
        _write_pages(groups, level, html)


def _show(groups: Sequence[DuplicateGroup]) -> None:
    """A table for people: the kept file of a group, and the others indented below it."""
    for group in groups:
        for row in rows(group):
            image = row.image
            size, taken = f"{image.width} x {image.height}", readable_bytes(image.bytes)
            verdict = "" if row.action is Action.KEEP else row.verdict
            path = short_path(row.path)
            click.echo(f"{row.action.label:<15}  {size:>13}  {taken:>10}  {verdict:<20}  {path}")
        click.echo()
    files = sum(group.files() for group in groups)
    removable = sum(len(image.spare) for group in groups for image in group.images)
    freed = readable_bytes(sum(group.bytes_to_free for group in groups))
    if not groups:
        click.echo("no duplicates")
    else:
        click.echo(
            f"{len(groups)} group{'s' * (len(groups) != 1)} of {files} files; "
            f"{removable} could be removed, which would free {freed}"
        )


def _write_pages(groups: Sequence[DuplicateGroup], level: str, target: Path) -> None:
    from glocal.cli.duplicate_sheets import duplicate_sheets  # only for --html

    try:
        for page in duplicate_sheets(groups, level, target):
            click.echo(f"wrote {page}", err=True)
    except OSError as error:
        raise GlocalError(f"the page {target} cannot be written: {error.strerror}") from error
