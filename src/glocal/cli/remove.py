"""`glocal remove`."""

from __future__ import annotations

from pathlib import Path

import click

from glocal.cli.options import gallery_option, wait_option
from glocal.gallery import Gallery


@click.command()
@click.argument(
    "paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH..."
)
@gallery_option
@wait_option
def remove(paths: tuple[Path, ...], gallery: Path | None, wait: float) -> None:
    """Forget files, and folders with all below them.

    The files themselves stay; if their folder is indexed again, they come back.
    """
    with Gallery(gallery, create=False, timeout=wait) as opened:
        removed = opened.remove(*paths)
    click.echo(f"{removed} files forgotten")
