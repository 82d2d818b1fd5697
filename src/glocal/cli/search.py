"""`glocal search`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from glocal.cli.options import (
    PartOption,
    gallery_option,
    json_option,
    limit_options,
    listed,
    model_options,
    wait_option,
)
from glocal.cli.output import check_folder, counted, print_json, say, short_path
from glocal.cli.streams import output_is_read
from glocal.encoders import OnnxEncoder
from glocal.errors import GlocalError, ImageError, QueryError
from glocal.gallery import Gallery, SearchResult
from glocal.gallery.conditions import AllOf, Condition, places_in
from glocal.gallery.where import DEFAULT_KM, parse_place
from glocal.images import Limits
from glocal.ranking import DEFAULT_RERANKING, DEFAULT_RERANKING_TOP, NO_RERANKING, TOP
from glocal.ranking.evidence import Verdict
from glocal.ranking.reranking import LOCAL


class _Region(click.ParamType[tuple[float, float, float, float]]):
    name = "X,Y,W,H"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, float, float, float]:
        try:
            x, y, width, height = (float(part) for part in value.split(","))
        except ValueError:
            self.fail(
                f"{value!r} is not four numbers; give X,Y,W,H such as 10,20,300,200", param, ctx
            )
        return x, y, width, height


def _rerankings() -> str:
    return (
        f"Reorder the best {TOP} by their neighbours ({listed('reranker', without=LOCAL)}) or by "
        f"their local features ({listed('reranker', trait=LOCAL)}); {NO_RERANKING} keeps the order "
        f"of the vectors. [default: {DEFAULT_RERANKING} over the best {DEFAULT_RERANKING_TOP} "
        f"before a verification, otherwise {NO_RERANKING}]"
    )


@click.command()
@click.argument("images", nargs=-1, metavar="[PHOTO]...")
@gallery_option
@click.option(
    "--text",
    metavar="WORDS",
    help="Find photos by words in names of files and folders, in captions and, after "
    "index --ocr, in the photos; with a PHOTO, by both. Quotes keep words together.",
)
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, 10_000),
    default=10,
    show_default=True,
    metavar="N",
    help="Number of photos to find for each query.",
)
@click.option(
    "--region",
    type=_Region(),
    help="Search for this region of the upright query photo, in pixels, or in fractions if all "
    "numbers are at most 1.",
)
@click.option("--like", multiple=True, metavar="PHOTO", help="Find photos like this one too.")
@click.option("--unlike", multiple=True, metavar="PHOTO", help="Find photos unlike this one.")
@click.option(
    "--where",
    metavar="EXPR",
    help="Find only photos that meet a condition on folder, camera, taken, width, height, bytes or "
    'position, e.g. "taken >= 2019 and near 48.85,2.35 within 5 km".',
)
@click.option(
    "--near",
    metavar="PLACE",
    help="Find only photos taken near a place: a town, such as Lund or 'Paris, Texas', with the "
    "extra places, or LATITUDE,LONGITUDE.",
)
@click.option(
    "--within",
    type=click.FloatRange(0, min_open=True, max=20_000),
    metavar="KM",
    help=f"Distance from the place of --near.  [default: {DEFAULT_KM:g}]",
)
@click.option("--exact", is_flag=True, help="Compare with every photo, without the graph index.")
@click.option(
    "--rerank",
    cls=PartOption,
    kind="reranker",
    also=[NO_RERANKING],
    describe=_rerankings,
    metavar="NAME",
)
@click.option(
    "--verify/--no-verify",
    default=True,
    show_default=True,
    help="Verify the geometry of the best 50 hits: do they show the same thing?",
)
@click.option(
    "--small-objects",
    is_flag=True,
    help="Compare the local features of every photo, to find objects that are small in large "
    "photos; slower.",
)
@click.option(
    "--regions/--no-regions",
    default=True,
    show_default=True,
    help="Compare regions of photos too, where the gallery has them and no --rerank is given.",
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
    text: str | None,
    gallery: Path | None,
    limit: int,
    region: tuple[float, float, float, float] | None,
    like: tuple[str, ...],
    unlike: tuple[str, ...],
    where: str | None,
    near: str | None,
    within: float | None,
    exact: bool,
    rerank: str | None,
    verify: bool,
    small_objects: bool,
    regions: bool,
    as_json: bool,
    html: Path | None,
    model: str | None,
    model_sha256: str | None,
    max_bytes: int,
    max_pixels: int,
    wait: float,
) -> None:
    """Find the photos that show the same thing as each query PHOTO (- is standard input).

    --text finds photos by words, with a PHOTO or without. Photos that have all words come first.

    --like and --unlike add positive and negative examples and may be given more than once. With
    --json, each query prints one line.
    """
    _check_usage(images, text, html)
    if within is not None and near is None:
        raise click.UsageError("--within is the distance from a place; give --near too")
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
        condition: Condition | None = None
        for image in images or (None,):
            if html is None and not output_is_read():
                break
            try:
                condition = condition or _condition(opened, where, near, within or DEFAULT_KM)
                result = opened.search(
                    sys.stdin.buffer.read(max_bytes + 1) if image == "-" else image,
                    text=text,
                    limit=limit,
                    region=region,
                    like=like,
                    unlike=unlike,
                    where=condition,
                    exact=exact,
                    rerank=rerank,
                    verify=verify,
                    small_objects=small_objects,
                    regions=regions,
                )
            except (ImageError, QueryError) as error:
                failed = True
                if as_json:
                    print_json({"query": image or text, "error": str(error)})
                say(f"glocal: {error}", err=True)
                continue
            results.append(result)
            if as_json:
                print_json(
                    {
                        "query": result.query,
                        "text": result.text,
                        "model": str(result.model),
                        "found": result.found,
                        "matches": result.matches,
                        "hits": result.hits,
                        "timings_ms": result.timings_ms,
                    }
                )
            else:
                _show(result, titled=len(images) > 1)
        if text is not None and not as_json:
            _say_what_was_not_read(opened)
        if images and regions and not as_json and not all(map(_is_found, results)):
            _say_what_is_missing(opened)
        if html is not None:
            # Explanations are drawn for whole images, not for a region.
            _write_sheet(results, html, opened.encoder if region is None else None)
            say(f"wrote {html}", err=True)
    if failed:
        ctx.exit(1)


def _check_usage(images: tuple[str, ...], text: str | None, html: Path | None) -> None:
    if not images and text is None:
        raise click.UsageError("there is nothing to search for; name a photo, or give --text WORDS")
    if html is not None:
        check_folder(html)
        if not images:
            raise click.UsageError("--html shows queries and hits; name a query photo too")


def _condition(
    gallery: Gallery, where: str | None, near: str | None, km: float
) -> Condition | None:
    """What the photos have to meet; says which town is meant, where one is named."""
    condition = gallery.browse().condition(where)
    if near is not None:
        place = parse_place(near, km)
        condition = place if condition is None else AllOf((condition, place))
    for each in places_in(condition):
        if each.place:
            say(f"near {each.place}, within {each.km:g} km", err=True)
    return condition


def _is_found(result: SearchResult) -> bool:
    """Whether the first hit shows the query's object."""
    evidence = result.hits[0].evidence if result.hits else None
    return evidence is not None and evidence.verdict is not Verdict.SIMILAR


