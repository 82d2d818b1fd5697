"""Trials run, and what they claim to be equal is equal for the first seed.

A stored result that was measured by this very code is worth more than a smoke run: of these trials
another sixth runs each day, to see that they still run beside newer packages. Every trial runs that
has no such result, and all do where `scripts/explore.sh` looks for more.
"""

from __future__ import annotations

import math
import os
from datetime import UTC, datetime
from importlib.util import find_spec

import pytest

pytest.importorskip("torch", reason="trials need torch: pip install 'glocal[learn]'")

from glocal.errors import MethodError
from glocal.methods import catalogue, status_of
from glocal.trials.runner import smoke, trial_of

TRIALS = [method for method in catalogue() if method.trial]
pytestmark = pytest.mark.skipif(
    not (find_spec("sklearn") and find_spec("skimage")), reason="needs glocal[demo]"
)


def _is_due(method) -> bool:
    every = 1 if "GLOCAL_EXPLORED_EXAMPLES" in os.environ else 6
    return (TRIALS.index(method) + datetime.now(UTC).toordinal()) % every == 0


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
@pytest.mark.filterwarnings("ignore:Graph is not fully connected")  # after two steps or few images
@pytest.mark.parametrize("method", TRIALS, ids=lambda method: method.name)
def test_a_trial_runs(method) -> None:
    if not _is_due(method) and status_of(method).state in ("holds", "fails"):
        pytest.skip("its stored result was measured by this very code")
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
