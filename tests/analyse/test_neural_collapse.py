from __future__ import annotations

import numpy as np
import pytest

from glocal.analyse import predicted_lengths, study_collapse
from glocal.errors import AnalysisError


def slow_within(rows, labels):
    """The definition, with whole covariance matrices and a pseudo-inverse."""
    names = sorted(set(labels))
    means = [rows[[label == name for label in labels]].mean(axis=0) for name in names]
    middle = sum(means) / len(means)
    inside = sum(
        np.outer(row - means[names.index(label)], row - means[names.index(label)])
        for row, label in zip(rows, labels, strict=True)
    ) / len(rows)
    between = sum(np.outer(mean - middle, mean - middle) for mean in means) / len(means)
    return float(np.trace(inside @ np.linalg.pinv(between, rcond=1e-9)) / len(names))


def test_what_is_measured_equals_the_definition():
    random = np.random.default_rng(5)
    labels = np.array(list("abc"))[random.integers(0, 3, 40)]
    rows = random.normal(size=(40, 6)) + (labels == "b")[:, None]
    found = study_collapse(rows, labels)
    assert found.within == pytest.approx(slow_within(rows, list(labels)))
    assert found.labels.tolist() == ["a", "b", "c"]
    assert found.counts.tolist() == [int((labels == name).sum()) for name in "abc"]
    mean = rows[labels == "b"].mean(axis=0)
    assert found.lengths[1] == pytest.approx(np.linalg.norm(mean))


def test_collapsed_classes_of_either_geometry_are_known():
    corners = np.repeat(np.diag([1.0, 2.0, 3.0]), 4, axis=0)
    labels = np.repeat([7, 8, 9], 4)
    orthogonal = study_collapse(corners, labels)
    assert orthogonal.within == 0
    assert orthogonal.lengths.tolist() == [1, 2, 3]
    assert orthogonal.from_orthogonal == 0
    assert orthogonal.from_simplex > 0.1

    regular = np.repeat(np.eye(3) - 1 / 3, 4, axis=0)
    simplex = study_collapse(regular, labels)
    assert simplex.from_simplex == pytest.approx(0, abs=1e-12)
    assert simplex.from_orthogonal == pytest.approx(0.5)

    spread = np.random.default_rng(0).normal(0, 0.1, corners.shape)
    assert 0 < study_collapse(corners + spread, labels).within < 0.1


def test_classes_with_one_mean_are_not_apart_at_all():
    rows = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert study_collapse(rows, [0, 0, 1, 1]).within == np.inf


def test_one_linear_layer_has_the_closed_form():
    counts, weight, feature = np.array([10, 40]), 1e-3, 4e-3
    scale = (weight * feature * counts) ** -0.5
    product = 1 - 50 / counts / scale
    wanted = np.sqrt(product * np.sqrt(weight / (feature * counts)))
    found = predicted_lengths(counts, weight_decays=[weight], feature_decay=feature)
    assert found == pytest.approx(wanted)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_the_prediction_is_the_lowest_of_a_fine_search(layers):
    decays, feature, count, total = [2e-3, 3e-3, 1e-3][:layers], 2e-3, 12, 30
    x = np.linspace(0, 0.1, 200_001)
    scale = (feature * count * np.prod(decays)) ** -0.5
    power = (layers + 1) / 2
    loss = count / (2 * total) * (scale * x**power - 1) ** 2 + power * x
    wanted = np.sqrt(x[loss.argmin()] / (feature * count))
    found = predicted_lengths([12, 18], weight_decays=decays, feature_decay=feature)
    assert found[0] == pytest.approx(wanted, rel=1e-3)


def test_a_class_of_too_few_images_is_lost():
    found = predicted_lengths([1, 99], weight_decays=[0.02], feature_decay=0.02)
    assert found[0] == 0
    assert found[1] > 0


def test_what_does_not_fit_is_refused():
    with pytest.raises(AnalysisError, match=r"there are 1; give vectors of two labels"):
        study_collapse(np.ones((3, 2)), [0, 0, 0])
    with pytest.raises(AnalysisError, match=r"labels \(2,\) do not fit"):
        study_collapse(np.ones((3, 2)), [0, 1])
    with pytest.raises(AnalysisError, match="finite"):
        study_collapse([[np.nan], [1.0]], [0, 1])
    with pytest.raises(AnalysisError, match="counts of at least 1"):
        predicted_lengths([0, 3], weight_decays=[0.1], feature_decay=0.1)
    with pytest.raises(AnalysisError, match="decays above 0"):
        predicted_lengths([2, 3], weight_decays=[0.0], feature_decay=0.1)
