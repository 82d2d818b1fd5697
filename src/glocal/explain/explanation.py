"""Say why images match: from image files to a page."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import OnnxEncoder, load_encoder
from glocal.errors import QueryError
from glocal.explain import figures
from glocal.explain.eigen_cam import eigen_cam
from glocal.explain.factorization import joint_concepts
from glocal.explain.figure import Figure, Point
from glocal.explain.figures import Shown
from glocal.explain.matches import Matches
from glocal.explain.similarity import decompose, point_weights, region_weights
from glocal.explain.verified import verified_matches
from glocal.images import Limits, load
from glocal.images.region import Region, pixel_box
from glocal.images.sources import read_stream

if TYPE_CHECKING:
    from glocal.images import ImageSource

Kind = Literal["similarity", "parts", "eigen", "matches"]
KINDS: tuple[Kind, ...] = get_args(Kind)
MOST_PARTS = 7  # there are as many colours that everyone tells apart

_SHOWN_PIXELS = 1_000_000
_LIMITS = Limits()


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """Why images match, in numbers and as a page.

    Attributes:
        kind: of explanation.
        scores: the similarity of the query and each hit, from -1 to 1.
        maps: what the page shows as heat, float32. Of ``similarity``: for each hit the query's map
            and the hit's, or, for a chosen point or region, what answers it in each hit. Of
            ``parts``: ``(h, w, parts)`` for each image. Of ``eigen``: one map for each image.
            Of ``matches``: none.
        figure: the page; save it as PNG or SVG.
    """

    kind: Kind
    scores: tuple[float, ...]
    maps: tuple[NDArray[np.float32], ...]
    figure: Figure

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page; see `Figure.save`."""
        self.figure.save(path)


@dataclass(frozen=True, slots=True, eq=False)
class _Prepared:
    """An image as it is shown, as the model sees it, and at what size a person names places."""

    shown: Shown
    encoded: NDArray[np.uint8]
    width: int
    height: int


def explain(
    query: ImageSource,
    *hits: ImageSource,
    kind: Kind = "similarity",
    encoder: OnnxEncoder | None = None,
    point: Point | None = None,
    region: Region | None = None,
    parts: int = 4,
    matches: Matches | None = None,
    verdict: str = "",
    limits: Limits = _LIMITS,
) -> Explanation:
    """Say why a query and its hits match.

    Args:
        query: a path, bytes, binary stream, PIL image or array.
        hits: likewise; ``eigen`` needs none, ``matches`` takes one.
        kind: ``similarity`` splits the score into regions of both images; ``parts`` finds what
            query and hits have in common; ``eigen`` shows what stands out in each by itself;
            ``matches`` draws verified points.
        encoder: the model that searched; None is the bundled one.
        point: of the query, X and Y: fractions if both are at most 1, else pixels. The hits light
            up where they answer it. Only for ``similarity``.
        region: of the query, X, Y, W, H, in place of a point.
        parts: how many to find, for ``parts``.
        matches: what geometry verified, for ``matches``; None verifies now.
        verdict: words that go with the score, such as "same object".
        limits: what is refused as too large.

    Raises:
        ImageError: an image cannot be read.
        ModelError: the model cannot say what the parts of an image gave to its vector.
        QueryError: things that do not go together, or a place outside the image.
    """
    _check(kind, len(hits), point=point, region=region, parts=parts, matches=matches)
    encoder = encoder or load_encoder()
    named = [_prepare(source, encoder, limits) for source in (query, *hits)]
    shown = [seen.shown for seen in named]
    if kind == "matches":
        first, second = (f.vector for f in encoder.encode([seen.encoded for seen in named]))
        score = min(float(first @ second), 1.0)
        if matches is None:
            images = named[0].encoded, named[1].encoded
            matches, evidence = verified_matches(*images, encoder, score)
            verdict = verdict or str(evidence.verdict)
        figure = figures.matches_figure(shown[0], shown[1], matches, score, verdict)
        return Explanation(kind, (score,), (), figure)
    grids = [encoder.contributions(seen.encoded) for seen in named]
    similarities = [decompose(grids[0], grid) for grid in grids[1:]]
    scores = tuple(similarity.score for similarity in similarities)
    maps: Sequence[NDArray[np.float32]]
    if kind == "parts":
        maps = joint_concepts(grids, parts)
        return Explanation(kind, scores, tuple(maps), figures.concepts_figure(shown, maps))
    if kind == "eigen":
        maps = [eigen_cam(grid) for grid in grids]
        return Explanation(kind, scores, tuple(maps), figures.eigen_figure(shown, maps))
    if point is None and region is None:
        maps = [grid for s in similarities for grid in (s.query_map, s.hit_map)]
        figure = figures.similarity_figure(shown[0], shown[1:], similarities, verdict)
        return Explanation(kind, scores, tuple(maps), figure)
    marked, weights = _chosen(named[0], grids[0].shape[:2], point, region)
    maps = [similarity.answer(weights) for similarity in similarities]
    figure = figures.answer_figure(shown[0], shown[1:], similarities, maps, marked, verdict)
    return Explanation(kind, scores, tuple(maps), figure)


def _check(
    kind: str,
    hits: int,
    *,
    point: Point | None,
    region: Region | None,
    parts: int,
    matches: Matches | None,
) -> None:
    if kind not in KINDS:
        raise QueryError(f"there is no explanation {kind!r}; there are {', '.join(KINDS)}")
    if hits == 0 and kind != "eigen":
        raise QueryError(f"to explain {kind}, name a hit beside the query")
    if (point is not None or region is not None) and kind != "similarity":
        raise QueryError(f"a point or a region is for kind similarity, not for {kind}")
    if point is not None and region is not None:
        raise QueryError("give a point or a region, not both")
    if not 1 <= parts <= MOST_PARTS:
        raise QueryError(f"there can be 1 to {MOST_PARTS} parts, not {parts}")
    if matches is not None and kind != "matches":
        raise QueryError(f"verified matches are for kind matches, not for {kind}")
    if kind == "matches" and hits != 1:
        raise QueryError(f"kind matches shows one hit, not {hits}")


def _prepare(source: Any, encoder: OnnxEncoder, limits: Limits) -> _Prepared:
    if callable(read := getattr(source, "read", None)):
        source = read_stream(read, limits)  # it is decoded twice
    name = ""
    if isinstance(source, str | os.PathLike):
        name = Path(os.fsdecode(source)).name
    # For the model as the gallery decodes it, so that the score is the search's.
    small = load(source, min_pixels=encoder.card.area, limits=limits)
    large = load(source, min_pixels=_SHOWN_PIXELS, limits=limits)
    return _Prepared(Shown(large.array, name), small.array, small.facts.width, small.facts.height)


def _chosen(
    query: _Prepared, shape: tuple[int, int], point: Point | None, region: Region | None
) -> tuple[tuple[Point, ...], NDArray[np.float32]]:
    """The corners of a chosen place in fractions, and which cells it is."""
    if point is not None:
        x, y = point
        if max(x, y) > 1:
            x, y = x / query.width, y / query.height
        if not (0 <= x <= 1 and 0 <= y <= 1):
            raise QueryError(
                f"point {point[0]:g},{point[1]:g} is not in the query of "
                f"{query.width} x {query.height} pixels"
            )
        return ((x, y),), point_weights((x, y), shape)
    box = pixel_box(region, query.width, query.height)
    left, right = box.left / query.width, box.right / query.width
    top, bottom = box.top / query.height, box.bottom / query.height
    corners = ((left, top), (right, top), (right, bottom), (left, bottom))
    return corners, region_weights((left, top, right - left, bottom - top), shape)
