"""`glocal check`."""

from __future__ import annotations

from pathlib import Path

import click

from glocal.cli.options import gallery_option, json_option, wait_option
from glocal.cli.output import Bar, counted, print_json, readable_bytes, say
from glocal.gallery import Gallery, Health, default_folder
from glocal.gallery.layout import RESERVE
from glocal.gallery.rescue import set_aside_damaged


@click.command()
@gallery_option
@json_option
@click.option("--repair", is_flag=True, help="Repair what can be repaired, then check.")
@click.option(
    "--full",
    is_flag=True,
    help="Search for every photo, not for a sample of 1000, and read every file again.",
)
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
    """Check a gallery for damage.

    Each photo has to be found by its own vector, the graph index has to agree with an exact
    search, and catalogue and vectors have to agree with each other. Files that are missing or
    have changed since they were indexed are counted, but are not damage.
    """
    sample = None if full else 1000
    if repair:
        for done in set_aside_damaged(gallery or default_folder(), wait):
            say(done, err=True)
    with Gallery(gallery, create=False, timeout=wait) as opened:
        if repair:
            bar = Bar(show=not as_json)
            try:
                report = opened.repair(bar)
            finally:
                bar.close()
            if not as_json:
                say(
                    f"repaired: {counted(report.added + report.updated, 'file')} read again, "
                    f"{report.removed} removed from the gallery, {len(report.failed)} skipped"
                )
        health = opened.check(sample=sample, read_files=full)
    if as_json:
        value = {name: getattr(health, name) for name in health.__slots__}
        print_json(value | {"sound": health.sound, "faults": health.faults()}, indent=2)
    else:
        _show(health)
    if not health.sound:
        ctx.exit(1)


def _show(health: Health) -> None:
    found = health.tried - len(health.not_found)
    say(f"{found} of {counted(health.tried, 'photo')} searched for were found")
    if health.recall is None:
        say("no graph index yet: every search is exact")
    else:
        say(f"the graph index finds {health.recall:.2%} of the ten nearest photos")
    if health.missing_files or health.changed_files:
        say(
            f"{counted(len(health.missing_files), 'file')} missing and {len(health.changed_files)} "
            "changed since they were indexed; to bring the gallery up to date, run: glocal index"
        )
    for path in health.truncated_files:
        say(f"truncated: {path}")
    short = "" if health.bytes_free >= RESERVE else ": too little to index more photos"
    say(f"{readable_bytes(health.bytes_free)} free on the disk{short}")
    for fault in health.faults():
        say(f"damage: {fault}")
    say("the gallery is sound" if health.sound else "to repair it, run: glocal check --repair")
