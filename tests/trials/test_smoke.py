"""Every trial runs, and what it claims to be equal is equal for the first seed."""

from __future__ import annotations

import math
from importlib.util import find_spec

import pytest

pytest.importorskip("torch", reason="trials need torch: pip install 'glocal[learn]'")

from glocal.errors import MethodError
from glocal.methods import catalogue
from glocal.trials.runner import smoke, trial_of

TRIALS = [method for method in catalogue() if method.trial]
pytestmark = pytest.mark.skipif(
    not (find_spec("sklearn") and find_spec("skimage")), reason="needs glocal[demo]"
)


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
@pytest.mark.filterwarnings("ignore:Graph is not fully connected")  # after two steps or few images
@pytest.mark.parametrize("method", TRIALS, ids=lambda method: method.name)
def test_a_trial_runs(method) -> None:
    claim = trial_of(method).CLAIM
    try:
        pair = smoke(method)
    except MethodError as error:
        if "GLOCAL_GROCERY" not in str(error):
            raise
        pytest.skip("needs the photos of Grocery")
    assert math.isfinite(pair.difference)
    if claim.comparison == "=":
        assert claim.met_by([pair])
