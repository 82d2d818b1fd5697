"""What `glocal search` prints and writes."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import click

from glocal.cli.output import counted, print_json, say, short_path
from glocal.encoders import OnnxEncoder
from glocal.errors import GlocalError, ModelError
from glocal.gallery import Gallery, GalleryHit, Hit, SearchResult
from glocal.ranking.evidence import Verdict


def say_error(query: str | None, error: GlocalError, *, as_json: bool) -> None:
    """Say that one of several searches failed."""
    if as_json:
        print_json({"query": query, "error": str(error)})
    say(f"glocal: {error}", err=True)


def print_result(result: SearchResult, *, as_json: bool, titled: bool) -> None:
    """Print what a search found, as a table or as one line of JSON."""
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


def is_found(result: SearchResult) -> bool:
    """Whether the first hit shows the query's object."""
    evidence = result.hits[0].evidence if result.hits else None
    return evidence is not None and evidence.verdict is not Verdict.SIMILAR


def say_what_is_missing(
    galleries: list[Gallery], *, captions: bool, meaning: bool, regions: bool
) -> None:
    """Say what galleries lack of that by which this search could have found more."""
    named = len(galleries) > 1
    for gallery in galleries:
        option = f" --gallery {shlex.quote(short_path(gallery.folder))}" if named else ""
        unread = gallery.without_captions() if captions else 0
        if unread:
            say(
                f"the captions of {counted(unread, 'photo')} were never read; "
                f"to read them run: glocal index --refresh{option}",
                err=True,
            )
        missing = gallery.without_regions() if regions else 0
        if missing:
            say(
                f"small things are not found in {counted(missing, 'photo')} without regions; "
                f"to add them run: glocal index --refresh{option}",
                err=True,
            )
        known = gallery.text_model() if meaning else None
        if meaning and (known is None or known.gallery_space != gallery.space):
            say(
                "words were found as they are written, not as they are meant; to add that, see: "
                f"glocal text{option}",
                err=True,
            )


def say_how_it_was_changed(gallery: Gallery) -> None:
    """Say what has combined a photo with the words of a change."""
    known = gallery.text_model()
    if known is not None:
        way = "its trained combiner" if known.combines else "the sum of both vectors"
        say(f"photo and words were combined by {known.name}, {way}", err=True)


def say_that_sketches_are_new() -> None:
    """Say how drawings are understood better."""
    say(
        "the sketch was compared as it is; to learn from your photos run: glocal sketches",
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


def write_sheet(results: list[SearchResult], target: Path, explaining: list[Gallery]) -> None:
    """Write a contact sheet, with explanations of the hits of some galleries."""
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