def _say_what_is_missing(gallery: Gallery) -> None:
    missing = gallery.without_regions()
    if missing:
        say(
            f"small things are not found in {counted(missing, 'photo')} without regions; "
            "to add them run: glocal index --refresh",
            err=True,
        )


def _say_what_was_not_read(gallery: Gallery) -> None:
    missing = gallery.without_captions()
    if missing:
        say(
            f"the captions of {counted(missing, 'photo')} were never read; "
            "to read them run: glocal index --refresh",
            err=True,
        )


def _show(result: SearchResult, *, titled: bool) -> None:
    """Print a table with the paths last, since they are long."""
    if titled:
        say(f"{result.query}")
    if not result.hits:
        say("  no photos found")
    elif result.found is False:
        say("  no match; the most similar images are:")
    for hit in result.hits:
        if result.found and hit.rank == result.matches + 1:
            say("  no match, but similar:")
        verdict = hit.evidence.verdict.label if hit.evidence else ""
        inliers = f"{hit.evidence.inliers} inliers" if hit.evidence and hit.evidence.inliers else ""
        more = f" (and {len(hit.paths) - 1} identical)" if len(hit.paths) > 1 else ""
        path = short_path(hit.path)
        said = "; ".join(f"{place}: {words}" for place, words in hit.words.items())
        say(f"{hit.rank:4}  {hit.score:6.3f}  {verdict:20}{inliers:>12}  {path}{more}")
        if said:
            say(f"{'':14}{said}")
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
