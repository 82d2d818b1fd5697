"""`glocal search`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import click

from glocal.cli.options import (
    FilePath,
    PartOption,
    Photo,
    budget_option,
    json_option,
    limit_options,
    listed,
    model_options,
    wait_option,
)
from glocal.cli.output import Bar, say
from glocal.cli.search_output import (
    is_found,
    print_result,
    say_error,
    say_how_it_was_changed,
    say_that_sketches_are_new,
    say_what_is_missing,
    write_sheet,
)
from glocal.cli.search_ways import (
    check_relation,
    check_sketch,
    check_usage,
    check_vectors,
    searches,
    with_place,
)
from glocal.cli.streams import output_is_read
from glocal.cli.vector_searches import vector_searches
from glocal.errors import ImageError, QueryError
from glocal.gallery import Galleries, Gallery, SearchResult
from glocal.gallery.where import DEFAULT_KM
from glocal.images import Limits
from glocal.query.relations import RELATIONS
from glocal.ranking import DEFAULT_RERANKING, DEFAULT_RERANKING_TOP, NO_RERANKING, TOP
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
@click.argument("images", nargs=-1, type=Photo(), metavar="[PHOTO]...")
@click.option(
    "-g",
    "--gallery",
    "folders",
    multiple=True,
    type=FilePath(),
    metavar="DIR",
    help="Folder of the gallery; several are searched as one, whatever their models. "
    "[default: GLOCAL_GALLERY, or one per user]",
)
@click.option(
    "--text",
    metavar="WORDS",
    help="Find photos by words in names of files and folders, in captions and, after "
    "index --ocr, in the photos; with a PHOTO, by both. Quotes keep words together. With an "
    "image-text model (glocal text) photos are found by what the words mean too.",
)
@click.option(
    "--change",
    metavar="WORDS",
    help="Find what the PHOTO would show with a change, such as 'in blue'; needs an image-text "
    "model (glocal text).",
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
@click.option(
    "--like", multiple=True, type=Photo(), metavar="PHOTO", help="Find photos like this one too."
)
@click.option(
    "--unlike", multiple=True, type=Photo(), metavar="PHOTO", help="Find photos unlike this one."
)
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
@click.option(
    "--vector",
    "vectors",
    multiple=True,
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="Search for a vector, or for each row of several, in a .npy file instead of a PHOTO.",
)
@click.option(
    "--bridge",
    "bridges",
    multiple=True,
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="Bridge that brings each --vector into the gallery's space; of several galleries, one "
    "that searches a gallery by the model of another, as where its own model is lost.",
)
@json_option
@click.option(
    "--html",
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="Write a contact sheet of queries and hits.",
)
@model_options
@budget_option
@limit_options
@wait_option
@click.pass_context
def search(
    ctx: click.Context,
    images: tuple[str, ...],
    text: str | None,
    change: str | None,
    sketch: bool,
    any_view: bool,
    folders: tuple[Path, ...],
    limit: int,
    region: tuple[tuple[float, float, float, float], ...],
    relation: str | None,
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
    vectors: tuple[Path, ...],
    bridges: tuple[Path, ...],
    as_json: bool,
    html: Path | None,
    model: str | None,
    model_sha256: str | None,
    budget_ms: float | None,
    max_bytes: int,
    max_pixels: int,
    wait: float,
) -> None:
    """Find the photos that show the same thing as each query PHOTO (- is standard input).

    --text finds photos by words, with a PHOTO or without. Photos that have all words come first.

    With --region twice the numbers say how similar the relations are, from 0 to 1.

    --like and --unlike add positive and negative examples and may be given more than once. With
    --json, each query prints one line.
    """
    check_usage(images, text, change, html, folders, model, vectors, bridges, near, within)
    check_vectors(ctx, vectors)
    check_relation(ctx, region, relation)
    check_sketch(ctx, sketch=sketch, any_view=any_view)
    limits, bar = Limits(max_bytes=max_bytes, max_pixels=max_pixels), Bar(show=not as_json)
    results: list[SearchResult] = []
    failed = False
    with ExitStack() as opening:
        opening.callback(bar.close)
        opened = [
            opening.enter_context(
                Gallery(
                    folder,
                    model=model,
                    sha256=model_sha256,
                    create=False,
                    limits=limits,
                    timeout=wait,
                    budget_ms=budget_ms,
                )
            )
            for folder in folders or (None,)
        ]
        where = with_place(opened[0], where, near, DEFAULT_KM if within is None else within)
        several = None
        if len(opened) > 1:
            several = opening.enter_context(Galleries(*opened, bridges=bridges, listen=bar))
        found: Iterator[tuple[str | None, Callable[[], SearchResult]]]
        common = {"limit": limit, "where": where, "exact": exact}
        if vectors:
            found = vector_searches(opened[0], vectors, next(iter(bridges), None), common)
        else:
            more = {
                "text": text,
                "change": change,
                "like": like,
                "unlike": unlike,
                "rerank": rerank,
                "verify": verify,
                "small_objects": small_objects,
                "regions": regions,
            }
            drawn = any_view if sketch else None
            given = several or opened[0], images, region, relation, drawn, max_bytes
            found = searches(*given, common, more)
        titled = len(images) > 1 or bool(vectors)
        for name, find in found:
            if html is None and not output_is_read():
                break
            try:
                results.append(find())
            except (ImageError, QueryError) as error:
                failed = True
                say_error(name or text, error, as_json=as_json)
                continue
            bar.close()
            print_result(results[-1], as_json=as_json, titled=titled)
        if not as_json:
            if sketch and results and not opened[0].knows_sketches():
                say_that_sketches_are_new()
            if change is not None and results:
                say_how_it_was_changed(opened[0])
            looked = bool(images) and regions and not (sketch or change)
            unproven = looked and not all(map(is_found, results))
            wordless = text is not None and not any(each.hits for each in results)
            if results:
                say_what_is_missing(
                    opened, captions=text is not None, meaning=wordless, regions=unproven
                )
        if html is not None:
            # Explanations are drawn for whole images, not for a region.
            write_sheet(results, html, [] if region else opened)
            say(f"wrote {html}", err=True)
    if failed:
        ctx.exit(1)
