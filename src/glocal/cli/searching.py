"""`glocal search`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from glocal.cli.options import (
    gallery_option,
    json_option,
    limit_options,
    model_options,
    wait_option,
)
from glocal.cli.output import print_json, short_path
from glocal.encoders import OnnxEncoder
from glocal.errors import GlocalError, ImageError, QueryError
from glocal.gallery import Gallery, SearchResult
from glocal.images import Limits


class _Region(click.ParamType[tuple[float, float, float, float]]):
    name = "X,Y,W,H"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float, float]:
        try:
            x, y, width, height = (float(part) for part in value.split(","))
        except ValueError:
            self.fail(f"{value!r} is not four numbers such as 10,20,300,200", param, ctx)
        return x, y, width, height


@click.command()
@click.argument("images", nargs=-1, required=True, metavar="IMAGE...")
@gallery_option
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    help="Hits for each query.",
)
@click.option(
    "--region",
    type=_Region(),
    help="Search for this part of the upright image: pixels, or fractions if all are at most 1.",
)
@click.option("--like", multiple=True, metavar="IMAGE", help="Another image of what is sought.")
@click.option("--not", "unlike", multiple=True, metavar="IMAGE", help="An image of what is not.")
@click.option(
    "--where",
    metavar="EXPR",
    help="Only images that meet a condition on folder, camera, taken, width, height, bytes or "
    'place, e.g. "taken >= 2019 and near 48.85,2.35 within 5 km".',
)
@click.option("--exact", is_flag=True, help="Compare with every image, without the graph index.")
@click.option(
    "--rank",
    metavar="NAME",
    help="Re-rank the best 400 by their neighbours (dba, aqe, alpha-qe, superglobal, "
    "k-reciprocal, diffusion, b-attention, invgc), by their local features (mutual, maxsim) or not "
    "at all (none). Unless said otherwise dba comes before a verification.",
)
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Look at the best 50 a second time: verify by local features that they show the same thing.",
)
@click.option(
    "--small-objects",
    is_flag=True,
    help="Look at the local features of every image, for things small in big images; slower.",
)
@json_option
@click.option(
    "--html",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a contact sheet of queries and hits.",
)
@model_options
@limit_options
@wait_option
@click.pass_context
def search(
    ctx: click.Context,
    images: tuple[str, ...],
    gallery: Path | None,
    limit: int,
    region: tuple[float, float, float, float] | None,
    like: tuple[str, ...],
    unlike: tuple[str, ...],
    where: str | None,
    exact: bool,
    rank: str | None,
    verify: bool,
    small_objects: bool,
    as_json: bool,
    html: Path | None,
    model: str | None,
    model_sha256: str | None,
    max_bytes: int,
    max_pixels: int,
    wait: float,
) -> None:
    """Find the same thing as in each IMAGE (- reads one from standard input)."""
    results = []
    failed = False
    with Gallery(
        gallery,
        model=model,
        sha256=model_sha256,
        create=False,
        limits=Limits(max_bytes=max_bytes, max_pixels=max_pixels),
        timeout=wait,
    ) as opened:
        for image in images:
            try:
                result = opened.search(
                    sys.stdin.buffer.read(max_bytes + 1) if image == "-" else image,
                    limit=limit,
                    region=region,
                    like=like,
                    unlike=unlike,
                    where=where,
                    exact=exact,
                    rank=rank,
                    verify=verify,
                    small_objects=small_objects,
                )
            except (ImageError, QueryError) as error:
                failed = True
                if as_json:
                    print_json({"query": image, "error": str(error)})
                click.echo(f"glocal: {error}", err=True)
                continue
            results.append(result)
            if as_json:
                print_json(
                    {
                        "query": result.query,
                        "model": str(result.model),
                        "hits": result.hits,
                        "timings_ms": result.timings_ms,
                    }
                )
            else:
                _show(result, titled=len(images) > 1)
        if html is not None:
            # What is explained is whole images, not a region of one.
            _write_sheet(results, html, opened.encoder if region is None else None)
            click.echo(f"wrote {html}", err=True)
    if failed:
        ctx.exit(1)


def _show(result: SearchResult, *, titled: bool) -> None:
    """A table for people: paths last, since they are long, and relative where that is shorter."""
    if titled:
        click.echo(f"{result.query}")
    if not result.hits:
        click.echo("  nothing found")
    for hit in result.hits:
        verdict = str(hit.evidence.get("verdict", ""))
        parts = f"{hit.evidence['inliers']} parts" if hit.evidence.get("inliers") else ""
        click.echo(
            f"{hit.rank:4}  {hit.score:6.3f}  {verdict:20}{parts:>10}  {short_path(hit.path)}"
        )
    if sys.stdout.isatty():
        spent = ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in result.timings_ms.items())
        click.secho(f"      {spent}", dim=True)


def _write_sheet(results: list[SearchResult], target: Path, encoder: OnnxEncoder | None) -> None:
    from glocal.cli.sheets import results_sheet  # only for --html

    try:
        results_sheet(results, target, encoder)
    except OSError as error:
        raise GlocalError(
            f"the contact sheet {target} cannot be written: {error.strerror}"
        ) from error
