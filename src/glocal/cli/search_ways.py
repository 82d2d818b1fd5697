"""What can be searched for by `glocal search`, and what cannot be combined."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import click

from glocal.cli.output import check_folder, say
from glocal.cli.streams import standard_input
from glocal.errors import QueryError
from glocal.gallery import Galleries, Gallery, SearchResult
from glocal.gallery.conditions import places_in

Box = tuple[float, float, float, float]


def with_place(gallery: Gallery, where: str | None, near: str | None, km: float) -> str | None:
    """The condition with that of --near; says which towns are meant, where some are named."""
    if near is not None:
        quote = "'" if '"' in near else '"'
        place = f"near {quote}{near}{quote} within {km:g} km"
        where = f"({where}) and {place}" if where and where.strip() else place
    with suppress(QueryError):  # which the search says, to each query
        for each in places_in(gallery.browse().condition(where)):
            if each.place:
                say(f"near {each.place}, within {each.km:g} km", err=True)
    return where


def _search(search: Callable[..., SearchResult], image: str, most: int) -> SearchResult:
    return search(standard_input(most) if image == "-" else image)


def _related(
    gallery: Gallery,
    regions: Sequence[Box],
    image: Any,
    **options: Any,
) -> SearchResult:
    first, second = regions
    return gallery.search_relation(image, first, second, **options)


def check_usage(
    images: tuple[str, ...],
    text: str | None,
    change: str | None,
    html: Path | None,
    folders: tuple[Path, ...],
    model: str | None,
    vectors: tuple[Path, ...],
    bridges: tuple[Path, ...],
    near: str | None,
    within: float | None,
) -> None:
    """Refuse what makes no sense together."""
    several = len(folders) > 1
    if within is not None and near is None:
        raise click.UsageError("--within is the distance from a place; give --near too")
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


def check_relation(
    ctx: click.Context,
    regions: Sequence[Box],
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
    _refuse(ctx, "two regions", _NOT_WITH_TWO)


def check_sketch(ctx: click.Context, *, sketch: bool, any_view: bool) -> None:
    """Refuse what a drawing cannot be combined with."""
    if any_view and not sketch:
        raise click.UsageError("--any-view says how a drawing is searched with; give --sketch too")
    if not sketch:
        return
    if not ctx.params["images"]:
        raise click.UsageError("--sketch needs a drawing; name its file")
    if len(ctx.params["folders"]) > 1:
        raise click.UsageError("a sketch is searched for in one gallery; name one")
    # --no-verify and --no-regions say what is so anyway.
    names = [name for name in _NOT_WITH_TWO if ctx.params[name] is not False]
    _refuse(ctx, "a sketch", ("region", "vectors", *names))


def check_vectors(ctx: click.Context, vectors: Sequence[Path]) -> None:
    """Refuse what needs an image beside a vector, which says nothing of one."""
    if vectors:
        _refuse(ctx, "a --vector", ("region", "relation", *_NOT_WITH_TWO))


def _refuse(ctx: click.Context, what: str, names: tuple[str, ...]) -> None:
    for name in names:
        if ctx.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
            option = name.removesuffix("s") if name == "vectors" else name.replace("_", "-")
            option = f"no-{option}" if ctx.params[name] is False else option
            raise click.UsageError(f"{what} cannot be combined with --{option}; leave it out")


def searches(
    opened: Gallery | Galleries,
    images: Sequence[str],
    regions: Sequence[Box],
    relation: str | None,
    any_view: bool | None,
    most: int,
    common: Mapping[str, Any],
    more: Mapping[str, Any],
) -> Iterator[tuple[str | None, Callable[[], SearchResult]]]:
    """The search for each image, with the image's name; for the text alone where there is none.

    Args:
        opened: the gallery, or several.
        images: names of files, or ``-`` for standard input.
        regions: of each image; two are searched for by how they stand to each other.
        relation: how they have to stand, if not as in the image.
        any_view: whether each image is a drawing of a thing from any view; `None`: it is none.
        most: bytes that are read from standard input.
        common: options of every search.
        more: options of all searches but those for two regions.
    """
    if isinstance(opened, Gallery) and any_view is not None:
        find: Callable[..., SearchResult] = partial(
            opened.search_sketch, any_view=any_view, **common
        )
    elif isinstance(opened, Gallery) and len(regions) == 2:
        find = partial(_related, opened, regions, relation=relation, **common)
    else:
        # Several galleries know no changes, which `check_usage` has said.
        given = {name: each for name, each in more.items() if name != "change" or each is not None}
        find = partial(opened.search, region=regions[0] if regions else None, **common, **given)
    if not images:
        yield None, find
    for image in images:
        yield image, partial(_search, find, image, most)
