"""Growing classes against slow loops, and sessions against all at once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from glocal.errors import QueryError
from glocal.query.growing import LONGEST, GrowingClasses


def given(seed=0, count=40, dim=6, classes=4):
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, count - classes)])
    centres = 3 * random.normal(size=(classes, dim)) + 5
    return centres[labels] + random.normal(size=(count, dim)), labels


def slow_logits(rows, labels, asked, ridge, order):
    count, dim = rows.shape
    means = {c: rows[labels == c].mean(axis=0) for c in order}
    covariance = np.zeros((dim, dim))
    for row, label in zip(rows, labels, strict=True):
        covariance += np.outer(row - means[label], row - means[label]) / (count - 1)
    inverse = np.linalg.inv(covariance + ridge * np.trace(covariance) / dim * np.eye(dim))
    return np.array(
        [
            [
                x @ inverse @ means[c]
                + math.log((labels == c).mean())
                - means[c] @ inverse @ means[c] / 2
                for c in order
            ]
            for x in asked
        ]
    )


@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_it_equals_slow_loops(ridge):
    rows, labels = given()
    found = GrowingClasses(ridge=ridge)
    found.add(rows, labels)
    asked = given(seed=1)[0]
    assert found.classes == [0, 1, 2, 3]
    np.testing.assert_allclose(
        found.logits(asked), slow_logits(rows, labels, asked, ridge, found.classes), atol=1e-8
    )
    assert (found.predict(rows) == labels).mean() > 0.9


@pytest.mark.parametrize("cuts", [(10,), (1, 2, 3), (5, 20, 21, 39)])
def test_sessions_are_the_same_as_all_at_once(cuts):
    rows, labels = given(seed=3)
    order = np.argsort(labels, kind="stable")  # classes come one after the other
    rows, labels = rows[order], labels[order] * 7 - 3
    once, grown = GrowingClasses(), GrowingClasses()
    once.add(rows, labels)
    for part in np.split(np.arange(len(rows)), cuts):
        grown.add(rows[part], labels[part])
        assert set(grown.predict(rows[part])) <= set(grown.classes)
    assert grown.classes == once.classes
    np.testing.assert_allclose(grown.logits(rows), once.logits(rows), atol=1e-8)


def test_scale_changes_nothing_but_the_scale_of_the_space():
    rows, labels = given(seed=4)
    one, two = GrowingClasses(), GrowingClasses()
    one.add(rows, labels), two.add(rows * 1000, labels)
    np.testing.assert_allclose(one.logits(rows), two.logits(rows * 1000), atol=1e-6)


def test_one_image_of_each_class():
    rows = np.eye(3) * 4
    found = GrowingClasses()
    for label, row in enumerate(rows):
        found.add(row[None], [label])
    assert found.predict(rows).tolist() == [0, 1, 2]
    assert np.isfinite(found.logits(rows)).all()


def test_what_cannot_be_added_is_said_and_changes_nothing():
    with pytest.raises(QueryError, match="ridge has to be above 0"):
        GrowingClasses(ridge=0)
    found = GrowingClasses()
    with pytest.raises(QueryError, match="no class is known"):
        found.logits(np.zeros((1, 3)))
    rows, labels = given()
    found.add(rows, labels)
    before = found.logits(rows)
    for wrong, own, said in (
        (rows[:, :2], labels, "length 2"),
        (np.zeros((1, LONGEST + 1)), [9], f"length {LONGEST + 1}"),
        (rows, labels[:3], "do not fit each other"),
        (rows[:0], labels[:0], "do not fit each other"),
        (rows * np.inf, labels, "finite"),
        (rows * 1e200, labels, "squares are too large"),
        (rows, labels * 1.5, "whole numbers"),
    ):
        with pytest.raises(QueryError, match=said):
            found.add(wrong, own)
    with pytest.raises(QueryError, match="rows of length 6"):
        found.predict(rows[:, :2])
    np.testing.assert_array_equal(found.logits(rows), before)
    assert found.classes == [0, 1, 2, 3]


def test_a_file_goes_on_where_the_sums_were(tmp_path):
    rows, labels = given(seed=5)
    once, first = GrowingClasses(ridge=0.3), GrowingClasses(ridge=0.3)
    once.add(rows, labels)
    first.add(rows[:15], labels[:15])
    path = tmp_path / "products.npz"
    path.write_bytes(b"of another kind")
    first.save(path)
    assert [each.name for each in tmp_path.iterdir()] == ["products.npz"]
    again = GrowingClasses.load(path)
    again.add(rows[15:], labels[15:])
    np.testing.assert_allclose(again.logits(rows), once.logits(rows), atol=1e-8)
    GrowingClasses().save(path)
    empty = GrowingClasses.load(path)
    empty.add(rows, labels)
    assert empty.classes == once.classes


def test_a_file_of_another_kind_is_said(tmp_path, monkeypatch):
    path = tmp_path / "products.npz"
    rows, labels = given()
    whole = GrowingClasses()
    whole.add(rows, labels)
    whole.save(path)
    good = path.read_bytes()
    kept = dict(np.load(path))
    damaged = [b"", b"no archive", good[: len(good) // 2]]
    for name, value in (
        ("counts", kept["counts"][:2]),
        ("counts", 0 * kept["counts"]),
        ("classes", np.zeros(4, np.int64)),
        ("classes", np.array(["a", "b", "c", "d"])),
        ("sums", kept["sums"] * np.nan),
        ("products", kept["products"][:2]),
        ("products", np.array(1.0)),
        ("ridge", np.array(-1.0)),
        ("ridge", np.zeros(3)),
        ("sums", None),
    ):
        np.savez(path, **{n: v for n, v in (kept | {name: value}).items() if v is not None})
        damaged.append(path.read_bytes())
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(QueryError, match="damaged or holds no classes"):
            GrowingClasses.load(path)
    path.write_bytes(good)
    monkeypatch.setattr("glocal.query.growing.MOST_BYTES", 100)
    with pytest.raises(QueryError, match="may have 100"):
        GrowingClasses.load(path)
    with pytest.raises(QueryError, match="cannot be read"):
        GrowingClasses.load(tmp_path / "none.npz")
    classes = GrowingClasses()
    classes.add([[1.0, 0.0], [0.0, 1.0]], [1, 2])
    with pytest.raises(QueryError, match="cannot be written"):
        classes.save(tmp_path / "no folder" / "classes.npz")
