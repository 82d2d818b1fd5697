"""`glocal move`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from glocal.cli.options import FilePath, json_option, wait_option
from glocal.cli.output import Bar, counted, print_json, say
from glocal.gallery import Gallery


@click.command()
@click.argument("gallery", type=FilePath(), metavar="GALLERY")
@click.argument(
    "config",
    type=FilePath(exists=True, dir_okay=False),
    metavar="[CONFIG]",
    required=False,
)
@click.option("--back", is_flag=True, help="Move what is in the cluster into the folder.")
@json_option
@wait_option
def move(gallery: Path, config: Path | None, back: bool, as_json: bool, wait: float) -> None:
    """Move the vectors of GALLERY, a folder, into the Milvus server that the file CONFIG names.

    Where CONFIG has a [catalogue], the catalogue follows them into PostgreSQL; --back brings both.
    Nothing is encoded again, and the gallery stays in use. Before anything is of its new place,
    vectors are counted, each row of the catalogue and searches are compared in both places. You can
    stop with Ctrl-C at any time; the same command continues. Needs the extra cluster.
    """
    if back == (config is not None):
        raise click.UsageError("name either a CONFIG to move to, or --back")
    from glocal.cluster.moving import to_cluster, to_folder

    with Gallery(gallery, create=False, timeout=wait) as opened:
        bar = Bar(show=not as_json)
        try:
            report = to_folder(opened, bar) if config is None else to_cluster(opened, config, bar)
        finally:
            bar.close()
    if as_json:
        print_json(asdict(report))
        return
    catalogue = f"; {counted(report.rows, 'row')} of the catalogue moved" if report.rows else ""
    say(
        f"{counted(report.vectors, 'vector')} moved {'back ' if back else ''}in "
        f"{report.seconds:.1f} s ({report.copied} copied in this run; "
        f"{report.compared} searches gave the same in both places{catalogue})"
    )
