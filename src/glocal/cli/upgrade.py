"""`glocal upgrade`."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, fields
from pathlib import Path

import click

from glocal.cli.options import gallery_option, json_option, model_options, wait_option
from glocal.cli.output import Bar, counted, print_json, readable_bytes, say
from glocal.encoders import DEFAULT_MODEL, OnnxEncoder, find_model
from glocal.gallery import Gallery
from glocal.gallery.proposing import ANCHORS, Proposal
from glocal.gallery.upgrading import Upgrade, UpgradeReport


@click.command()
@gallery_option
@model_options
@click.option("--dry-run", is_flag=True, help="Say what the upgrade would be like; change nothing.")
@click.option("-y", "--yes", is_flag=True, help="Begin without asking.")
@click.option(
    "--back", is_flag=True, help="Return to the old model, before the upgrade is finished."
)
@click.option(
    "--keep-old",
    is_flag=True,
    help="Keep the old vectors when every photo is encoded, so that --back stays possible; the "
    "next glocal upgrade without it removes them.",
)
@click.option(
    "--begin-only", is_flag=True, help="Begin and stop; glocal upgrade encodes the photos later."
)
@click.option(
    "--load",
    type=click.IntRange(1, 100),
    default=100,
    show_default=True,
    metavar="PERCENT",
    help="Share of the time that is spent encoding photos.",
)
@click.option(
    "--anchors",
    type=click.IntRange(min=1),
    default=ANCHORS,
    show_default=True,
    metavar="N",
    help="Number of photos that are encoded to measure the upgrade before it begins.",
)
@json_option
@wait_option
@click.pass_context
def upgrade(
    ctx: click.Context,
    gallery: Path | None,
    model: str | None,
    model_sha256: str | None,
    dry_run: bool,
    yes: bool,
    back: bool,
    keep_old: bool,
    begin_only: bool,
    load: int,
    anchors: int,
    as_json: bool,
    wait: float,
) -> None:
    """Change a gallery to another model while it stays in use.

    Before anything is changed, the new model encodes a sample of photos, and what the upgrade
    gains and costs is shown. Then queries are encoded by the new model, at once, and photos one
    after the other, those that searches found lately first. Run the same command again to
    continue after Ctrl-C. When all are encoded, the old vectors are removed.
    """
    if sum((dry_run, back, begin_only)) > 1:
        raise click.UsageError("--dry-run, --begin-only and --back exclude one another")
    with Gallery(gallery, create=False, timeout=wait) as opened:
        bar = Bar(show=not as_json)
        upgrade = opened.upgrade()
        try:
            if back:
                _back(opened, upgrade, bar, as_json)
                return
            under_way = upgrade.progress()
            if under_way is None and model is None and _is_newest(opened):
                say(
                    f"the gallery is of {opened.model} already, which comes with glocal; to "
                    "change to another, name it: glocal upgrade --model MODEL",
                    err=True,
                )
                return
            if under_way is None:
                proposal = upgrade.propose(
                    model or DEFAULT_MODEL, sha256=model_sha256, anchors=anchors, listen=bar
                )
                bar.close()
                _show(proposal, as_json)
                if dry_run or not (yes or _agreed()):
                    return
                upgrade.begin(proposal)
            elif model is not None or dry_run:
                raise click.UsageError(
                    f"an upgrade from {under_way.old} to {under_way.new} is under way; continue it "
                    "without --model and --dry-run, or return with --back"
                )
            if begin_only:
                say(
                    "the new model answers now; to encode the photos, run: glocal upgrade", err=True
                )
                return
            if hasattr(os, "nice") and ctx.parent is not None:  # a process of its own
                os.nice(10)  # searches come first
            report = upgrade.carry_on(bar, share=load / 100, keep_old=keep_old)
        finally:
            bar.close()
    _report(report, as_json, keep_old=keep_old)
    if report.left:
        ctx.exit(1)


def _is_newest(gallery: Gallery) -> bool:
    encoder = OnnxEncoder(find_model(DEFAULT_MODEL))
    return encoder.space == gallery.space


def _agreed() -> bool:
    if not sys.stdin.isatty():
        say("to begin, add --yes", err=True)
        return False
    return click.confirm("begin?", default=True, err=True)


def _show(proposal: Proposal, as_json: bool) -> None:
    if as_json:
        names = [each.name for each in fields(proposal) if each.name != "begins"]
        print_json({name: getattr(proposal, name) for name in names})
        return
    say(f"upgrade      from {proposal.old} to {proposal.new}")
    for name, lines in (("gains", proposal.gains), ("against", proposal.against)):
        for number, line in enumerate(lines):
            say(f"{'' if number else name:12} {line}")
    photos = counted(proposal.images, "photo")
    say(
        f"{'takes':12} {_readable_seconds(proposal.seconds)} for {photos} and "
        f"{readable_bytes(proposal.bytes_needed)} of disk "
        f"({readable_bytes(proposal.bytes_free)} free)"
    )


def _back(opened: Gallery, upgrade: Upgrade, bar: Bar, as_json: bool) -> None:
    replaced = upgrade.back(bar)
    found = opened.add_local_features(listen=bar) if replaced else 0
    bar.close()
    if as_json:
        print_json({"model": opened.model, "local_features": found})
        return
    say(f"the gallery is of {opened.model} again")
    if replaced:
        say(f"local features were found again in {counted(found, 'photo')} of {replaced}")


def _report(report: UpgradeReport, as_json: bool, *, keep_old: bool) -> None:
    if as_json:
        print_json(asdict(report))
        return
    say(f"{counted(report.encoded, 'photo')} encoded in {_readable_seconds(report.seconds)}")
    if report.finished:
        say("the upgrade is finished; the old vectors are removed")
    elif report.left:
        say(
            f"{counted(report.left, 'photo')} cannot be read as they were indexed, and stay "
            "searchable by their old vectors; bring their disk back or run glocal index, then: "
            "glocal upgrade",
            err=True,
        )
    elif keep_old:
        say("every photo is encoded; to remove the old vectors, run: glocal upgrade")


def _readable_seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
