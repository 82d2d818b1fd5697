"""Run trials: paired seeds, the control, the limit of time, and results that survive a kill."""

from __future__ import annotations

import json
import math
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from glocal.errors import GlocalError, MethodError
from glocal.methods.catalogue import Method
from glocal.methods.claim import Check, Claim, Pair
from glocal.methods.closure import source_hash
from glocal.methods.results import Result, folder_to_write, result_from, write_result
from glocal.methods.states import modules_of
from glocal.trials.lab import Lab

CONTROL = 1000
"""Added to a seed to get the other seed of the control."""

_PACKAGES = ("glocal", "numpy", "onnxruntime", "scikit-learn", "torch")


def trial_of(method: Method) -> ModuleType:
    """The module of a method's trial.

    Raises:
        MethodError: The method has none, or it is incomplete.
        MissingExtraError: The trial needs a package that is not installed.
    """
    if not method.trial:
        raise MethodError(
            f"{method.name} has no trial yet; docs/adding_a_method.md says how to add"
        )
    module = import_module(f"glocal.trials.{method.trial}")
    missing = [name for name in ("CLAIM", "method", "baseline") if not hasattr(module, name)]
    if missing:
        raise MethodError(f"the trial {module.__name__} lacks {', '.join(missing)}; add it")
    return module


def run(method: Method, *, folder: Path | None = None, trial: Any = None) -> Result:
    """Run a method's trial and store its result.

    What each seed gave is stored at once; a run that was killed continues after the last one, if
    the sources are the same.

    Args:
        method: Row of the catalogue.
        folder: Folder of results; None for the one of `glocal.methods.results`.
        trial: Something with ``CLAIM``, ``method`` and ``baseline``; None for the method's own.

    Returns:
        The result. A trial that raised an error or took too long has it in ``error``.

    Raises:
        MethodError: The method has no trial.
        MissingExtraError: The trial needs a package or data that is not there.
    """
    made = trial_of(method) if trial is None else trial
    claim: Claim = made.CLAIM
    source = source_hash(modules_of(method))
    folder = folder_to_write() if folder is None else folder
    part = folder / f"{method.name}.partial"
    result = _begun(part, method, claim, source)
    error = ""
    started, before = time.process_time(), result.seconds

    def kept(pairs: tuple[Pair, ...], control: tuple[Pair, ...], error: str = "") -> Result:
        spent = before + time.process_time() - started
        return Result(
            **{name: getattr(result, name) for name in ("name", "claim", "source")},
            pairs=pairs,
            control=control,
            seconds=round(spent, 2),
            command=f"glocal methods run {method.name}",
            versions=_versions(),
            error=error,
        )

    pairs, control = result.pairs, result.control
    try:
        with _limited(method.seconds - before if method.seconds else math.inf):
            for seed in range(len(control), claim.seeds):
                if len(pairs) == seed:
                    pair, base = _pair(made, claim, seed)
                    pairs = (*pairs, pair)
                else:
                    base = _side(made.baseline, Lab(seed))
                other = _side(made.baseline, Lab(seed + CONTROL))
                control = (*control, _compared(claim, seed, other, base, ()))
                write_result(kept(pairs, control), part)
    except _OverTimeError:
        error = f"took more than its {method.seconds:g} seconds of the processor"
    except GlocalError:
        raise  # what is missing or wrong has to be mended, and says nothing about the method
    except Exception as raised:  # noqa: BLE001 - whatever a trial raises is its result
        error = f"{type(raised).__name__}: {raised}"
    done = kept(pairs, control, error)
    write_result(done, folder / f"{method.name}.json")
    part.unlink(missing_ok=True)
    return done


def smoke(method: Method) -> Pair:
    """Run a trial once, with few training steps, only to see that it runs."""
    made = trial_of(method)
    lab = Lab(0, smoke=True)
    measured = _side(made.method, lab)
    base = _side(made.baseline, Lab(0, smoke=True))
    return _compared(made.CLAIM, 0, measured, base, tuple(lab.checks))


def _pair(made: Any, claim: Claim, seed: int) -> tuple[Pair, Any]:
    lab = Lab(seed)
    measured = _side(made.method, lab)
    base = _side(made.baseline, Lab(seed))
    return _compared(claim, seed, measured, base, tuple(lab.checks)), base


def _side(side: Callable[[Lab], Any], lab: Lab) -> Any:
    import torch

    torch.manual_seed(lab.seed)
    found = side(lab)
    if isinstance(found, torch.Tensor):
        found = found.detach().numpy()
    return np.asarray(found, dtype=np.float64)


def _compared(claim: Claim, seed: int, measured: Any, base: Any, checks: tuple[Check, ...]) -> Pair:
    if measured.shape != base.shape:
        raise MethodError(
            f"the method gives {measured.shape} and the baseline {base.shape}; return equal shapes"
        )
    if claim.comparison != "=" and measured.ndim:
        raise MethodError(f"a claim {claim.comparison!r} compares numbers, not {measured.shape}")
    one, two = _size(measured), _size(base)
    if claim.comparison == "=":
        deviation = float(np.abs(measured - base).max())
        difference = deviation / two if two else (math.inf if deviation else 0.0)
    else:
        difference = one - two if claim.comparison == ">" else two - one
    return Pair(seed, one, two, difference, checks)


def _size(value: Any) -> float:
    """A number itself; of an array the root of the mean square."""
    return float(value) if value.ndim == 0 else float(np.sqrt(np.square(value).mean()))


def _begun(part: Path, method: Method, claim: Claim, source: str) -> Result:
    """What a killed run left behind, or an empty result."""
    try:
        left = result_from(json.loads(part.read_text(encoding="utf-8")))
        if left.source == source and asdict(left.claim) == asdict(claim):
            return left
    except (OSError, ValueError, TypeError, KeyError):
        pass  # nothing was left, or nothing that can be used: begin again
    return Result(method.name, claim, (), (), source, 0.0)


class _OverTimeError(BaseException):
    """The trial took longer than it may; no handler of the trial's own stops it."""


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Stop what runs inside after so many seconds of the processor, where the system can."""
    if seconds <= 0:
        raise _OverTimeError
    main = threading.current_thread() is threading.main_thread()
    if not (main and hasattr(signal, "setitimer") and math.isfinite(seconds)):
        yield
        return

    def stop(*_: object) -> None:
        raise _OverTimeError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
