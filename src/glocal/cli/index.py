"""`glocal index`."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import click

from glocal.cli.options import (
    FilePath,
    PartOption,
    PathOrUrl,
    budget_option,
    gallery_option,
    json_option,
    limit_options,
    listed,
    model_options,
    wait_option,
)
from glocal.cli.output import Bar, print_json, say
from glocal.cli.streams import output_is_read
from glocal.encoders import REGION_CHOICES
from glocal.gallery import Gallery, IndexReport
from glocal.images import Limits
from glocal.images.url_paths import UrlPath


@click.command()
@click.argument("paths", nargs=-1, type=PathOrUrl(), metavar="[PATH]...")
@gallery_option
@json_option
@click.option(
    "--watch", is_flag=True, help="Keep running and follow changes to the files, until Ctrl-C."
)
@click.option(
    "--refresh",
    is_flag=True,
    help="Also find local features and regions for photos that have none, and captions that were "
    "never read; with another --detector or other --regions, for all.",
)
@click.option(
    "--detector",
    cls=PartOption,
    kind="detector",
    describe=lambda: (
        f"Detector of the local features that verify matches: {listed('detector')}; "
        "own is the model's."
    ),
    metavar="NAME",
)
@click.option(
    "--exclude",
    multiple=True,
    metavar="GLOB",
    help="Leave out files and folders with such a name, or such a path below PATH (with a slash), "
    "e.g. '*.bak.jpg' or 'raw/*'. Kept for later runs; replaces what PATH had; '' excludes "
    "nothing.",
)
@click.option(
    "--regions",
    type=click.Choice(REGION_CHOICES),
    help="Regions of each photo to find things by that are small in it: coarse takes 5 kB a photo, "
    "fine 13 kB and 4 to 5 times as long. [default: the gallery's; of a new one coarse]",
)
@click.option(
    "--ocr/--no-ocr",
    default=None,
    help="Read the words in photos too, now and in later runs, so that search --text finds them; "
    "--no-ocr drops them. Needs the extra ocr. [default: the gallery's; of a new one --no-ocr]",
)
@click.option(
    "--cluster",
    type=FilePath(exists=True, dir_okay=False),
    metavar="CONFIG",
    help="Keep the vectors of a new gallery in the Milvus server that this file names; for a "
    "gallery that does so, where the server is now. Needs the extra cluster.",
)
@click.option(
    "--compact",
    is_flag=True,
    help="Make a new gallery that keeps the local features of a photo in 2.3 kB in place of 6.9; "
    "verification finds as much.",
)
@click.option("--strict", is_flag=True, help="Exit with status 1 if a file was skipped.")
@model_options
@budget_option
@limit_options
@wait_option
@click.pass_context
def index(
    ctx: click.Context,
    paths: tuple[Path, ...],
    gallery: Path | None,
    as_json: bool,
    watch: bool,
    refresh: bool,
    detector: str | None,
    exclude: tuple[str, ...],
    regions: str | None,
    ocr: bool | None,
    cluster: Path | None,
    compact: bool,
    strict: bool,
    model: str | None,
    model_sha256: str | None,
    budget_ms: float | None,
    max_bytes: int,
    max_pixels: int,
    wait: float,
) -> None:
    """Add photos to the gallery, or bring it up to date. Each PATH is a folder or a file.

    A PATH may also be a URL, such as s3://bucket/photos or https://host/photos (extra urls).

    New photos are added, changed ones are read again, and photos whose files are gone are removed
    from the gallery. Files that have not changed are not read again. Without a PATH, everything
    that was ever indexed is checked. If a PATH is missing, such as an unplugged disk, it is
    reported and the gallery keeps its photos.

    You can stop with Ctrl-C at any time; the next run continues.
    """
    if exclude and not paths:
        raise click.UsageError("--exclude is kept with a folder; name the folder too")
    limits = Limits(max_bytes=max_bytes, max_pixels=max_pixels)
    with Gallery(
        gallery,
        model=model,
        sha256=model_sha256,
        create=bool(paths),
        limits=limits,
        timeout=wait,
        detector=None if refresh else detector,
        regions=None if refresh else regions,
        cluster=cluster,
        compact=compact,
        budget_ms=budget_ms,
    ) as opened:
        bar = Bar(show=not as_json)
        try:
            if refresh:
                opened.add_local_features(detector, bar)
                opened.add_regions(regions, bar)
            report = (
                opened.add(*paths, exclude=exclude or None, listen=bar)
                if paths
                else opened.refresh(bar)
            )
            if refresh or ocr is not None:
                opened.read_texts(ocr=ocr, listen=bar)
        finally:
            bar.close()
        _print_report(report, opened, as_json)
        if report.added and not as_json and not opened.encoder.gives_regions:
            say(
                "this gallery's model gives no vectors of regions: small things are found with "
                "--small-objects alone",
                err=True,
            )
        if watch:
            _watch(opened, as_json)
    if report.unreachable or (strict and report.failed):
        ctx.exit(1)


def _print_report(report: IndexReport, gallery: Gallery, as_json: bool) -> None:
    if as_json:
        value = asdict(report)
        del value["unreachable"]  # also in `failed`, with the reason
        value["seconds"] = round(report.seconds, 3)
        value["images_per_second"] = round(report.images_per_second, 1)
        print_json(value)
        return
    say(
        f"{report.added} added, {report.updated} updated, {report.unchanged} unchanged, "
        f"{report.removed} removed, {len(report.failed)} skipped "
        f"in {report.seconds:.1f} s ({report.images_per_second:.0f} photos/s): {gallery.folder}"
    )
    if report.not_read:
        kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(report.not_read.items()))
        say(f"  not read: {kinds}", err=True)
    for path in report.truncated:
        say(f"  truncated {path}: what is left of it was indexed", err=True)
    for failure in report.failed:
        say(f"  skipped {failure.path}: {failure.reason}", err=True)


def _watch(gallery: Gallery, as_json: bool) -> None:
    """Follow changes in the folders that were added, until Ctrl-C."""
    from watchfiles import watch  # only for --watch

    roots = [
        root for root in gallery.info().roots if not isinstance(root, UrlPath) and root.exists()
    ]
    if not as_json:
        say(f"watching {', '.join(map(str, roots))}; press Ctrl-C to stop", err=True)
    batches = watch(
        *roots,
        watch_filter=None,
        raise_interrupt=True,
        debounce=1000,
        rust_timeout=1000,
        yield_on_timeout=True,
    )
    watching = False
    try:
        for changes in batches:
            if not watching:
                report = gallery.refresh()  # finds what changed before watching began
            elif changes:
                report = gallery.update(sorted({Path(path) for _, path in changes}))
            else:
                continue
            if report.added or report.updated or report.removed or (watching and report.failed):
                _print_report(report, gallery, as_json)
                sys.stdout.flush()
                if not output_is_read():
                    return
            watching = True
    except KeyboardInterrupt:
        pass  # the documented way to stop
