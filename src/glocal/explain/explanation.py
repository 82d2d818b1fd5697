"""Explain why images match: decode them, ask the explainer of that name, hand back its page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glocal.encoders import OnnxEncoder, load_encoder
from glocal.errors import QueryError
from glocal.explain.color_scales import CONCEPT_COLORS
from glocal.explain.explainer import ExplainedImage, Explainer, Explanation, View
from glocal.explain.figure import Point
from glocal.explain.figures import Shown
from glocal.explain.matches import Matches
from glocal.images import Limits, load
from glocal.images.region import Region
from glocal.images.sources import read_stream
from glocal.registry import Part, part

if TYPE_CHECKING:
    from glocal.images import ImageSource

MOST_CONCEPTS = len(CONCEPT_COLORS)

_SHOWN_PIXELS = 1_000_000
_LIMITS = Limits()


def explain(
    query: ImageSource,
    *hits: ImageSource,
    kind: str = "similarity",
    encoder: OnnxEncoder | None = None,
    point: Point | None = None,
    region: Region | None = None,
    concepts: int = 4,
    matches: Matches | None = None,
    verdict: str = "",
    limits: Limits = _LIMITS,
) -> Explanation:
    """Explain why a query and its hits match.

    >>> from glocal.explain import explain
    >>> explanation = explain("query.jpg", "crop.jpg")
    >>> explanation.figure.save("why.png")
    >>> len(explanation.maps)
    2

    Args:
        query: A path, bytes, a binary stream, a PIL image or an array.
        hits: Likewise; ``eigen`` needs none, ``matches`` takes one.
        kind: Name of an explainer: ``similarity`` splits the score into regions of both images;
            ``fewest`` finds the fewest regions of the query that the score rests on, in seconds;
            ``concepts`` finds what query and hits have in common; ``eigen`` shows what stands out
            in each by itself; ``matches`` draws the points that geometry verifies; other packages
            may add more (see `glocal.registry`).
        encoder: The model that searched; None is the bundled one.
        point: A point of the query, X and Y, in fractions if both are at most 1, else in pixels.
            The hits light up where they are like it. Only for ``similarity``.
        region: A region of the query, X, Y, W, H, instead of a point.
        concepts: How many concepts to find, for ``concepts``.
        matches: What geometry verified, for ``matches``; None verifies now.
        verdict: Words to write beside the score, such as "same object".
        limits: What is refused as too large.

    Raises:
        ImageError: An image cannot be read.
        ModelError: The model cannot say what each region of an image adds to its vector.
        PartError: There is no explainer of that name.
        QueryError: The options do not go together, or a place is outside the image.
    """
    row = part("explainer", kind)
    _check(row, len(hits), point=point, region=region, concepts=concepts, matches=matches)
    explainer: Explainer = row.load()
    encoder = encoder or load_encoder()
    images = [_prepare(source, encoder, limits) for source in (query, *hits)]
    return explainer(
        View(
            encoder,
            images[0],
            tuple(images[1:]),
            point=point,
            region=region,
            concepts=concepts,
            matches=matches,
            verdict=verdict,
        )
    )


def _check(
    explainer: Part,
    hits: int,
    *,
    point: Point | None,
    region: Region | None,
    concepts: int,
    matches: Matches | None,
) -> None:
    """Refuse options that the explainer's row says it does not take."""
    kind, traits = explainer.name, explainer.traits
    if hits == 0 and "alone" not in traits:
        raise QueryError(f"the explanation {kind} compares images: name a hit beside the query")
    if hits != 1 and "one-hit" in traits:
        raise QueryError(f"the explanation {kind} shows one hit, not {hits}: name one hit")
    if (point is not None or region is not None) and "place" not in traits:
        raise QueryError(
            f"the explanation {kind} takes no point or region: leave it out, or choose similarity"
        )
    if point is not None and region is not None:
        raise QueryError("a point and a region are given: give one of them, not both")
    if not 1 <= concepts <= MOST_CONCEPTS:
        raise QueryError(f"{concepts} concepts cannot be shown: give 1 to {MOST_CONCEPTS}")
    if matches is not None and "matches" not in traits:
        raise QueryError(
            f"the explanation {kind} draws no matches: leave them out, or choose matches"
        )


def _prepare(source: Any, encoder: OnnxEncoder, limits: Limits) -> ExplainedImage:
    if callable(read := getattr(source, "read", None)):
        source = read_stream(read, limits)  # it is decoded twice
    name = ""
    if isinstance(source, str | os.PathLike):
        name = Path(os.fsdecode(source)).name
    # For the model as the gallery decodes it, so that the score is the search's.
    small = load(source, min_pixels=encoder.card.area, limits=limits)
    large = load(source, min_pixels=_SHOWN_PIXELS, limits=limits)
    return ExplainedImage(
        Shown(large.array, name), small.array, small.facts.width, small.facts.height
    )
