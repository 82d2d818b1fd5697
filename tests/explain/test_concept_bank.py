"""Concepts that were planted, and scores against projected gradients."""

from __future__ import annotations

import numpy as np
import pytest

from glocal.errors import QueryError
from glocal.explain.concept_bank import ConceptBank, find_concepts


def planted(seed: int = 0, signed: bool = False):
    """Images of three concepts that have no number in common, few of them in a cell."""
    random = np.random.default_rng(seed)
    concepts = np.zeros((3, 12))
    for k in range(3):
        concepts[k, 4 * k : 4 * k + 4] = random.uniform(0.5, 1, 4)
        if signed:
            concepts[k, 4 * k : 4 * k + 4] *= random.choice([-1, 1], 4)
    scores = random.uniform(0, 1, (10, 3, 4, 3)) * (random.uniform(size=(10, 3, 4, 3)) < 0.5)
    return concepts, scores, scores @ concepts


@pytest.mark.parametrize("signed", [False, True])
def test_planted_concepts_are_found_and_rebuild_images(signed: bool) -> None:
    concepts, _, maps = planted(signed=signed)
    bank = find_concepts(list(maps), 3)
    unit = concepts / np.linalg.norm(concepts, axis=1, keepdims=True)
    likeness = bank.concepts @ unit.T
    assert np.sort(likeness.max(axis=1)).min() > 0.99
    assert len(set(likeness.argmax(axis=1))) == 3
    for cells in maps:
        np.testing.assert_allclose(bank.rebuilt(cells), cells, atol=0.02)
    strength = np.square(np.stack([bank.scores(cells) for cells in maps])).sum(axis=(0, 1, 2))
    assert (np.diff(strength) <= 1e-3 * strength[0]).all()


def test_scores_are_the_best_of_at_least_0() -> None:
    random = np.random.default_rng(1)
    halves = random.uniform(size=(4, 12))
    bank = ConceptBank(halves[:, :6] - halves[:, 6:], halves)
    cells = random.normal(size=(2, 3, 6))
    found = bank.scores(cells).reshape(-1, 4).astype(np.float64)
    rows = cells.reshape(-1, 6)
    split = np.concatenate([np.maximum(rows, 0), np.maximum(-rows, 0)], axis=1)
    slow = np.zeros((6, 4))
    for _ in range(20_000):  # projected gradients
        slow = np.maximum(slow - 0.02 * (slow @ halves - split) @ halves.T, 0)
    np.testing.assert_allclose(found, slow, atol=1e-4)
    assert (found >= 0).all()


def test_examples_show_their_concept_most() -> None:
    _, _, maps = planted(seed=2)
    bank = find_concepts(list(maps), 3)
    for k, patches in enumerate(bank.examples(list(maps), 4)):
        assert 1 <= len(patches) <= 4
        assert len({patch.image for patch in patches}) == len(patches)
        assert [p.score for p in patches] == sorted((p.score for p in patches), reverse=True)
        best = max(float(bank.scores(cells)[..., k].max()) for cells in maps)
        assert patches[0].score == pytest.approx(best)
        x, y, width, height = patches[0].box
        row, column = round(y / height), round(x / width)
        scores = bank.scores(maps[patches[0].image])
        assert scores[row, column, k] == pytest.approx(best)


def test_cells_are_drawn_by_the_seed_and_shapes_may_differ() -> None:
    _, _, maps = planted(seed=3)
    one = find_concepts(list(maps), 3, most_cells=40, seed=1)
    two = find_concepts(list(maps), 3, most_cells=40, seed=1)
    np.testing.assert_array_equal(one.concepts, two.concepts)
    every = maps.reshape(-1, 12)
    drawn = np.sort(np.random.default_rng(1).choice(len(every), 40, replace=False))
    few = find_concepts([every[drawn][None]], 3)
    np.testing.assert_allclose(one.concepts, few.concepts, atol=1e-9)
    mixed = find_concepts([maps[0], maps[1][:2]], 2)
    assert mixed.scores(maps[2][:1]).shape == (1, 4, 2)


def test_nothing_is_made_of_nothing() -> None:
    bank = find_concepts([np.zeros((2, 2, 5))], 2)
    assert not bank.rebuilt(np.zeros((2, 2, 5))).any()
    assert np.isfinite(bank.scores(np.ones((2, 2, 5)))).all()


def test_what_cannot_be_found_is_said() -> None:
    _, _, maps = planted()
    for wrong, settings, said in (
        ([], {}, "at least one of each"),
        (maps, {"count": 0}, "at least one of each"),
        (maps[:1], {"count": 13}, "12 cells have no 13"),
        ([maps[0], maps[1][..., :3]], {}, "length 12"),
        ([maps[0] * np.nan], {}, "not finite"),
        ([np.zeros((3, 12))], {}, "length 12"),
    ):
        with pytest.raises(QueryError, match=said):
            find_concepts(list(wrong), **settings)
    bank = find_concepts(list(maps), 3)
    with pytest.raises(QueryError, match="length 12"):
        bank.scores(maps[0][..., :4])
    with pytest.raises(QueryError, match="0 patches"):
        bank.examples(list(maps), 0)
