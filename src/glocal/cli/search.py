"""`glocal search`."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import click

from glocal.cli.options import (
    PartOption,
    json_option,
    limit_options,
    listed,
    model_options,
    wait_option,
)
from glocal.cli.output import Bar, check_folder, counted, print_json, say, short_path
from glocal.cli.streams import output_is_read
from glocal.cli.vector_searches import vector_searches
from glocal.encoders import OnnxEncoder
from glocal.errors import GlocalError, ImageError, ModelError, QueryError
from glocal.gallery import Galleries, Gallery, GalleryHit, Hit, SearchResult
from glocal.gallery.conditions import places_in
from glocal.gallery.where import DEFAULT_KM
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
@click.option(
    "-g",
    "--gallery",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
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
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Search for a vector, or for each row of several, in a .npy file instead of a PHOTO.",
)
@click.option(
    "--bridge",
    "bridges",
    multiple=True,
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Bridge that brings each --vector into the gallery's space; of several galleries, one "
    "that searches a gallery by the model of another, as where its own model is lost.",
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
    change: str | None,
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
    max_bytes: int,
    max_pixels: int,
    wait: float,
) -> None:
    """Find the photos that show the same thing as each query PHOTO (- is standard input).

    --text finds photos by words, with a PHOTO or without. Photos that have all words come first.

    With --region twice the numbers are how alike the relations are, from 0 to 1.

    --like and --unlike add positive and negative examples and may be given more than once. With
    --json, each query prints one line.
    """
    _check_usage(images, text, change, html, folders, model, vectors, bridges)
    _check_relation(ctx, region, relation)
    if within is not None and near is None:
        raise click.UsageError("--within is the distance from a place; give --near too")
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
                )
            )
            for folder in folders or (None,)
        ]
        where = _with_place(opened[0], where, near, DEFAULT_KM if within is None else within)
        several = None
        if len(opened) > 1:
            several = opening.enter_context(Galleries(*opened, bridges=bridges, listen=bar))
        searches: Iterable[tuple[str | None, Callable[[], SearchResult]]]
        options: dict[str, Any]
        if vectors:
            options = {"limit": limit, "where": where, "exact": exact}
            searches = vector_searches(opened[0], vectors, next(iter(bridges), None), options)
        else:
            options = {"limit": limit, "where": where, "exact": exact}
            if len(region) == 2:
                search = partial(_related, opened[0], region, relation=relation, **options)
            else:
                options |= {
                    "text": text,
                    "change": change,
                    "region": region[0] if region else None,
                    "like": like,
                    "unlike": unlike,
                    "rerank": rerank,
                    "verify": verify,
                    "small_objects": small_objects,
                    "regions": regions,
                }
                if several is not None:
                    del options["change"]
                search = partial((several or opened[0]).search, **options)
            searches = [
                (each, partial(_search, search, each, max_bytes)) for each in images or [None]
            ]
        titled = len(images) > 1 or bool(vectors)
        for name, find in searches:
            if html is None and not output_is_read():
                break
            try:
                results.append(find())
            except (ImageError, QueryError) as error:
                failed = True
                _say_error(name or text, error, as_json=as_json)
                continue
            bar.close()
            _print(results[-1], as_json=as_json, titled=titled)
        if not as_json:
            unproven = regions and change is None and not all(map(_is_found, results))
            for gallery in opened:
                _say_what_is_missing(
                    gallery,
                    captions=text is not None,
                    regions=bool(images) and unproven,
                    named=len(opened) > 1,
                )
            if text is not None:
                _say_how_words_are_found(opened[0])
            if change is not None and results:
                _say_how_it_was_changed(opened[0])
        if html is not None:
            # Explanations are drawn for whole images, not for a region.
            _write_sheet(results, html, [] if region else opened)
            say(f"wrote {html}", err=True)
    if failed:
        ctx.exit(1)


def _with_place(gallery: Gallery, where: str | None, near: str | None, km: float) -> str | None:
    """The condition with that of --near; says which towns are meant, where some are named."""
    if near is not None:
        quote = "'" if '"' in near else '"'
        place = f"near {quote}{near}{quote} within {km:g} km"
        where = f"({where}) and {place}" if where and where.strip() else place
    for each in places_in(gallery.browse().condition(where)):
        if each.place:
            say(f"near {each.place}, within {each.km:g} km", err=True)
    return where


def _say_error(query: str | None, error: GlocalError, *, as_json: bool) -> None:
    if as_json:
        print_json({"query": query, "error": str(error)})
    say(f"glocal: {error}", err=True)


def _search(search: Callable[..., SearchResult], image: str | None, most: int) -> SearchResult:
    return search(sys.stdin.buffer.read(most + 1) if image == "-" else image)


def _related(
    gallery: Gallery,
    regions: tuple[tuple[float, float, float, float], ...],
    image: Any,
    **options: Any,
) -> SearchResult:
    first, second = regions
    return gallery.search_relation(image, first, second, **options)


def _check_usage(
    images: tuple[str, ...],
    text: str | None,
    change: str | None,
    html: Path | None,
    folders: tuple[Path, ...],
    model: str | None,
    vectors: tuple[Path, ...],
    bridges: tuple[Path, ...],
) -> None:
    several = len(folders) > 1
    if change is not None and (not images or text is not None):
        raise click.UsageError("--change says how a PHOTO is to differ; name one, without --text")
    if several and change is not None:
        raise click.UsageError("--change is searched for in one gallery; name one")
    if not (images or vectors) and text is None:
        raise click.UsageError("there is nothing to search for; name a photo, or give --text WORDS")
    if several and model is not None:
        raise click.UsageError("--model names the model of one gallery; leave it out of several")
    if several and images and text is not None:
        raise click.UsageError(
            "several galleries are searched by a photo or by --text, not by both: how words and "
            "photo rank in one gallery says nothing beside another"
        )
    if vectors and (images or text is not None or several or html is not None):
        raise click.UsageError(
            "a --vector is searched for by itself, in one gallery; leave out photos, --text, "
            "--html and further galleries"
        )
    if bridges and not (several or (vectors and len(bridges) == 1)):
        raise click.UsageError(
            "--bridge is for several galleries, or one bridge for each --vector; give one of these"
        )
    if html is not None:
        check_folder(html)
        if not images:
            raise click.UsageError("--html shows queries and hits; name a query photo too")


_NOT_WITH_TWO = (
    "text",
    "change",
    "like",
    "unlike",
    "rerank",
    "verify",
    "small_objects",
    "regions",
    "html",
)


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
    if len(ctx.params["folders"]) > 1:
        raise click.UsageError("two regions are searched for in one gallery; name one")
    default = click.core.ParameterSource.DEFAULT
    for name in _NOT_WITH_TWO:
        if ctx.get_parameter_source(name) is not default:
            raise click.UsageError(
                f"two regions cannot be combined with --{name.replace('_', '-')}; leave it out"
            )


def _print(result: SearchResult, *, as_json: bool, titled: bool) -> None:
    if not as_json:
        _show(result, titled=titled)
        return
    print_json(
        {
            "query": result.query,
            "text": result.text,
            "change": result.change,
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


def _say_what_is_missing(gallery: Gallery, *, captions: bool, regions: bool, named: bool) -> None:
    """Say what a gallery lacks of that by which this search could have found more."""
    unread = gallery.without_captions() if captions else 0
    if unread:
        say(
            f"the captions of {counted(unread, 'photo')} were never read; "
            f"to read them run: glocal index --refresh{_option(gallery, named=named)}",
            err=True,
        )
    missing = gallery.without_regions() if regions else 0
    if missing:
        say(
            f"small things are not found in {counted(missing, 'photo')} without regions; "
            f"to add them run: glocal index --refresh{_option(gallery, named=named)}",
            err=True,
        )


def _option(gallery: Gallery, *, named: bool) -> str:
    """What names a gallery in a command, where there are several."""
    return f" --gallery {shlex.quote(short_path(gallery.folder))}" if named else ""


def _say_how_words_are_found(gallery: Gallery) -> None:
    known = gallery.text_model()
    if known is None or known.gallery_space != gallery.space:
        say(
            "words were found as they are written, not as they are meant; to add that, see: "
            "glocal text",
            err=True,
        )


def _say_how_it_was_changed(gallery: Gallery) -> None:
    known = gallery.text_model()
    if known is not None:
        way = "its trained combiner" if known.combines else "the sum of both vectors"
        say(f"photo and words were combined by {known.name}, {way}", err=True)


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
        if isinstance(hit, GalleryHit):
            more += f"  [{', '.join(map(short_path, hit.galleries))}]"
        said = "; ".join(f"{place}: {words}" for place, words in hit.words.items())
        if "meaning" in hit.scores:
            said += f"{'; ' if said else ''}meaning: {hit.scores['meaning']:.3f}"
        say(f"{hit.rank:4}  {hit.score:6.3f}  {verdict:20}{inliers:>12}  {path}{more}")
        if said:
            say(f"{'':14}{said}")
        if hit.box and hit.second_box:
            at, beside = (",".join(f"{n:.2f}" for n in box) for box in (hit.box, hit.second_box))
            say(f"{'':14}first at {at}; second at {beside}")
    if sys.stdout.isatty():
        spent = ", ".join(f"{stage} {ms:.1f} ms" for stage, ms in result.timings_ms.items())
        click.secho(f"      {spent}", dim=True)


def _write_sheet(results: list[SearchResult], target: Path, explaining: list[Gallery]) -> None:
    from glocal.cli.sheets import results_sheet  # only for --html

    encoders = {gallery.folder: gallery for gallery in explaining}

    def encoder_of(hit: Hit) -> OnnxEncoder | None:
        folder = hit.galleries[0] if isinstance(hit, GalleryHit) else next(iter(encoders), None)
        try:
            return encoders[folder].encoder if folder in encoders else None
        except ModelError:  # it was searched through a bridge
            return None

    try:
        results_sheet(results, target, encoder_of)
    except OSError as error:
        raise GlocalError(
            f"the contact sheet {target} cannot be written: {error.strerror}"
        ) from error
