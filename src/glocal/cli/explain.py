"""`glocal explain`."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import click

from glocal.cli.options import (
    FilePath,
    PartOption,
    Photo,
    json_option,
    limit_options,
    model_options,
)
from glocal.cli.output import check_folder, print_json, say
from glocal.cli.streams import standard_input
from glocal.errors import GlocalError, ImageError
from glocal.images import Limits
from glocal.registry import parts


def _kinds() -> str:
    kinds = "; ".join(f"{each.name}: {each.summary or each.source}" for each in parts("explainer"))
    return f"What to show. {kinds}."


class _Numbers(click.ParamType[tuple[float, ...]]):
    """Numbers separated by commas, as many as the name has."""

    def __init__(self, name: str, example: str) -> None:
        self.name = name
        self._example = example

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        wanted = self.name.count(",") + 1
        try:
            numbers = tuple(float(part) for part in value.split(","))
        except ValueError:
            numbers = ()
        if len(numbers) != wanted:
            self.fail(f"{value!r} is not {wanted} numbers such as {self._example}", param, ctx)
        return numbers


@click.command()
@click.argument("query", type=Photo())
@click.argument("hits", nargs=-1, type=Photo(), metavar="HIT...")
@click.option(
    "-o",
    "--output",
    type=FilePath(dir_okay=False),
    required=True,
    metavar="FILE",
    help="The figure to write, as .png or .svg.",
)
@click.option(
    "--kind",
    cls=PartOption,
    kind="explainer",
    describe=_kinds,
    metavar="NAME",
    default="similarity",
    show_default=True,
)
@click.option(
    "--point",
    type=_Numbers("X,Y", "0.5,0.4"),
    help="Show what in the hits is like this point of the query: pixels, or fractions if both are "
    "at most 1.",
)
@click.option(
    "--region",
    type=_Numbers("X,Y,W,H", "10,20,300,200"),
    help="The same for a region of the query.",
)
@click.option(
    "--concepts",
    type=click.IntRange(1, 7),
    default=4,
    show_default=True,
    help="How many concepts --kind concepts finds.",
)
@click.option(
    "-g",
    "--gallery",
    type=FilePath(),
    metavar="DIR",
    help="Use the model of this gallery.",
)
@json_option
@model_options
@limit_options
def explain(
    query: str,
    hits: tuple[str, ...],
    output: Path,
    kind: str,
    point: tuple[float, ...] | None,
    region: tuple[float, ...] | None,
    concepts: int,
    gallery: Path | None,
    as_json: bool,
    model: str | None,
    model_sha256: str | None,
    max_bytes: int,
    max_pixels: int,
) -> None:
    """Draw why each HIT matches QUERY (- is standard input), as PNG or SVG.

    QUERY and HIT are photo files, indexed or not. The default model is used unless --model or
    --gallery names another.
    """
    # Imported late, so that --help starts in 0.04 s.
    from glocal.encoders import DEFAULT_MODEL, load_encoder
    from glocal.explain import explain as explained
    from glocal.explain.figure import check_ending

    check_ending(output)
    check_folder(output)
    if model is None and gallery is not None:
        model = _model_of(gallery)
    try:
        explanation = explained(
            standard_input(max_bytes) if query == "-" else query,
            *hits,
            kind=kind,
            encoder=load_encoder(model or DEFAULT_MODEL, sha256=model_sha256),
            point=cast("tuple[float, float] | None", point),
            region=cast("tuple[float, float, float, float] | None", region),
            concepts=concepts,
            limits=Limits(max_bytes=max_bytes, max_pixels=max_pixels),
        )
    except ImageError as error:
        # The text has only the reason, for use in lists; the file is in the error's notes.
        notes = [note.removeprefix("image: ") for note in getattr(error, "__notes__", [])]
        if query == "-" and not notes:
            notes = ["standard input"]
        raise GlocalError(": ".join([*notes, str(error)])) from error
    try:
        explanation.save(output)
    except OSError as error:
        raise GlocalError(f"{output} cannot be written: {error.strerror}") from error
    if as_json:
        scored = [
            {"path": hit, "score": score}
            for hit, score in zip(hits, explanation.scores, strict=True)
        ]
        print_json({"query": str(query), "kind": kind, "hits": scored, "output": str(output)})
        return
    for hit, score in zip(hits, explanation.scores, strict=True):
        say(f"{score:6.3f}  {hit}")
    say(f"wrote {output}", err=True)


def _model_of(gallery: Path) -> str:
    """The gallery's own copy of its model."""
    from glocal.gallery.layout import open_layout

    layout = open_layout(gallery, model=None, sha256=None, create=False, timeout=30)
    return str(layout.model_file)
