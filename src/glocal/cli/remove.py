"""`glocal remove`."""

from __future__ import annotations

from pathlib import Path

import click

from glocal.cli.options import PathOrUrl, gallery_option, wait_option
from glocal.cli.output import counted, say
from glocal.gallery import Gallery


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PathOrUrl(), metavar="PATH...")
@gallery_option
@wait_option
def remove(paths: tuple[Path, ...], gallery: Path | None, wait: float) -> None:
    """Remove files, and folders with everything in them, from the gallery.

    Your files are not touched. What was removed stays out, also when a folder above it is indexed
    again, until you index it itself.
    """
    with Gallery(gallery, create=False, timeout=wait) as opened:
        removed = opened.remove(*paths)
    say(f"{counted(removed, 'file')} removed from the gallery")
