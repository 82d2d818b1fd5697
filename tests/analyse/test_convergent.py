from __future__ import annotations

import itertools

import numpy as np
import pytest

from glocal.analyse import study_units
from glocal.errors import AnalysisError

pytest.importorskip("scipy", reason="matching units needs SciPy: pip install 'glocal[demo]'")


def test_one_to_one_is_the_best_assignment_of_all():
    random = np.random.default_rng(0)
    one = random.normal(size=(50, 4))
    other = one @ random.normal(size=(4, 5)) + random.normal(size=(50, 5))
    found = study_units(one, other, least=1e-9)
    cross = np.corrcoef(one.T, other.T)[:4, 4:]
    best = max(
        itertools.permutations(range(5), 4), key=lambda p: sum(cross[i, p[i]] for i in range(4))
    )
    assert np.allclose(found.correlations, [cross[i, best[i]] for i in range(4)])
    wanted = [best[i] if cross[i, best[i]] >= 1e-9 else -1 for i in range(4)]
    assert found.partners.tolist() == wanted


def test_shared_and_missing_units_and_a_mixture_are_told():
    random = np.random.default_rng(1)
    one = random.normal(size=(2000, 4))
    other = np.stack(
        [3 * one[:, 2] + 1, one[:, 0] + one[:, 1], one[:, 0] - one[:, 1], random.normal(size=2000)],
        axis=1,
    )
    found = study_units(one, other, least=0.9)
    assert found.shared.tolist() == [2]
    assert found.unmatched.tolist() == [0, 1, 3]
    assert found.partners[2] == 0
    assert np.flatnonzero(np.abs(found.mixtures[0]) > 0.1).tolist() == [1, 2]
    assert found.mixtures[1][1] > 0.1 > -0.1 > found.mixtures[1][2]
    assert found.explained[0] > 0.9
    assert abs(found.explained[3]) < 0.05


def test_mixtures_meet_the_conditions_of_the_lasso():
    random = np.random.default_rng(2)
    one, other = random.normal(size=(60, 3)), random.normal(size=(60, 5))
    one[:, 0] += 2 * other[:, 1] - other[:, 2]
    penalty = 0.1
    weights = study_units(one, other, penalty=penalty).mixtures
    x, z = ((each - each.mean(0)) / each.std(0) for each in (one, other))
    pull = (x - z @ weights.T).T @ z / len(x)
    used = weights != 0
    assert used.any()
    assert np.allclose(pull[used], penalty * np.sign(weights[used]), atol=1e-4)
    assert (np.abs(pull[~used]) <= penalty + 1e-4).all()


def test_dead_units_have_no_partner():
    random = np.random.default_rng(3)
    one = random.normal(size=(30, 2))
    other = np.stack([one[:, 1], np.full(30, 7.0)], axis=1)
    one[:, 0] = 5
    found = study_units(one, other)
    assert found.partners.tolist() == [-1, 0]
    assert found.explained[0] == 0


def test_fewer_units_in_the_second_leave_some_without():
    one = np.random.default_rng(4).normal(size=(30, 3))
    found = study_units(one, one[:, 1:2])
    assert found.partners.tolist() == [-1, 0, -1]
    assert found.correlations[0] == -1


def test_what_does_not_fit_is_named():
    rows = np.random.default_rng(5).normal(size=(10, 3))
    with pytest.raises(AnalysisError, match="10 images and the second for 9"):
        study_units(rows, rows[:9])
    with pytest.raises(AnalysisError, match="of the second model"):
        study_units(rows, rows[:, 0])
    with pytest.raises(AnalysisError, match="least has to be"):
        study_units(rows, rows, least=0)
    with pytest.raises(AnalysisError, match="penalty above 0"):
        study_units(rows, rows, penalty=0)
