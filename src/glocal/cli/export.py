"""`glocal export`."""

from __future__ import annotations

from pathlib import Path

import click

from glocal.cli.options import FilePath, gallery_option, wait_option
from glocal.cli.output import check_folder, counted, readable_bytes, say
from glocal.gallery import Gallery


@click.command()
@click.argument("file", type=FilePath(dir_okay=False), metavar="FILE.parquet")
@gallery_option
@click.option(
    "--where", metavar="EXPR", help="Only photos that meet a condition; see glocal search --help."
)
@wait_option
def export(file: Path, gallery: Path | None, where: str | None, wait: float) -> None:
    """Write the vectors of the gallery's photos to a Parquet file, with their positions.

    Its columns are those of Major TOM's tables of embeddings. It needs the extra tables.
    """
    check_folder(file)
    with Gallery(gallery, create=False, timeout=wait) as opened:
        written = opened.export(file, where=where)
    say(f"wrote {counted(written, 'photo')} to {file}, {readable_bytes(file.stat().st_size)}")
