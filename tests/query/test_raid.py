"""RAID: how two areas stand to each other, and relations that have a name."""

from __future__ import annotations

import math

import numpy as np
import pytest

from glocal.errors import QueryError
from glocal.query.areas import Area, overlap
from glocal.query.raid import Raid
from glocal.query.relations import RELATIONS, Relation, examples
from glocal.registry import load, part

SQUARE = (1, 1)
INSIDE, OUTSIDE = (0.4, 0.4, 0.2, 0.2), (0.1, 0.1, 0.8, 0.8)
OPPOSITE = {
    "inside": "around",
    "above": "below",
    "left-of": "right-of",
    "beside": "beside",
    "overlapping": "overlapping",
}


def described(first, second, size=SQUARE) -> np.ndarray:
    return Raid().describe(Area.of_box(first, size), Area.of_box(second, size))


def slowly(raid: Raid, source: Area, target: Area) -> np.ndarray:
    """The formula of the docstring, point by point."""
    found = np.zeros((1 + raid.sides, len(raid.rings), raid.directions))
    middle = source.points.mean(axis=0)
    for p in source.points:
        out = min(math.dist(p, middle) / (0.5 * source.scale), 1)
        places = [(0, 1 - out)]
        places += [(1 + at, out * w) for at, w in turned(p - middle, raid.sides)]
        for q in target.points:
            far = math.dist(p, q) / source.scale
            for ring, by_ring in ringed(far, raid.rings):
                ways = turned(q - p, raid.directions)
                if ring == 0:
                    ways = [(at, 1 / raid.directions) for at in range(raid.directions)]
                for place, by_place in places:
                    for way, by_way in ways:
                        found[place, ring, way] += by_place * by_ring * by_way
    return found.ravel() / len(source.points) / len(target.points)


def turned(step, count) -> list[tuple[int, float]]:
    turn = math.atan2(step[1], step[0]) / (2 * math.pi) * count
    low = math.floor(turn)
    return [(low % count, 1 - (turn - low)), ((low + 1) % count, turn - low)]


def ringed(far, rings) -> list[tuple[int, float]]:
    if far >= rings[-1]:
        return [(len(rings) - 1, 1.0)]
    low = int(np.searchsorted(rings, far, side="right")) - 1
    part = (far - rings[low]) / (rings[low + 1] - rings[low])
    return [(low, 1 - part), (low + 1, part)]


def test_it_is_the_formula_of_its_docstring():
    random = np.random.default_rng(0)
    for _ in range(3):
        source = Area(random.normal(size=(7, 2)) + 3, 1.3)
        target = Area(random.normal(size=(9, 2)) * 4, 2.0)
        raid = Raid(directions=6, rings=(0.5, 1.5, 3.0), sides=3)
        found = raid.describe(source, target)
        assert found.dtype == np.float32
        assert found.shape == (raid.dim,)
        assert np.allclose(found, slowly(raid, source, target), atol=1e-6)


def test_the_registry_has_it():
    assert load("query", "raid") is Raid
    assert part("query", "raid").name == Raid.name


def test_it_sums_to_one_and_is_like_itself():
    found = described(INSIDE, OUTSIDE)
    assert found.sum() == pytest.approx(1, abs=1e-5)
    assert Raid().similarities(found, found[None])[0] == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("size", [(1, 1), (640, 480)])
def test_moving_and_enlarging_both_changes_nothing(size):
    before = described((0.1, 0.1, 0.1, 0.2), (0.3, 0.2, 0.2, 0.1), size)
    after = described((0.3, 0.4, 0.2, 0.4), (0.7, 0.6, 0.4, 0.2), size)
    assert np.allclose(before, after, atol=1e-5)


def test_it_is_ordered():
    there = Raid().similarities(described(INSIDE, OUTSIDE), described(OUTSIDE, INSIDE)[None])[0]
    assert there < 0.6


