"""The choice of regions against slow loops, on networks and images made for it."""

from __future__ import annotations

import numpy as np
import pytest

from glocal.errors import QueryError
from glocal.explain.fewest_regions import (
    MOST_REGIONS,
    choose_regions,
    covering_curves,
    grid_regions,
    mean_colour,
)

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
REGIONS, ROWS, COLUMNS = grid_regions(12, 16, 12)


def network(seed: int, width: int = 6):
    weights = np.random.default_rng(seed).normal(size=(IMAGE.size, width)) / 100
    lift = np.random.default_rng(seed + 1).normal(size=(width, width))

    def encode(images):
        assert len(images) <= 16
        hidden = np.maximum((images.reshape(len(images), -1) / 255 - 0.5) @ weights, 0)
        return hidden @ lift + 0.01

    return encode


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


def only(regions):
    made = np.array(mean_colour(IMAGE))
    for row in range(12):
        for column in range(16):
            if REGIONS[row, column] in regions:
                made[row, column] = IMAGE[row, column]
    return made


def slow_choice(encode, target, weight):
    count, chosen, kept, removed = REGIONS.max() + 1, [], [], []
    while len(chosen) < count:
        best = None
        for one in range(count):
            if one in chosen:
                continue
            members = [*chosen, one]
            others = [each for each in range(count) if each not in members]
            with_it = cosine(encode(only(members)[None])[0], target)
            without = cosine(encode(only(others)[None])[0], target)
            value = with_it + 1 - without
            for i in members:
                apart = [
                    1 - cosine(encode(only([i])[None])[0], encode(only([j])[None])[0])
                    for j in members
                    if j != i
                ]
                value += weight * min(apart, default=0.0)
            if best is None or value > best[0] + 1e-12:
                best = value, one, with_it, without
        chosen.append(best[1]), kept.append(best[2]), removed.append(best[3])
    return chosen, kept, removed


@pytest.mark.parametrize("weight", [0.0, 0.4])
@pytest.mark.parametrize("seed", [2, 5])
def test_it_equals_slow_loops(seed: int, weight: float) -> None:
    encode, target = network(seed), np.random.default_rng(seed).normal(size=6)
    found = choose_regions(IMAGE, REGIONS, target, encode, effectiveness=weight)
    chosen, kept, removed = slow_choice(encode, target, weight)
    assert list(found.regions) == chosen
    np.testing.assert_allclose(found.kept, kept, atol=1e-9)
    np.testing.assert_allclose(found.removed, removed, atol=1e-9)
    assert found.score == pytest.approx(cosine(encode(IMAGE[None])[0], target))
    assert found.kept[-1] == pytest.approx(found.score)


def test_the_regions_that_the_target_is_about_come_first() -> None:
    def encode(images):  # each region's difference from the cover, one number for each
        apart = np.abs(images.astype(float) - mean_colour(IMAGE)).sum(axis=3)
        return apart.reshape(len(images), -1) @ np.eye(12)[REGIONS.ravel()] + 1e-3

    target = np.zeros(12)
    target[[3, 7]] = encode(IMAGE[None])[0, [3, 7]]
    found = choose_regions(IMAGE, REGIONS, target, encode, most=2)
    assert set(found.regions) == {3, 7}
    assert found.kept[1] > found.score + 0.3  # alone they are more like it than the whole
    assert found.kept[1] == pytest.approx(1, abs=1e-3)
    assert found.removed[1] < 0.05


def test_it_stops_where_it_is_told_to() -> None:
    encode, target = network(2), np.random.default_rng(2).normal(size=6)
    every = choose_regions(IMAGE, REGIONS, target, encode)
    few = choose_regions(IMAGE, REGIONS, target, encode, most=3)
    assert few.regions == every.regions[:3]
    part = choose_regions(IMAGE, REGIONS, target, encode, enough=0.8)
    assert part.regions == every.regions[: len(part.regions)]
    reached = [kept >= 0.8 * every.score for kept in every.kept]
    assert len(part.regions) == reached.index(True) + 1


def test_curves_begin_and_end_with_nothing_and_everything() -> None:
    encode, target = network(3), np.random.default_rng(3).normal(size=6)
    found = choose_regions(IMAGE, REGIONS, target, encode)
    inserted, deleted = covering_curves(IMAGE, REGIONS, target, encode, found.regions)
    np.testing.assert_allclose(inserted[1:], found.kept, atol=1e-9)
    np.testing.assert_allclose(deleted[1:], found.removed, atol=1e-9)
    assert inserted[0] == pytest.approx(deleted[-1]) == pytest.approx(found.removed[-1])
    black = np.zeros_like(IMAGE)
    other = covering_curves(IMAGE, REGIONS, target, encode, found.regions, fill=black)[0]
    assert other[0] == pytest.approx(cosine(encode(black[None])[0], target))
    assert other[-1] == pytest.approx(found.score)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 1), (224, 320), (7, 3), (320, 96)])
def test_a_grid_numbers_each_pixel(size: tuple[int, int]) -> None:
    regions, rows, columns = grid_regions(*size)
    assert regions.shape == size
    assert np.array_equal(np.unique(regions), np.arange(rows * columns))
    assert rows * columns <= 40
    if min(size) > 90:
        assert rows * columns > 15


def test_what_cannot_be_explained_is_said() -> None:
    encode, target = network(2), np.ones(6)

    def choose(image=IMAGE, regions=REGIONS, target=target, encode=encode, **settings):
        return choose_regions(image, regions, target, encode, **settings)

    with pytest.raises(QueryError, match="an image is"):
        choose(image=IMAGE.astype(float))
    with pytest.raises(QueryError, match="none left out"):
        choose(regions=REGIONS * 2)
    with pytest.raises(QueryError, match="do not fit"):
        choose(regions=REGIONS[:5])
    large = np.zeros((30, 30, 3), np.uint8)
    with pytest.raises(QueryError, match=f"at most {MOST_REGIONS}"):
        choose(image=large, regions=np.arange(900).reshape(30, 30))
    with pytest.raises(QueryError, match="give finite"):
        choose(target=np.full(6, np.nan))
    with pytest.raises(QueryError, match="were encoded as"):
        choose(encode=lambda images: np.full((len(images), 6), np.nan))
    with pytest.raises(QueryError, match="0 regions"):
        choose(most=0)
    for wrong in ({"enough": 0.0}, {"enough": 1.1}, {"effectiveness": -1.0}):
        with pytest.raises(QueryError, match="out of range"):
            choose(**wrong)
    with pytest.raises(QueryError, match="each region once"):
        covering_curves(IMAGE, REGIONS, target, encode, [1, 1])
    with pytest.raises(QueryError, match="has no"):
        grid_regions(0, 5)
