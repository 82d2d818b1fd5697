"""`glocal duplicates`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

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
    help="copy: identical files and edited, cropped or re-encoded copies. object: other images "
    "of the same object or place too.",
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
    """Group the images that are copies of one another. Nothing is ever removed.

    Of each group the image with the most pixels comes first, the one to keep. --plan writes CSV
    with the actions keep, could-remove (identical, or a copy of which the kept image shows
    nearly everything as finely) and look (a copy that shows more, or only the same thing).
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
            f"glocal: {without_local_features} images have no local features, so that only identical files "
            "of theirs were found; glocal index --refresh finds them where there are any",
            err=True,
        )
    if as_json:
        print_json(
            {
                "level": level,
                "groups": groups,
                "files": sum(1 + len(group.others) for group in groups),
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
    """A table for people: the kept file of a group, and the others set in below it."""
    for group in groups:
        size = f"{group.width} x {group.height}"
        freed = readable_bytes(group.bytes)
        click.echo(f"{'keep':<12}  {size:>13}  {freed:>10}  {'':<20}  {short_path(group.kept)}")
        for other in group.others:
            action = "could remove" if other.removable else "look"
            size, taken = f"{other.width} x {other.height}", readable_bytes(other.bytes)
            verdict = str(other.verdict)
            path = short_path(other.path)
            click.echo(f"{action:<12}  {size:>13}  {taken:>10}  {verdict:<20}  {path}")
        click.echo()
    others = [other for group in groups for other in group.others]
    removable = sum(other.removable for other in others)
    freed = readable_bytes(sum(group.bytes_to_free for group in groups))
    if not groups:
        click.echo("no duplicates")
    else:
        click.echo(
            f"{len(groups)} group{'s' * (len(groups) != 1)} of {len(groups) + len(others)} files; "
            f"{removable} could be removed, which would free {freed}"
        )


def _write_pages(groups: Sequence[DuplicateGroup], level: str, target: Path) -> None:
    from glocal.cli.duplicate_sheets import duplicate_sheets  # only for --html

    try:
        for page in duplicate_sheets(groups, level, target):
            click.echo(f"wrote {page}", err=True)
    except OSError as error:
        raise GlocalError(f"the page {target} cannot be written: {error.strerror}") from error
