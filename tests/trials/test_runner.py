"""The runner decides rightly: planted trials whose answer is known."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("torch", reason="trials need torch: pip install 'glocal[learn]'")

import torch

from glocal.errors import MethodError
from glocal.methods import Claim, Method, Status, read_result
from glocal.methods.results import VARIABLE
from glocal.trials import runner
from glocal.trials.lab import Lab

METHOD = Method(0, "planted", "block", "B", "A paper", "", "lab", 30, "It works.")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path))
    return tmp_path


def noisy(lab: Lab, gain: float = 0.0) -> float:
    """A score around 50 that depends on the seed, as accuracies do."""
    return 50 + gain + float(lab.random().normal())


def trial(method, baseline=noisy, comparison=">", margin=0.5, seeds=6) -> SimpleNamespace:
    claim = Claim("score", "score without it", "points", comparison, margin, seeds)
    return SimpleNamespace(CLAIM=claim, method=method, baseline=baseline)


def state(planted: SimpleNamespace) -> str:
    runner.run(METHOD, trial=planted)
    return Status(METHOD, read_result("planted")).state


def test_a_method_that_does_what_it_claims_holds() -> None:
    assert state(trial(lambda lab: noisy(lab, gain=2))) == "holds"


def test_a_method_that_does_nothing_fails() -> None:
    assert state(trial(noisy)) == "fails"


def test_a_method_that_harms_fails() -> None:
    assert state(trial(lambda lab: noisy(lab, gain=-2))) == "fails"


def test_a_lower_number_is_claimed_with_the_other_sign() -> None:
    assert state(trial(lambda lab: noisy(lab, gain=-2), comparison="<")) == "holds"
    assert state(trial(lambda lab: noisy(lab, gain=2), comparison="<")) == "fails"


def test_a_claim_that_the_baseline_meets_too_is_unsound() -> None:
    assert state(trial(lambda lab: noisy(lab, gain=2), margin=-20)) == "unsound"
    assert state(trial(noisy, comparison="=", margin=0.5)) == "unsound"


def test_an_equality_that_cannot_fail_is_unsound() -> None:
    assert state(trial(lambda lab: 1.0, lambda lab: 1.0, comparison="=", margin=0)) == "unsound"


def test_equal_arrays_hold_and_one_wrong_number_fails() -> None:
    def reference(lab: Lab) -> np.ndarray:
        return lab.random().normal(size=(3, 4))

    def wrong(lab: Lab) -> np.ndarray:
        found = reference(lab)
        found[1, 2] += 0.01
        return found

    assert (
        state(trial(lambda lab: torch.from_numpy(reference(lab)), reference, "=", 1e-9)) == "holds"
    )
    assert state(trial(wrong, reference, "=", 1e-3)) == "fails"


def test_a_wrong_number_beside_the_claim_fails_it() -> None:
    def method(lab: Lab) -> float:
        lab.check("parameters", 11, "<", 10)
        return noisy(lab, gain=2)

    planted = trial(method)
    assert state(planted) == "fails"
    status = Status(METHOD, read_result("planted"))
    assert {check.what for check in status.failed_checks} == {"parameters"}


def test_both_sides_get_the_same_random_numbers() -> None:
    def drawn(lab: Lab) -> torch.Tensor:
        return torch.randn(4)

    assert state(trial(drawn, drawn, "=", 0.0)) == "holds"


def test_an_error_of_the_trial_is_told_and_fails() -> None:
    def broken(lab: Lab) -> float:
        raise ZeroDivisionError("by hand")

    assert state(trial(broken)) == "fails"
    assert read_result("planted").error == "ZeroDivisionError: by hand"


def test_a_trial_without_end_is_stopped() -> None:
    def endless(lab: Lab) -> float:
        while True:
            pass

    hurried = Method(0, "planted", "block", "B", "A paper", "", "lab", 0.2, "It works.")
    result = runner.run(hurried, trial=trial(endless))
    assert "took more than its 0.2 seconds" in result.error


def test_changed_sources_make_a_result_stale(folder: Path) -> None:
    assert state(trial(lambda lab: noisy(lab, gain=2))) == "holds"
    path = folder / "planted.json"
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | {"source": "0" * 64}))
    assert Status(METHOD, read_result("planted")).state == "stale"


def test_a_killed_run_continues_where_it_was(folder: Path) -> None:
    seen: list[int] = []

    class Killed(BaseException):
        pass

    def method(lab: Lab, last: int = 3) -> float:
        if lab.seed == last:
            raise Killed
        seen.append(lab.seed)
        return noisy(lab, gain=2)

    with pytest.raises(Killed):
        runner.run(METHOD, trial=trial(method))
    assert read_result("planted") is None
    assert list(folder.glob("*.partial"))
    result = runner.run(METHOD, trial=trial(lambda lab: method(lab, last=99)))
    assert seen == [0, 1, 2, 3, 4, 5]
    assert [pair.seed for pair in result.pairs] == seen
    whole = runner.run(METHOD, trial=trial(lambda lab: noisy(lab, gain=2)))
    assert (result.pairs, result.control) == (whole.pairs, whole.control)
    assert not list(folder.glob("*.partial"))


def test_a_trial_gives_one_shape() -> None:
    with pytest.raises(MethodError, match="return equal shapes"):
        runner.run(METHOD, trial=trial(lambda lab: np.zeros(2), lambda lab: np.zeros(3), "="))
    with pytest.raises(MethodError, match="compares numbers"):
        runner.run(METHOD, trial=trial(lambda lab: np.zeros(2), lambda lab: np.zeros(2), ">"))


def test_a_damaged_result_is_named(folder: Path) -> None:
    (folder / "planted.json").write_text("{")
    with pytest.raises(MethodError, match="glocal methods run planted"):
        read_result("planted")
