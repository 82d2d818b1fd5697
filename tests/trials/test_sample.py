"""One stored result is measured again in full, another one every day."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.util import find_spec

import pytest

pytest.importorskip("torch", reason="trials need torch: pip install 'glocal[learn]'")

from glocal.methods import catalogue, status_of
from glocal.trials.runner import run, trial_of

_MOST_SECONDS = 12
pytestmark = pytest.mark.skipif(
    not (find_spec("sklearn") and find_spec("skimage")), reason="needs glocal[demo]"
)


def quick() -> list:
    """Methods that hold by an equality, so on any machine, and take little time."""
    found = []
    for method in catalogue():
        status = status_of(method)
        result = status.result
        if status.state == "holds" and result is not None and result.seconds < _MOST_SECONDS:
            found.append(method)
    return [method for method in found if trial_of(method).CLAIM.comparison == "="]


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")
def test_a_stored_result_is_met_again(tmp_path) -> None:
    methods = quick()
    assert len(methods) > 5
    method = methods[datetime.now(UTC).toordinal() % len(methods)]
    result = run(method, folder=tmp_path)
    assert not result.error
    assert result.claim.met_by(result.pairs), method.name
