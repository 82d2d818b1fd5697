from __future__ import annotations

import numpy as np
import pytest

from glocal.errors import QueryError
from glocal.query.gda import TEXT_SCALE, GaussianClasses


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def given(seed=0, count=30, dim=6, classes=3):
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, count - classes)])
    centres = random.normal(size=(classes, dim))
    return unit(centres[labels] + 0.5 * random.normal(size=(count, dim))), labels, unit(centres)


def slow_logits(rows, labels, names, asked, weight):
    count, dim = rows.shape
    classes = range(labels.max() + 1)
    means = [rows[labels == c].mean(axis=0) for c in classes]
    covariance = np.zeros((dim, dim))
    for row, label in zip(rows, labels, strict=True):
        covariance += np.outer(row - means[label], row - means[label]) / (count - 1)
    precision = dim * np.linalg.inv((count - 1) * covariance + np.trace(covariance) * np.eye(dim))
    found = np.zeros((len(asked), len(means)))
    for number, x in enumerate(asked):
        for c in classes:
            prior = (labels == c).mean()
            bias = np.log(prior) - means[c] @ precision @ means[c] / 2
            found[number, c] = weight * (x @ precision @ means[c] + bias)
            if names is not None:
                found[number, c] += TEXT_SCALE * x @ names[c]
    return found


@pytest.mark.parametrize("weight", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("named", [True, False])
def test_logits_are_those_of_the_formula(weight, named):
    rows, labels, names = given()
    names = names if named else None
    asked = given(1)[0]
    found = GaussianClasses(weight=weight).fit(rows, labels, names).logits(asked)
    assert np.allclose(found, slow_logits(rows, labels, names, asked, weight))


def test_classes_of_one_covariance_are_told_apart_along_it():
    # The means differ in the direction that varies least, which cosines do not see.
    random = np.random.default_rng(3)
    labels = np.repeat([0, 1], 100)
    rows = random.normal(size=(200, 4)) * [5, 1, 1, 0.1]
    rows[:, 3] += np.where(labels, 0.5, -0.5)
    rows[:, 0] += 20
    found = GaussianClasses().fit(unit(rows), labels).logits(unit(rows)).argmax(axis=1)
    assert (found == labels).mean() > 0.95


def test_one_image_a_class_is_compared_with_by_distance():
    rows = np.eye(3)
    found = GaussianClasses().fit(rows, np.arange(3)).logits(rows)
    assert found.argmax(axis=1).tolist() == [0, 1, 2]


def test_what_does_not_fit_is_named():
    rows, labels, names = given()
    with pytest.raises(QueryError, match="at least 0, not -1"):
        GaussianClasses(weight=-1)
    with pytest.raises(QueryError, match="call fit"):
        GaussianClasses().logits(rows)
    with pytest.raises(QueryError, match="do not fit each other"):
        GaussianClasses().fit(rows, labels[:-1])
    with pytest.raises(QueryError, match="class 1 has no image"):
        GaussianClasses().fit(rows, np.where(labels == 1, 0, labels))
    with pytest.raises(QueryError, match="one vector a class"):
        GaussianClasses().fit(rows, labels, names[:2])
    with pytest.raises(QueryError, match="finite"):
        GaussianClasses().fit(rows * np.nan, labels)
    with pytest.raises(QueryError, match="rows of length 6"):
        GaussianClasses().fit(rows, labels).logits(rows[:, :3])


def test_a_label_far_beyond_the_images_is_refused_before_it_is_counted() -> None:
    with pytest.raises(QueryError, match="the largest label is 1000000000000"):
        GaussianClasses().fit(np.eye(3), np.array([0, 1, 10**12]))
