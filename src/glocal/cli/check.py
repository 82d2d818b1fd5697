"""`glocal check`."""

from __future__ import annotations

from pathlib import Path

import click

from glocal.cli.options import gallery_option, json_option, wait_option
from glocal.cli.output import Bar, print_json, readable_bytes
from glocal.gallery import Gallery, Health, default_folder
from glocal.gallery.layout import RESERVE
from glocal.gallery.rescue import set_aside_damaged


@click.command()
@gallery_option
@json_option
@click.option("--repair", is_flag=True, help="Mend what can be mended, then check again.")
@click.option("--full", is_flag=True, help="Search every image by itself, not a sample of 1000.")
@wait_option
@click.pass_context
def check(
    ctx: click.Context,
    gallery: Path | None,
    as_json: bool,
    repair: bool,
    full: bool,
    wait: float,
) -> None:
    """Say whether a gallery is sound.

    Every image must find itself, the graph index must agree with exact search, catalogue and
    vectors must agree with each other, and the files must be there as they were indexed.
    """
    sample = None if full else 1000
    if repair:
        for done in set_aside_damaged(gallery or default_folder(), wait):
            click.echo(done, err=True)
    with Gallery(gallery, create=False, timeout=wait) as opened:
        if repair:
            bar = Bar(show=not as_json)
            try:
                report = opened.repair(bar)
            finally:
                bar.close()
            if not as_json:
                click.echo(
                    f"repaired: {report.added + report.updated} files read again, "
                    f"{report.removed} forgotten, {len(report.failed)} skipped"
                )
        health = opened.check(sample=sample)
    if as_json:
        value = {name: getattr(health, name) for name in health.__slots__}
        print_json(value | {"sound": health.sound, "faults": health.faults()}, indent=2)
    else:
        _tell(health)
    if not health.sound:
        ctx.exit(1)


def _tell(health: Health) -> None:
    found = health.tried - len(health.not_found)
    click.echo(f"{found} of {health.tried} images tried find themselves")
    if health.recall is None:
        click.echo("no graph index yet: every search is exact")
    else:
        click.echo(f"the graph index finds {health.recall:.2%} of the exact ten nearest")
    if health.missing_files or health.changed_files:
        click.echo(
            f"{len(health.missing_files)} files are gone and {len(health.changed_files)} have "
            "changed since; glocal index brings the gallery up to date"
        )
    short = "" if health.bytes_free >= RESERVE else ": too little to index anything more"
    click.echo(f"{readable_bytes(health.bytes_free)} free on the disk{short}")
    for fault in health.faults():
        click.echo(f"fault: {fault}")
    click.echo("sound" if health.sound else "not sound; run: glocal check --repair")
