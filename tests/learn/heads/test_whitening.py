from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.heads.whitening import Whitening  # noqa: E402


def mapped(whitening, x):
    return (x @ whitening.linear.weight.T + whitening.linear.bias).detach().double().numpy()


@pytest.fixture
def correlated():
    return torch.randn(200, 6) @ torch.randn(6, 6) + 3


def test_it_starts_as_a_rotation(correlated):
    whitening = Whitening(6, 6)
    turned = correlated @ whitening.linear.weight.T
    assert torch.allclose(turned @ turned.T, correlated @ correlated.T, rtol=1e-3, atol=1e-2)
    assert torch.allclose(whitening(correlated).norm(dim=1), torch.ones(200), atol=1e-5)


def test_whitened_components_have_equal_variance(correlated):
    whitening = Whitening(6, 4)
    whitening.fit_components(correlated)
    out = mapped(whitening, correlated)
    covariance = np.cov(out.T, bias=True)
    assert out.mean(axis=0) == pytest.approx(np.zeros(4), abs=1e-4)
    assert covariance / covariance[0, 0] == pytest.approx(np.eye(4), abs=1e-3)


@pytest.mark.parametrize("power", [0.0, 0.5])
def test_components_are_the_largest_and_whitened_by_the_given_power(correlated, power):
    whitening = Whitening(6, 3)
    whitening.fit_components(correlated, power=power)
    covariance = np.cov(mapped(whitening, correlated).T, bias=True)
    values = np.sort(np.linalg.eigvalsh(np.cov(correlated.double().numpy().T, bias=True)))[::-1]
    expected = (values[:3] / values[0]) ** (1 - power)
    assert np.diag(covariance) / covariance[0, 0] == pytest.approx(expected, rel=1e-2)


def slow_scatter(x, labels, *, same):
    total, pairs = np.zeros((x.shape[1], x.shape[1])), 0
    for i in range(len(x)):
        for j in range(len(x)):
            if i != j and (labels[i] == labels[j]) == same:
                difference = x[i] - x[j]
                total += np.outer(difference, difference)
                pairs += 1
    return total / pairs


def test_pairs_of_one_label_are_whitened_and_others_separated():
    labels = torch.arange(10).repeat_interleave(5)
    centres = torch.randn(10, 6) * torch.tensor([5.0, 4, 3, 2, 1, 0.1])
    noise = torch.randn(50, 6) @ (torch.randn(6, 6) * 0.5 + torch.eye(6))
    x = centres[labels] + noise
    whitening = Whitening(6, 6)
    whitening.fit_pairs(x, labels)
    out = mapped(whitening, x)
    alike = slow_scatter(out, labels, same=True)
    unlike = slow_scatter(out, labels, same=False)
    gain = alike[0, 0]
    # The shrinkage of a thousandth is what is left of correlation.
    assert alike / gain == pytest.approx(np.eye(6), abs=6e-2)
    assert unlike / gain - np.diag(np.diag(unlike / gain)) == pytest.approx(0, abs=2e-1)
    spread = np.diag(unlike) / np.diag(alike)
    assert list(spread) == sorted(spread, reverse=True)
    assert spread[0] > 5


def test_fits_do_not_depend_on_the_order(correlated):
    labels = torch.arange(40).repeat_interleave(5)
    shuffled = torch.randperm(200)
    once, again = Whitening(6, 3), Whitening(6, 3)
    for fit in ("fit_components", "fit_pairs"):
        extra = (labels,) if fit == "fit_pairs" else ()
        getattr(once, fit)(correlated, *extra)
        getattr(again, fit)(correlated[shuffled], *(e[shuffled] for e in extra))
        assert torch.allclose(once.linear.weight, again.linear.weight, atol=1e-4)


def test_vectors_that_cannot_be_fitted_are_refused(correlated):
    with pytest.raises(LearnError, match=r"\(200, 6\) cannot be fitted to 3 components of 5"):
        Whitening(5, 3).fit_components(correlated)
    with pytest.raises(LearnError, match="keep at most 6"):
        Whitening(6, 7).fit_components(correlated)
    with pytest.raises(LearnError, match="of one label and of different labels"):
        Whitening(6, 3).fit_pairs(correlated, torch.arange(200))
    with pytest.raises(LearnError, match="of one label and of different labels"):
        Whitening(6, 3).fit_pairs(correlated, torch.zeros(200, dtype=torch.long))


def test_constant_features_give_finite_components():
    x = torch.randn(50, 6)
    x[:, 2] = 1.0
    for fit in ("fit_components", "fit_pairs"):
        whitening = Whitening(6, 6)
        extra = (torch.arange(10).repeat(5),) if fit == "fit_pairs" else ()
        getattr(whitening, fit)(x, *extra)
        assert whitening(x).isfinite().all()
