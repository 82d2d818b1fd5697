"""`glocal import`."""

from __future__ import annotations

from pathlib import Path

import click

from glocal.cli.options import (
    FilePath,
    gallery_option,
    json_option,
    limit_options,
    model_options,
    wait_option,
)
from glocal.cli.output import Bar, counted, print_json, say
from glocal.gallery import Gallery
from glocal.images import Limits


@click.command("import")
@click.argument("file", type=FilePath(exists=True, dir_okay=False), metavar="FILE.parquet")
@click.argument(
    "folders",
    nargs=-1,
    type=FilePath(exists=True, file_okay=False),
    metavar="[FOLDER]...",
)
@gallery_option
@click.option(
    "--moved-from",
    type=FilePath(),
    metavar="OLD",
    help="The folder OLD, in which the photos lay when the table was made, is FOLDER now.",
)
@click.option(
    "--space",
    metavar="NAME",
    help="The vector space of a table that does not say it; glocal models --json has the names.",
)
@click.option(
    "--bridge",
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="Bridge that brings the table's vectors into the gallery's space.",
)
@json_option
@model_options
@limit_options
@wait_option
def import_(
    file: Path,
    folders: tuple[Path, ...],
    gallery: Path | None,
    moved_from: Path | None,
    space: str | None,
    bridge: Path | None,
    as_json: bool,
    model: str | None,
    model_sha256: str | None,
    max_bytes: int,
    max_pixels: int,
    wait: float,
) -> None:
    """Add photos in folders to the gallery with the vectors that a Parquet file has of them.

    Nothing is encoded, so it takes as long as reading the photos. The table is one that glocal
    export wrote, or another with Major TOM's columns. A row needs its photo: the file that
    product_id names, unchanged, in a FOLDER or in one that was indexed before; or the column image
    or thumbnail. Other rows are counted.

    Photos are then found by their vectors; glocal index --refresh adds the local features and
    regions that verify matches and find small things. Later runs of glocal index follow each
    FOLDER. It needs the extra tables.
    """
    if moved_from is not None and len(folders) != 1:
        raise click.UsageError("--moved-from says where a folder was; name the FOLDER it is now")
    bar = Bar(show=not as_json)
    limits = Limits(max_bytes=max_bytes, max_pixels=max_pixels)
    with Gallery(gallery, model=model, sha256=model_sha256, limits=limits, timeout=wait) as opened:
        try:
            report = opened.import_table(
                file, *folders, moved_from=moved_from, space=space, bridge=bridge, listen=bar
            )
        finally:
            bar.close()
        known = opened.info()
    if as_json:
        print_json(report)
        return
    refused = sum(each.rows for each in report.refused)
    say(
        f"{report.added} added, {report.updated} updated, {report.unchanged} unchanged, "
        f"{refused} refused of {counted(report.rows, 'row')}: {known.folder}"
    )
    for each in report.refused:
        say(f"  {each.rows} refused: {each.reason}, such as {each.example}", err=True)
    if known.without_local_features or known.without_regions:
        lacking = max(known.without_local_features, known.without_regions)
        say(
            f"{counted(lacking, 'photo')} without local features or regions; to add them run: "
            "glocal index --refresh",
            err=True,
        )
