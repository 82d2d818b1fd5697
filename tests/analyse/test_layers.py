from __future__ import annotations

import math

import numpy as np
import pytest

from glocal.analyse import study_layers
from glocal.errors import AnalysisError


def random_layers(seed, n=12, t=7, d=5, noise=0.3):
    random = np.random.default_rng(seed)
    images = random.normal(size=(n, t, d))
    return images, images + noise * random.normal(size=(n, t, d))


def slow_entropy(rows):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    values = np.linalg.svd(unit, compute_uv=False) ** 2
    values = values / values.sum()
    found = -sum(v * math.log(v) for v in values if v > 1e-12)
    return found / math.log(min(rows.shape))


def slow_curvature(tokens):
    angles = []
    for a, b, c in zip(tokens, tokens[1:], tokens[2:], strict=False):
        u, v = b - a, c - b
        angles.append(math.acos(u @ v / np.linalg.norm(u) / np.linalg.norm(v)))
    return np.mean(angles)


def slow_infonce(images, views, temperature):
    mean = images.mean(axis=0)
    found = 0.0
    for number, image in enumerate(images - mean):
        terms = [
            image @ view / np.linalg.norm(image) / np.linalg.norm(view) / temperature
            for view in views - mean
        ]
        found -= terms[number] - math.log(sum(math.exp(term) for term in terms))
    return found / len(images)


@pytest.mark.parametrize("shape", [(12, 7, 5), (4, 9, 16), (9, 3, 2)])
def test_it_equals_slow_loops(shape):
    images, views = random_layers(sum(shape), *shape)
    (found,) = study_layers({"one": images}, {"one": views}, temperature=0.2).layers
    assert found.entropy == pytest.approx(slow_entropy(images.mean(axis=1)), abs=1e-4)
    assert found.token_entropy == pytest.approx(
        np.mean([slow_entropy(each) for each in images]), abs=1e-4
    )
    assert found.curvature == pytest.approx(
        np.mean([slow_curvature(each) for each in images]), abs=1e-4
    )
    wanted = slow_infonce(images.mean(axis=1), views.mean(axis=1), 0.2)
    assert found.infonce == pytest.approx(wanted, abs=1e-4)
    assert found.mean_ap is None


def test_planted_layers_are_told_apart():
    random = np.random.default_rng(0)
    line = np.arange(6.0)[None, :, None] * np.ones((1, 1, 3)) + random.normal(size=(8, 1, 3))
    there_and_back = np.tile([[0.0, 0, 0], [1, 0, 0]], (3, 1))[None] + line[:, :1]
    even, copies = np.eye(8)[:, None], np.ones((8, 1, 8))
    layers = {"line": line, "back": there_and_back, "even": even, "copies": copies}
    found = {each.name: each for each in study_layers(layers, layers).layers}
    assert found["line"].curvature == pytest.approx(0, abs=1e-3)
    assert found["back"].curvature == pytest.approx(math.pi, abs=1e-3)
    assert math.isnan(found["even"].curvature)
    assert math.isnan(found["even"].token_entropy)
    assert found["even"].entropy == pytest.approx(1)
    assert found["copies"].entropy == pytest.approx(0, abs=1e-6)
    assert found["copies"].infonce == pytest.approx(math.log(8))
    assert found["even"].found == 1


def test_the_best_layer_is_the_surest_one_or_with_labels_the_most_precise():
    random = np.random.default_rng(1)
    labels = np.repeat([5, 9, 7], 8)
    classes = np.eye(3)[labels // 3 - 1] * 4  # 5, 9, 7 -> 0, 2, 1
    own = np.arange(24)[:, None] * np.eye(24)[:, :24]
    by_class = classes + 0.1 * random.normal(size=classes.shape)
    layers = {"itself": own, "class": by_class}
    views = {"itself": own, "class": classes + 0.1 * random.normal(size=classes.shape)}
    without = study_layers(layers, views)
    assert without.best == "itself"
    labelled = study_layers(layers, views, labels=labels)
    assert labelled.best == "class"
    assert labelled.layers[1].mean_ap == pytest.approx(1)
    assert [each.name for each in labelled.layers] == ["itself", "class"]


def test_vectors_are_layers_of_one_token():
    images, views = random_layers(2)
    tokens = study_layers({"a": images[:, :1]}, {"a": views[:, :1]})
    vectors = study_layers({"a": images[:, 0]}, {"a": views[:, 0]})
    assert tokens.layers[0].infonce == vectors.layers[0].infonce


def test_what_does_not_fit_is_refused():
    images, views = random_layers(3)
    for layers, others in (({}, {}), ({"a": images}, {"b": views})):
        with pytest.raises(AnalysisError, match="give both of the same layers"):
            study_layers(layers, others)
    with pytest.raises(AnalysisError, match="temperature of 0"):
        study_layers({"a": images}, {"a": views}, temperature=0)
    for wrong in (views[:-1], views[:, :, :-1]):
        with pytest.raises(AnalysisError, match="layer 'a' do not fit"):
            study_layers({"a": images}, {"a": wrong})
    with pytest.raises(AnalysisError, match="two images or more"):
        study_layers({"a": images[:1]}, {"a": views[:1]})
    with pytest.raises(AnalysisError, match="finite numbers"):
        study_layers({"a": images * np.nan}, {"a": views})
    with pytest.raises(AnalysisError, match="12 images and labels"):
        study_layers({"a": images}, {"a": views}, labels=[1, 2])
