"""`glocal sketches`."""

from __future__ import annotations

from pathlib import Path

import click

from glocal.cli.options import gallery_option, wait_option
from glocal.cli.output import Bar, counted, say
from glocal.gallery import Gallery


@click.command()
@gallery_option
@wait_option
def sketches(gallery: Path | None, wait: float) -> None:
    """Learn from your photos how drawings look, for glocal search --sketch.

    Line drawings are made of 200 photos and compared with these, which takes about a tenth of a
    second each. Nothing is indexed again. Run it again after many photos were added, or after an
    upgrade to another model.
    """
    bar = Bar(show=True)
    with Gallery(gallery, create=False, timeout=wait) as opened:
        try:
            learnt = opened.learn_sketches(bar)
        finally:
            bar.close()
    say(f"learnt from {counted(learnt, 'photo')}")
