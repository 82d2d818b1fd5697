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
from glocal.images import Limits
from glocal.query.relations import RELATIONS
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
@click.option("--sketch", is_flag=True, help="Each PHOTO is a drawing: find what it shows.")
@click.option(
    "--any-view",
    is_flag=True,
    help="Find what a sketch shows from any view, not only as it was drawn; see glocal sketches.",
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
    multiple=True,
    help="Search for this region of the upright query photo, in pixels, or in fractions if all "
    "numbers are at most 1. Given twice: find photos in which both things stand to each other so.",
)
@click.option(
    "--relation",
    type=click.Choice(RELATIONS),
    help="How the thing of the first --region has to stand to that of the second, instead of as "
    "in the query photo.",
)
@click.option("--like", multiple=True, metavar="PHOTO", help="Find photos like this one too.")
@click.option("--unlike", multiple=True, metavar="PHOTO", help="Find photos unlike this one.")
@click.option(
    "--where",
    metavar="EXPR",
    help="Find only photos that meet a condition on folder, camera, taken, width, height, bytes or "
    'position, e.g. "taken >= 2019 and near 48.85,2.35 within 5 km".',
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
    sketch: bool,
    any_view: bool,
    gallery: Path | None,
    limit: int,
    region: tuple[tuple[float, float, float, float], ...],
    relation: str | None,
    like: tuple[str, ...],
    unlike: tuple[str, ...],
    where: str | None,
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

    With --region twice the numbers are how similar the relations are, from 0 to 1.

    --like and --unlike add positive and negative examples and may be given more than once. With
    --json, each query prints one line.
    """
    _check_usage(images, text, html)
    _check_relation(ctx, region, relation)
    _check_sketch(ctx, sketch=sketch, any_view=any_view)
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
        for image in images or (None,):
            if html is None and not output_is_read():
                break
            try:
                query = sys.stdin.buffer.read(max_bytes + 1) if image == "-" else image
                if query is not None and len(region) == 2:
                    result = opened.search_relation(
                        query, *region, relation=relation, limit=limit, where=where, exact=exact
                    )
                    results.append(result)
                    _print(result, as_json=as_json, titled=len(images) > 1)
                    continue
                if query is not None and sketch:
                    result = opened.search_sketch(
                        query, any_view=any_view, limit=limit, where=where, exact=exact
                    )
                    results.append(result)
                    _print(result, as_json=as_json, titled=len(images) > 1)
                    continue
                result = opened.search(
                    query,
                    text=text,
                    limit=limit,
                    region=region[0] if region else None,
                    like=like,
                    unlike=unlike,
                    where=where,
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
            _print(result, as_json=as_json, titled=len(images) > 1)
        if text is not None and not as_json:
            _say_what_was_not_read(opened)
        if sketch and not as_json and not opened.knows_sketches():
            say(
                "the sketch was compared as it is; to learn from your photos run: glocal sketches",
                err=True,
            )
        if images and regions and not sketch and not as_json and not all(map(_is_found, results)):
            _say_what_is_missing(opened)
        if html is not None:
            # Explanations are drawn for whole images, not for a region.
            _write_sheet(results, html, opened.encoder if not region else None)
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


_NOT_WITH_TWO = ("text", "like", "unlike", "rerank", "verify", "small_objects", "regions", "html")


def _check_relation(
    ctx: click.Context,
    regions: tuple[tuple[float, float, float, float], ...],
    relation: str | None,
) -> None:
    """Refuse what two regions, or a relation, cannot be combined with."""
    if len(regions) > 2:
        raise click.UsageError("--region can be given twice at most, once for each of two things")
    if len(regions) < 2:
        if relation is not None:
            raise click.UsageError(
                "--relation says how two things stand; give --region twice, the first thing first"
            )
        return
    _refuse(ctx, "two regions", _NOT_WITH_TWO)


def _check_sketch(ctx: click.Context, *, sketch: bool, any_view: bool) -> None:
    """Refuse what a drawing cannot be combined with."""
    if any_view and not sketch:
        raise click.UsageError("--any-view says how a drawing is searched with; give --sketch too")
    if sketch:
        _refuse(ctx, "a sketch", ("region", *_NOT_WITH_TWO))


def _refuse(ctx: click.Context, what: str, names: tuple[str, ...]) -> None:
    for name in names:
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            raise click.UsageError(
                f"{what} cannot be combined with --{name.replace('_', '-')}; leave it out"
            )


def _print(result: SearchResult, *, as_json: bool, titled: bool) -> None:
    if not as_json:
        _show(result, titled=titled)
        return
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
        if hit.box and hit.second_box:
            at, beside = (",".join(f"{n:.2f}" for n in box) for box in (hit.box, hit.second_box))
            say(f"{'':14}first at {at}; second at {beside}")
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
