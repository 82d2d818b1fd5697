"""The state of a method, computed from its stored result."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

from glocal.errors import PartError
from glocal.methods.catalogue import Method
from glocal.methods.claim import Check
from glocal.methods.closure import closure, source_hash
from glocal.methods.results import Result, read_result
from glocal.registry import part

State = Literal["holds", "fails", "unsound", "stale", "not run"]
STATES: tuple[State, ...] = get_args(State)


@dataclass(frozen=True)
class Status:
    """A method with its stored result, if there is one.

    Attributes:
        method: Row of the catalogue.
        result: Stored result.
    """

    method: Method
    result: Result | None

    @cached_property
    def state(self) -> State:
        """Holds, fails, unsound, stale or not run."""
        if self.result is None:
            return "not run"
        if self.result.source != source_hash(modules_of(self.method)):
            return "stale"
        return decided(self.result)

    @property
    def measured(self) -> float | None:
        """Mean of the method's number over the seeds; None without any."""
        return _mean(self.result, "measured")

    @property
    def baseline(self) -> float | None:
        """Mean of the baseline's number over the seeds; None without any."""
        return _mean(self.result, "baseline")

    @property
    def failed_checks(self) -> tuple[Check, ...]:
        """The checks that did not hold, of any seed."""
        pairs = self.result.pairs if self.result else ()
        return tuple(check for pair in pairs for check in pair.checks if not check.holds)


def decided(result: Result) -> State:
    """Whether a complete result shows what was claimed.

    The control comes first: where the baseline against itself meets the claim too, the claim says
    nothing about the method.
    """
    if result.error or not result.pairs:
        return "fails"
    if result.claim.met_by(result.control):
        return "unsound"
    checked = all(check.holds for pair in result.pairs for check in pair.checks)
    complete = len(result.pairs) >= result.claim.seeds
    return "holds" if checked and complete and result.claim.met_by(result.pairs) else "fails"


def status_of(method: Method) -> Status:
    """A method with its stored result."""
    return Status(method, read_result(method.name) if method.trial else None)


def modules_of(method: Method) -> list[str]:
    """The modules that a trial begins with: its own, and the one of the method's part."""
    modules = [f"glocal.trials.{method.trial}"]
    target = target_of(method)
    return [*modules, target.partition(":")[0]] if target else modules


def files_of(method: Method) -> tuple[str, ...]:
    """The files that a trial depends on, as paths."""
    return tuple(str(path) for path in closure(modules_of(method)))


def target_of(method: Method) -> str:
    """``module:attribute`` of the method's part; empty where there is none."""
    kind, _, name = method.part.partition(":")
    try:
        return part(kind, name).target if name else ""  # type: ignore[arg-type]
    except PartError:
        return ""


def _mean(result: Result | None, which: str) -> float | None:
    if result is None or not result.pairs:
        return None
    return math.fsum(getattr(pair, which) for pair in result.pairs) / len(result.pairs)
