from __future__ import annotations

import math

import numpy as np
import pytest

from glocal.analyse import extract_kernels, filter_shift, study_filters
from glocal.errors import AnalysisError


def noise(seed, out=40, into=3):
    return np.random.default_rng(seed).normal(size=(out, into, 3, 3))


def slow_shares(kernels):
    rows = np.array([k.ravel() / np.abs(k).max() for k in kernels])
    values = np.linalg.eigvalsh(np.cov(rows.T, bias=True))[::-1]
    return values / values.sum()


def test_3x3_kernels_are_taken_and_others_left_out():
    found = extract_kernels({"a": noise(0, 2, 3), "b": np.ones((2, 3, 5, 5)), "c": np.ones(3)})
    assert list(found) == ["a"]
    assert (found["a"][4] == noise(0, 2, 3)[1, 1]).all()


def test_shares_coefficients_and_entropy_equal_slow_ones():
    weights = {"a": noise(1) * np.linspace(1, 9, 9).reshape(3, 3), "b": noise(2)}
    found = study_filters(weights)
    rows = np.concatenate([each.reshape(-1, 3, 3) for each in weights.values()])
    assert found.shares == pytest.approx(slow_shares(rows), abs=1e-9)
    scaled = np.array([k.ravel() / np.abs(k).max() for k in rows])
    rebuilt = found.coefficients @ found.shapes.reshape(9, 9) + scaled.mean(axis=0)
    assert rebuilt == pytest.approx(scaled, abs=1e-9)
    for name, each in weights.items():
        shares = slow_shares(each.reshape(-1, 3, 3))
        wanted = -sum(share * math.log10(share) for share in shares)
        assert found.layers[name].entropy == pytest.approx(wanted, abs=1e-9)


def test_planted_shapes_are_the_principal_ones():
    random = np.random.default_rng(3)
    edge, dot = np.array([[1.0, 0, -1]] * 3), np.zeros((3, 3))
    dot[1, 1] = 1
    # Each kernel is an edge or a dot, in either sign.
    shapes, signs = random.integers(0, 2, 400), random.choice([-1, 1], 400)
    kernels = signs[:, None, None] * np.array([edge, dot])[shapes]
    found = study_filters({"a": kernels[:, None]})
    assert found.shares[:2].sum() == pytest.approx(1)
    assert abs((found.shapes[0] * edge).sum()) == pytest.approx(math.sqrt(6), abs=0.05)
    assert abs(found.shapes[1][1, 1]) == pytest.approx(1, abs=0.05)


def test_planted_degenerate_kernels_are_counted():
    random = np.random.default_rng(4)
    mixed = noise(5, 200, 1) * np.array([[9, 3, 1], [3, 1, 0.3], [1, 0.3, 0.1]])
    mixed[:30] *= 1e-4
    one_shape = random.normal(size=(100, 1, 1, 1)) * noise(6, 1, 1) + 1e-3 * noise(7, 100, 1)
    found = study_filters({"mixed": mixed, "one": one_shape, "random": noise(8, 100, 1)})
    mixed_layer, one, rest = found.layers.values()
    assert mixed_layer.sparse == pytest.approx(0.15)
    assert (mixed_layer.is_uniform, mixed_layer.is_random) == (False, False)
    assert (one.is_uniform, one.is_random) == (True, False)
    assert (rest.is_uniform, rest.is_random) == (False, True)
    assert found.degenerate == pytest.approx((30 + 100 + 100) / 400)


@pytest.mark.parametrize("count", [10, 60, 1000])
def test_nearly_all_random_layers_are_called_random(count):
    found = [study_filters({"a": noise(seed, count, 1)}).layers["a"] for seed in range(40)]
    assert np.mean([layer.is_random for layer in found]) > 0.9


def test_a_few_kernels_and_those_of_zeros_are_no_trouble():
    found = study_filters({"few": noise(9, 2, 1), "none": np.zeros((3, 1, 3, 3))})
    assert found.shapes.shape == (9, 3, 3)
    assert not found.layers["few"].is_random
    assert not found.layers["few"].is_uniform
    assert found.layers["none"].sparse == 1
    assert found.degenerate == pytest.approx(3 / 5)
    assert filter_shift({"a": np.zeros((1, 1, 3, 3))}, {"a": np.zeros((1, 1, 3, 3))}) == 0


def test_a_shift_is_none_between_like_networks_and_grows_with_what_differs():
    one, like = {"a": noise(10, 3000, 1)}, {"b": noise(11, 3000, 1)}
    mild, strong = ({"a": noise(12, 3000, 1) * np.array([1, 1, weight])} for weight in (0.7, 0.2))
    assert filter_shift(one, one) == 0
    assert filter_shift(one, mild) == pytest.approx(filter_shift(mild, one))
    shifts = [filter_shift(one, other) for other in (like, mild, strong)]
    assert shifts[0] < shifts[1] < shifts[2]
    scaled = {"a": 50 * one["a"]}
    assert filter_shift(one, scaled) == pytest.approx(0, abs=1e-9)


def test_what_does_not_fit_is_refused():
    for wrong in ({}, {"a": np.ones((3, 3))}):
        with pytest.raises(AnalysisError, match="is a 3x3 convolution"):
            study_filters(wrong)
    with pytest.raises(AnalysisError, match="a has weights that are not finite"):
        study_filters({"a": noise(0) * np.nan})