def test_the_shape_of_an_image_counts():
    boxes = (0.4, 0.4, 0.2, 0.2), (0.4, 0.7, 0.2, 0.2)
    wide = described(*boxes, (1000, 100))
    assert Raid().similarities(described(*boxes), wide[None])[0] < 0.8


def test_a_mask_that_fills_its_box_is_that_box():
    mask, other = np.zeros((2, 100, 100), bool)
    mask[40:60, 40:60], other[10:90, 10:90] = True, True
    by_mask = Raid().describe(Area.of_mask(mask), Area.of_mask(other))
    assert Raid().similarities(described(INSIDE, OUTSIDE), by_mask[None])[0] > 0.9


def test_what_a_vessel_holds_is_not_what_stands_on_a_block_of_the_same_box():
    block = np.zeros((60, 60), bool)
    block[10:50, 10:50] = True
    vessel, held, lower = block.copy(), np.zeros_like(block), np.zeros_like(block)
    vessel[10:42, 18:42] = False
    held[20:30, 25:35], lower[21:31, 24:34] = True, True
    areas = [Area.of_mask(each) for each in (block, vessel, held, lower)]
    solid, hollow = (Raid().describe(areas[2], areas[at]) for at in (0, 1))
    again = Raid().describe(areas[3], areas[1])
    to_hollow, to_solid = Raid().similarities(again, np.stack([hollow, solid]))
    assert to_hollow > to_solid + 0.1


@pytest.mark.parametrize("name", RELATIONS)
def test_a_named_relation_is_told_from_the_others(name):
    pairs = examples(name)
    mine, others = Relation.named(name), set(RELATIONS) - {name}
    if name == "beside":
        others -= {"left-of", "right-of"}
    if name in ("left-of", "right-of"):
        others -= {"beside"}
    for pair in pairs[::9]:
        shifted = [(x + 0.02, y + 0.03, w * 1.1, h * 0.9) for x, y, w, h in pair]
        own = mine.similarity(*shifted, SQUARE)
        assert all(Relation.named(o).similarity(*shifted, SQUARE) < own for o in others)


@pytest.mark.parametrize(("name", "turned"), OPPOSITE.items())
def test_turned_round_a_relation_is_its_opposite(name, turned):
    first, second = examples(name)[3]
    assert Relation.named(turned).similarity(second, first, SQUARE) > 0.75


def test_boxes_that_are_drawn_are_the_relation():
    drawn = Relation.drawn(INSIDE, OUTSIDE, SQUARE)
    assert drawn.similarity(INSIDE, OUTSIDE, SQUARE) == pytest.approx(1, abs=1e-5)
    assert drawn.similarity(OUTSIDE, INSIDE, SQUARE) < 0.6


def test_overlap_is_intersection_over_union():
    assert overlap((0, 0, 1, 1), (0.5, 0, 1, 1)) == pytest.approx(1 / 3)
    assert overlap((0, 0, 0.2, 0.2), (0.5, 0.5, 0.2, 0.2)) == 0


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda: Area.of_box((0, 0, 0, 1), SQUARE), "has no extent"),
        (lambda: Area.of_box((0, 0, math.nan, 1), SQUARE), "has no extent"),
        (lambda: Area.of_mask(np.zeros((3, 3))), "has no area"),
        (lambda: Area.of_mask(np.ones(3)), "has no area"),
        (lambda: Raid(directions=2), "2 directions"),
        (lambda: Raid(rings=(1.0, 0.5)), "rise from above 0"),
        (lambda: Raid().similarities(np.zeros(3), np.zeros((2, 3))), "cannot be compared"),
        (lambda: Relation.named("beneath"), "no relation 'beneath'; choose one of: inside"),
        (lambda: Relation.drawn(INSIDE, INSIDE, SQUARE), "the two regions are the same"),
    ],
)
def test_what_is_no_relation_is_refused(wrong, said):
    with pytest.raises(QueryError, match=said):
        wrong()
