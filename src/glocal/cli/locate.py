"""`glocal locate`."""

from __future__ import annotations

from pathlib import Path

import click

from glocal.cli.options import (
    FilePath,
    Photo,
    gallery_option,
    json_option,
    limit_options,
    wait_option,
)
from glocal.cli.output import counted, print_json, say, short_path
from glocal.cli.search_output import say_error
from glocal.cli.streams import standard_input
from glocal.cli.world import told
from glocal.errors import ImageError, QueryError
from glocal.gallery import Gallery
from glocal.gallery.locating import Located, ProbablePlace, digits_of
from glocal.geography import gazetteer
from glocal.geography.world_model import WorldModel, WorldPlace
from glocal.images import Limits

_SHOWN = 3  # photos of each place


@click.command()
@click.argument("photos", nargs=-1, required=True, type=Photo(), metavar="PHOTO...")
@gallery_option
@click.option(
    "-n",
    "--limit",
    type=click.IntRange(1, 50),
    default=3,
    show_default=True,
    metavar="N",
    help="Number of places to show at most.",
)
@click.option(
    "--where",
    metavar="EXPR",
    help="Look only at photos that meet a condition; see glocal search --help.",
)
@click.option(
    "--world",
    type=FilePath(dir_okay=False),
    metavar="FILE.npz",
    help="Ask this trained world model too, of places of which the gallery has no photo; see "
    "glocal world --help.",
)
@json_option
@limit_options
@wait_option
@click.pass_context
def locate(
    ctx: click.Context,
    photos: tuple[str, ...],
    gallery: Path | None,
    limit: int,
    where: str | None,
    world: Path | None,
    as_json: bool,
    max_bytes: int,
    max_pixels: int,
    wait: float,
) -> None:
    """Say where each PHOTO was probably taken (- is standard input).

    The gallery's photos that say where they were taken are compared with it: those that show the
    same thing count most, similar ones little. Towns are named with the extra places. A world
    model, which you have to train or to bring, answers too with --world, after them.

    With --json, each photo prints one line.
    """
    limits = Limits(max_bytes=max_bytes, max_pixels=max_pixels)
    failed = False
    asked = None if world is None else WorldModel.load(world)
    if asked is not None and not as_json:
        say(told(asked.card), err=True)
    with Gallery(gallery, create=False, limits=limits, timeout=wait) as opened:
        for photo in photos:
            try:
                source = standard_input(max_bytes) if photo == "-" else photo
                located = opened.locate(source, where=where, world=asked)
            except (ImageError, QueryError) as error:
                failed = True
                say_error(photo, error, as_json=as_json)
                continue
            if as_json:
                print_json(_limited(located, limit))
            else:
                _show(located, limit, titled=len(photos) > 1)
    if failed:
        ctx.exit(1)


def _limited(located: Located, limit: int) -> dict[str, object]:
    return {
        "query": located.query,
        "model": str(located.model),
        "position": located.position,
        "places": located.places[:limit],
        "silence": located.silence,
        "timings_ms": located.timings_ms,
        "world": located.world[:limit],
    }


def _show(located: Located, limit: int, *, titled: bool) -> None:
    if titled:
        say(located.query)
    if located.position is not None:
        latitude, longitude = located.position
        say(f"  the photo says: {latitude:.5f},{longitude:.5f}{_named(latitude, longitude)}")
    if located.silence is not None:
        say(f"  cannot say: {located.silence.label}")
    for place in located.places[:limit]:
        _show_place(place)
    for guess in located.world[:limit]:
        say(
            f"  the world model guesses: within {guess.radius_km:g} km of "
            f"{_written(guess)}; {guess.share:.0%} of its belief"
        )


def _show_place(place: ProbablePlace) -> None:
    matches = f"{counted(place.matches, 'photo')} of the same thing" if place.matches else ""
    others = len(place.hits) - place.matches
    similar = f"{others} similar" if place.matches else f"{counted(others, 'similar photo')}"
    behind = " and ".join(part for part in (matches, similar if others else "") if part)
    say(f"  {place.confidence.label}: within {place.radius_km:g} km of {_written(place)}; {behind}")
    for hit in place.hits[:_SHOWN]:
        say(f"      {short_path(hit.path)}")
    if len(place.hits) > _SHOWN:
        say(f"      and {len(place.hits) - _SHOWN} more")


def _written(place: ProbablePlace | WorldPlace) -> str:
    """Its middle, no finer than its radius, and what lies there."""
    digits = digits_of(place.radius_km)
    position = f"{place.latitude:.{digits}f},{place.longitude:.{digits}f}"
    return position + _named(place.latitude, place.longitude)


def _named(latitude: float, longitude: float) -> str:
    """Where a position is in words, if the towns are installed and one is near."""
    found = gazetteer.nearest_town(latitude, longitude) if gazetteer.is_available() else None
    if found is None:
        return ""
    town, km = found
    return f" ({town.label})" if km < 5 else f" ({km:.0f} km from {town.label})"
