"""The pages of glocal's own explainers: similarity, places, matches, regions, concepts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glocal.explain.color_scales import CONCEPT_COLORS, MARK, PAPER, Color, along_colors
from glocal.explain.figure import Figure, Point, Ring, Stroke
from glocal.explain.heat import (
    concepts_heat,
    signed_bar,
    signed_heat,
    strength_bar,
    strength_heat,
)
from glocal.explain.matches import Matches, outline
from glocal.explain.page import Box, Page, Panel, at
from glocal.explain.region_pairs import RegionPair
from glocal.explain.similarity import Similarity

_BAR = (512, 24)  # width and height of a scale in pixels


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """An image to be shown.

    Attributes:
        array: ``(h, w, 3)`` uint8 RGB.
        name: Name of its file.
    """

    array: NDArray[np.uint8]
    name: str


def similarity_figure(
    query: Shown, hits: Sequence[Shown], similarities: Sequence[Similarity], verdict: str = ""
) -> Figure:
    """Heat maps of what each region adds to the score: a row of query and hit for each hit."""
    page = Page(_headline(similarities, verdict))
    page.note(
        "Yellow regions raise the score, blue regions lower it. All regions of a photo add up to "
        "exactly the score."
    )
    for hit, similarity in zip(hits, similarities, strict=True):
        sides = (
            (query, similarity.query_map, "Query"),
            (hit, similarity.hit_map, _hit(similarity)),
        )
        boxes = page.row(
            [
                Panel(
                    signed_heat(shown.array, grid),
                    heading,
                    shown.name,
                    f"{heading}: heat map of what each region adds to the score",
                )
                for shown, grid, heading in sides
            ]
        )
        page.scales(boxes, signed_bar(*_BAR), [_signed_ends(grid) for _, grid, _ in sides])
    return page.figure()


def place_figure(
    query: Shown,
    hits: Sequence[Shown],
    similarities: Sequence[Similarity],
    maps: Sequence[NDArray[np.float32]],
    marked: tuple[Point, ...],
    verdict: str = "",
) -> Figure:
    """A marked place of the query, and what in each hit matches it.

    Args:
        query: The query, on which the place is marked.
        hits: The hits.
        similarities: The similarity of the query and each hit.
        maps: For each hit, the result of `Similarity.map_for`.
        marked: One point, or the corners of a region, in fractions of the query.
        verdict: Words to write beside the score.
    """
    what = "point" if len(marked) == 1 else "region"
    page = Page(_headline(similarities, verdict))
    page.note(
        f"Left: a chosen {what} of the query. Right: the hit, yellow where it is like that "
        f"{what}, blue where it is unlike it. The ring is on the best match."
    )
    for hit, similarity, grid in zip(hits, similarities, maps, strict=True):
        boxes = page.row(
            [
                Panel(query.array, "Query", query.name, f"Query with a marked {what}"),
                Panel(
                    signed_heat(hit.array, grid),
                    _hit(similarity),
                    hit.name,
                    f"Hit: heat map of what matches the marked {what}",
                ),
            ]
        )
        _mark(page, boxes[0], marked, MARK)
        if grid.max() > 0:
            row, column = np.unravel_index(int(grid.argmax()), grid.shape)
            peak = (float(column) + 0.5) / grid.shape[1], (float(row) + 0.5) / grid.shape[0]
            _mark(page, boxes[1], (peak,), PAPER)
        page.scales(boxes[1:], signed_bar(*_BAR), [_signed_ends(grid)])
        page.note(f"This {what} adds {grid.sum():+.3f} to the score.")
    return page.figure()


def matches_figure(
    query: Shown, hit: Shown, matches: Matches, score: float, verdict: str = ""
) -> Figure:
    """Lines between verified points, and the outline of the query in the hit."""
    count, drawn = len(matches.query_points), matches.shown()
    page = Page(f"Similarity {score:.3f}, {count} verified points" + _after(verdict))
    corners = None if matches.homography is None else outline(matches.homography)
    page.note(_matches_note(count, len(drawn), outlined=corners is not None))
    first, second = page.row(
        [
            Panel(query.array, "Query", query.name, "Query with its matched points"),
            Panel(hit.array, "Hit", hit.name, "Hit with its matched points"),
        ]
    )
    unit = page.unit
    # Colours run through the scale from left to right of the query, so that lines can be followed.
    order = np.argsort(np.argsort(matches.query_points[drawn, 0]))
    colors = along_colors(order / max(len(drawn) - 1, 1))
    dots = []
    for number, color in zip(drawn, colors, strict=True):
        red, green, blue = (round(float(channel)) for channel in color)
        ends = [
            at(box, (float(points[number][0]), float(points[number][1])))
            for box, points in ((first, matches.query_points), (second, matches.hit_points))
        ]
        page.add(Stroke((ends[0], ends[1]), (red, green, blue), 0.2 * unit))
        dots += [Ring(end, 0.42 * unit, (red, green, blue), 0.2 * unit, True) for end in ends]
    page.add(*dots)  # above all lines
    if corners is not None:
        frame = tuple(at(second, (float(x), float(y))) for x, y in corners)
        page.add(Stroke(frame, PAPER, 0.4 * unit, closed=True))
    return page.figure()


def concepts_figure(images: Sequence[Shown], concepts: Sequence[NDArray[np.float32]]) -> Figure:
    """Concepts of a query and its hits, each in one colour throughout."""
    count = concepts[0].shape[2]
    page = Page(f"{count} concepts that these photos have in common")
    page.note("The same colour marks the same concept; a stronger colour means more of it.")
    page.keys([(CONCEPT_COLORS[k], f"Concept {k + 1}") for k in range(count)])
    columns = 2 if len(images) in (2, 4) else 3
    panels = []
    for number, (shown, grid) in enumerate(zip(images, concepts, strict=True)):
        heading = "Query" if number == 0 else f"Hit {number}"
        said = f"{heading}: coloured by its strongest concept"
        panels.append(Panel(concepts_heat(shown.array, grid), heading, shown.name, said))
    page.grid(panels, columns)
    return page.figure()


def regions_figure(
    query: Shown,
    hits: Sequence[Shown],
    pairs: Sequence[Sequence[RegionPair]],
    scores: Sequence[float],
    verdict: str = "",
) -> Figure:
    """Frames around the regions of query and hit that are most alike, a pair in one colour."""
    page = Page(f"Similarity {', '.join(f'{score:.3f}' for score in scores)}" + _after(verdict))
    page.note(
        "Frames of one colour: a region of the query, and the region of the hit that is like it."
    )
    for hit, found, score in zip(hits, pairs, scores, strict=True):
        boxes = page.row(
            [
                Panel(query.array, "Query", query.name, "Query with the regions that match"),
                Panel(hit.array, f"Hit, {score:.3f}", hit.name, "Hit with the regions that match"),
            ]
        )
        for pair, color in reversed([*zip(found, CONCEPT_COLORS, strict=False)]):
            for box, (x, y, width, height) in zip(
                boxes, (pair.query_box, pair.hit_box), strict=True
            ):
                corners = ((x, y), (x + width, y), (x + width, y + height), (x, y + height))
                frame = tuple(at(box, corner) for corner in corners)
                page.add(Stroke(frame, color, 0.4 * page.unit, closed=True))
        page.note("Similarities: " + ", ".join(f"{pair.similarity:.3f}" for pair in found))
    return page.figure()


def eigen_figure(images: Sequence[Shown], maps: Sequence[NDArray[np.float32]]) -> Figure:
    """What stands out in each image by itself: the image beside its map."""
    page = Page("What stands out to the model")
    page.note(
        "Eigen-CAM: how strongly each region points along the main direction of the photo's vector."
    )
    for shown, grid in zip(images, maps, strict=True):
        boxes = page.row(
            [
                Panel(shown.array, "Photo", shown.name, "The photo as it is"),
                Panel(strength_heat(shown.array, grid), "Eigen-CAM", "", "Heat map of the photo"),
            ]
        )
        page.scales(boxes[1:], strength_bar(*_BAR), ["none|most"])
    return page.figure()


def _headline(similarities: Sequence[Similarity], verdict: str) -> str:
    scores = ", ".join(f"{similarity.score:.3f}" for similarity in similarities)
    return f"Similarity {scores}" + _after(verdict)


def _after(verdict: str) -> str:
    return f": {verdict}" if verdict else ""


def _hit(similarity: Similarity) -> str:
    return f"Hit, {similarity.score:.3f}"


def _signed_ends(grid: NDArray[np.float32]) -> str:
    most = float(np.abs(grid).max())
    return f"-{most:.3f}|+{most:.3f} per cell"


def _matches_note(count: int, drawn: int, *, outlined: bool) -> str:
    said = [] if drawn == count else [f"{drawn} of {count} lines are drawn."]
    if outlined:
        said.append("The white outline is the frame of the query, found in the hit.")
    elif count:
        said.append("The points give no outline of the query in the hit.")
    else:
        said.append("No points were verified; the photos may still be similar.")
    return " ".join(said)


def _mark(page: Page, box: Box, marked: tuple[Point, ...], color: Color) -> None:
    places = tuple(at(box, point) for point in marked)
    unit = page.unit
    if len(places) == 1:
        page.add(Ring(places[0], 1.3 * unit, color, 0.4 * unit))
    else:
        page.add(Stroke(places, color, 0.4 * unit, closed=True))
