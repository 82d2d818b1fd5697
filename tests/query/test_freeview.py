"""Sketches: the map to photos, the switch, and drawings."""

from __future__ import annotations

import numpy as np
import pytest

from glocal.errors import QueryError
from glocal.query.drawings import line_drawing, turned_view, upright_ink
from glocal.query.freeview import FreeviewSketch
from glocal.registry import load

THINGS, VIEWS, DIM = 60, 4, 24


@pytest.fixture(scope="module")
def spaces():
    """Photos of things from views, and sketches that mean them otherwise."""
    random = np.random.default_rng(0)
    content = random.normal(size=(THINGS, 1, DIM)) * (np.arange(DIM) < DIM // 2)
    view = random.normal(size=(THINGS, VIEWS, DIM)) * (np.arange(DIM) >= DIM // 2)
    photos = content + view
    turn = np.linalg.qr(random.normal(size=(DIM, DIM)))[0]
    sketches = 0.5 * photos + 0.8 * photos @ turn + 0.3 + random.normal(size=photos.shape) * 0.2
    flat = [rows.reshape(-1, DIM).astype(np.float32) for rows in (sketches, photos)]
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in flat]
    return *unit, np.repeat(np.arange(THINGS), VIEWS)


@pytest.fixture(scope="module")
def fitted(spaces):
    sketches, photos, things = spaces
    return FreeviewSketch(ridge=0.3).fit(sketches[:160], photos[:160], things[:160])


def test_the_registry_has_it():
    assert load("query", "freeview") is FreeviewSketch


def test_queries_are_unit_rows_and_each_is_mapped_alone(spaces, fitted):
    rows = spaces[0][160:]
    for any_view in (False, True):
        found = fitted.queries(rows, any_view=any_view)
        assert (found.dtype, found.shape) == (np.float32, rows.shape)
        assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
        assert np.allclose(fitted.queries(rows[3:4], any_view=any_view)[0], found[3], atol=1e-5)


def test_a_sketch_finds_its_photo_among_those_it_was_not_fitted_to(spaces, fitted):
    sketches, photos, _ = (rows[160:] for rows in spaces)
    right = np.arange(len(photos))
    found = ((fitted.queries(sketches) @ photos.T).argmax(axis=1) == right).mean()
    assert found > ((sketches @ photos.T).argmax(axis=1) == right).mean() + 0.1
    assert found > 0.5  # chance is 1 / 80


def test_any_view_finds_the_other_photos_of_a_thing(spaces, fitted):
    sketches, photos, things = (rows[160:] for rows in spaces)

    def others(any_view):
        scores = fitted.queries(sketches, any_view=any_view) @ photos.T
        np.fill_diagonal(scores, -np.inf)
        return (things[scores.argmax(axis=1)] == things).mean()

    assert others(True) > others(False) + 0.1


def slow_map(sketches, photos, things, target, ridge):
    """The map of the docstring, by least squares with rows of zeros behind."""
    less = sketches - sketches.mean(axis=0)
    wanted = target - photos.mean(axis=0) - less

    def bend(rows):
        tall = np.concatenate([less[rows], np.sqrt(ridge) * np.eye(DIM)])
        return np.linalg.lstsq(tall, np.concatenate([wanted[rows], np.zeros((DIM, DIM))]))[0]

    missed = []
    for fold in range(5):
        aside = things % 5 == fold
        told = less[aside] + less[aside] @ bend(~aside)
        missed.append(photos[aside] - photos.mean(axis=0) - told)
    missed = np.concatenate(missed)
    return np.eye(DIM) + bend(np.ones(len(less), bool)), missed.T @ missed


def test_each_mode_is_what_its_docstring_says(spaces, fitted):
    sketches, photos, things = (rows[:160].astype(np.float64) for rows in spaces)
    means = np.stack([photos[things == thing].mean(axis=0) for thing in things])
    for any_view, target, more in ((False, photos, 8), (True, means, 10)):
        told, spread = slow_map(sketches, photos, things, target, 0.3)
        spread += more * np.linalg.eigvalsh(spread).mean() * np.eye(DIM)
        slow = (sketches[:5] - sketches.mean(axis=0)) @ told @ np.linalg.inv(spread)
        slow /= np.linalg.norm(slow, axis=1, keepdims=True)
        assert np.allclose(fitted.queries(sketches[:5], any_view=any_view), slow, atol=1e-4)


def test_a_direction_of_which_sketches_say_little_counts_little():
    random = np.random.default_rng(1)
    photos = random.normal(size=(400, DIM))
    sketches = photos.copy()
    sketches[:, 0] = random.normal(size=400)
    made = FreeviewSketch().fit(sketches, photos, np.repeat(np.arange(100), 4))
    query = made.queries(np.ones((1, DIM)))[0]
    assert abs(query[0]) < 0.2 * query[1:].min()


def test_its_arrays_are_all_of_its_state(spaces, fitted):
    again = FreeviewSketch().restore(fitted.arrays())
    rows = spaces[0][:7]
    assert np.array_equal(again.queries(rows), fitted.queries(rows))
    with pytest.raises(QueryError, match="lacks 'to_view'"):
        FreeviewSketch().restore({"mean": np.zeros((1, 3))})
    with pytest.raises(QueryError, match="do not fit"):
        FreeviewSketch().restore({**fitted.arrays(), "to_view": np.eye(3)})


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda s, p, t: FreeviewSketch(ridge=0), "the ridges are 0 and 0.3"),
        (lambda s, p, t: FreeviewSketch().fit(s, p[:-1], t), "do not fit together"),
        (lambda s, p, t: FreeviewSketch().fit(s[:4], p[:4], t[:4]), "too few to learn from"),
        (lambda s, p, t: FreeviewSketch().fit(s, p, np.arange(len(s))), "several views"),
        (lambda s, p, t: FreeviewSketch().queries(s), "fit it first"),
    ],
)
def test_what_cannot_be_learnt_or_mapped_is_refused(spaces, wrong, said):
    with pytest.raises(QueryError, match=said):
        wrong(*spaces)


def test_lines_are_where_the_photo_changes():
    photo = np.full((200, 300, 3), 230, np.uint8)
    photo[60:140, 80:220] = 40
    lines = line_drawing(photo)
    assert lines.shape == (213, 320, 3)
    dark = lines[..., 0] < 128
    assert 0.005 < dark.mean() < 0.1
    assert not dark[100:112, 140:180].any()  # inside
    assert not dark[:40].any()
    assert dark[58:72, 150:160].any()


def test_a_drawing_is_brought_to_dark_lines_that_fill_the_paper():
    paper = np.full((400, 300, 3), 255, np.uint8)
    paper[100:200, 50:54] = 0
    found = upright_ink(paper)
    assert found.shape == (100 + 16, 4 + 16, 3)
    assert np.array_equal(found, upright_ink(255 - paper))
    with pytest.raises(QueryError, match="the sketch is empty"):
        upright_ink(np.full((9, 9, 3), 255, np.uint8))


def test_a_turned_view_shows_the_same_from_elsewhere():
    photo = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
    turned = turned_view(photo, np.random.default_rng(1))
    assert turned.shape == photo.shape
    assert not np.array_equal(turned, photo)
    assert np.array_equal(turned, turned_view(photo, np.random.default_rng(1)))
