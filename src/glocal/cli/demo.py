"""`glocal demo`."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import click

from glocal.cli.demo_photos import alter, gather
from glocal.cli.options import FilePath
from glocal.cli.output import Bar, say
from glocal.cli.sheets import results_sheet, sheet_row
from glocal.explain.sheet import write_sheet
from glocal.gallery import Gallery

_SHEET = Path("glocal-demo.html")


@click.command()
@click.argument("photos", required=False, type=FilePath(exists=True))
@click.argument("query", required=False, type=FilePath(exists=True))
@click.option(
    "-o",
    "--output",
    type=FilePath(dir_okay=False),
    default=_SHEET,
    show_default=True,
    help="Contact sheet to write, an HTML file.",
)
def demo(photos: Path | None, query: Path | None, output: Path) -> None:
    """Try glocal on sample photos, or search a folder of PHOTOS for QUERY.

    The sample photos come from the packages scikit-image and scikit-learn. Each is searched for by
    altered copies, such as a screenshot and a photo of a print. The result is a contact sheet; the
    gallery itself is temporary.
    """
    if photos is not None and query is None:
        raise click.UsageError(
            "QUERY is missing; name the photo to search for: glocal demo PHOTOS QUERY"
        )
    folder = Path(tempfile.mkdtemp(prefix="glocal-demo-"))
    try:
        with Gallery(folder / "gallery") as gallery:
            if photos is not None and query is not None:
                _own_photos(gallery, photos, query, output)
            else:
                _bundled_photos(gallery, folder, output)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    say(f"contact sheet: {output.absolute()}")


def _index(gallery: Gallery, photos: Path) -> None:
    bar = Bar(show=True)
    try:
        report = gallery.add(photos, listen=bar)
    finally:
        bar.close()
    say(f"indexed {report.added} photos in {report.seconds:.1f} s")
    for failure in report.failed:
        say(f"  skipped {failure.path}: {failure.reason}", err=True)


def _own_photos(gallery: Gallery, photos: Path, query: Path, output: Path) -> None:
    _index(gallery, photos)
    result = gallery.search(query)
    for hit in result:
        say(f"{hit.rank:4}  {hit.score:6.3f}  {hit.path}")
    results_sheet([result], output, lambda _: gallery.encoder)


def _bundled_photos(gallery: Gallery, folder: Path, output: Path) -> None:
    originals = folder / "photos"
    originals.mkdir()
    photos = gather(originals)
    altered = alter(photos, folder / "altered")
    _index(gallery, originals)
    rows = []
    first = 0
    for item in altered:
        result = gallery.search(item.path, limit=5)
        best = result.hits[0] if result.hits else None
        found = best is not None and best.path == item.original
        first += found
        hit = f"{best.path.name} {best.score:.3f}" if best else "none"
        say(
            f"{'found' if found else 'missed':6}  {item.original.stem:18} {item.title:18} "
            f"first hit: {hit}"
        )
        title = f"{item.original.stem}, {item.title}"
        rows.append(sheet_row(result, title=title, expected=item.original, relative_to=folder))
    summary = f"for {first} of {len(altered)} altered copies the first hit is the original"
    say(summary)
    write_sheet(output, rows, title="glocal: find the same thing", summary=summary)
