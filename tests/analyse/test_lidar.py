from __future__ import annotations

import math

import numpy as np
import pytest

from glocal.analyse import study_lidar
from glocal.errors import AnalysisError


def slow_rank(views, ridge):
    """By the definition: a loop over the views, and the symmetric root of a matrix."""
    n, q, d = views.shape
    between, within = np.zeros((d, d)), np.zeros((d, d))
    mean = views.reshape(-1, d).mean(axis=0)
    for image in views:
        own = image.mean(axis=0)
        between += np.outer(own - mean, own - mean) / n
        for view in image:
            within += np.outer(view - own, view - own) / (n * q)
    within += ridge * np.trace(within) / d * np.eye(d)
    values, axes = np.linalg.eigh(within)
    root = axes @ np.diag(values**-0.5) @ axes.T
    found = np.linalg.eigvalsh(root @ between @ root)[::-1]
    shares = found[found > 1e-12] / found.sum()
    return math.exp(-sum(share * math.log(share) for share in shares)), found


@pytest.mark.parametrize("shape", [(20, 5, 6), (4, 3, 9), (7, 2, 1)])
@pytest.mark.parametrize("ridge", [1e-4, 0.3])
def test_it_equals_the_definition(shape, ridge):
    views = np.random.default_rng(sum(shape)).normal(size=shape)
    views += np.random.default_rng(1).normal(size=(shape[0], 1, shape[2]))
    found = study_lidar(views, ridge=ridge)
    rank, values = slow_rank(views, ridge)
    assert found.rank == pytest.approx(rank, rel=1e-6)
    np.testing.assert_allclose(found.eigenvalues, values, atol=1e-6 * values[0])


def planted(seed=0, images=400, views=6, telling=5, width=20):
    """Images differ in five directions, views in all others, and there far more."""
    random = np.random.default_rng(seed)
    made = 0.1 * random.normal(size=(images, views, width))
    made[..., telling:] += 3 * random.normal(size=(images, views, width - telling))
    made[..., :telling] += random.normal(size=(images, 1, telling))
    return made


def test_directions_in_which_views_differ_count_for_nothing():
    views = planted()
    found = study_lidar(views)
    assert 4.5 < found.rank < 6
    assert found.plain_rank > 14
    assert found.eigenvalues[4] > 20 * found.eigenvalues[5]


def test_scale_shift_and_turns_change_nothing():
    views = planted()
    turned = np.linalg.qr(np.random.default_rng(3).normal(size=(20, 20)))[0]
    one, two = study_lidar(views), study_lidar(1000 * views @ turned + 7)
    assert two.rank == pytest.approx(one.rank, rel=1e-6)


def test_more_images_than_numbers_or_fewer():
    few = planted(images=4)
    found = study_lidar(few)
    assert 1 <= found.rank <= 3 + 1e-9
    assert found.eigenvalues.shape == (20,)


@pytest.mark.parametrize(
    ("views", "said"),
    [
        (np.zeros((5, 3)), "cannot be studied"),
        (np.zeros((1, 3, 2)), "cannot be studied"),
        (np.zeros((3, 1, 2)), "cannot be studied"),
        (np.zeros((3, 2, 0)), "cannot be studied"),
        (np.full((3, 2, 2), np.nan), "not finite"),
        (np.zeros((3, 2, 2)), "same vector"),
        (np.arange(6.0).reshape(3, 1, 2).repeat(2, axis=1), "same vector"),
    ],
)
def test_what_cannot_be_studied_is_said(views, said):
    with pytest.raises(AnalysisError, match=said):
        study_lidar(views)
    with pytest.raises(AnalysisError, match="ridge of 0"):
        study_lidar(planted(), ridge=0)
