"""Stored results of trials: where they lie, and how they are read and written.

In a checkout they lie in ``results/methods`` beside ``src``. A package that is installed has a copy
of that folder inside, and stores what it measures itself in the user's data folder, which is read
first. The environment variable ``GLOCAL_RESULTS`` names another folder to store and read.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from glocal.errors import MethodError
from glocal.methods.claim import Check, Claim, Pair

VARIABLE = "GLOCAL_RESULTS"
_CHECKOUT = Path(__file__).parents[3] / "results" / "methods"
_PACKAGED = Path(__file__).with_name("results")


@dataclass(frozen=True, slots=True)
class Result:
    """What a trial gave; everything else is computed from it.

    Attributes:
        name: Name of the method.
        claim: Claim of the trial.
        pairs: What each seed gave.
        control: The same of the baseline against itself over other seeds.
        source: Hash of the sources, see `glocal.methods.closure`.
        seconds: Seconds of the processor that it took.
        command: Command that repeats it.
        versions: Versions of Python and of the packages that computed it.
        error: Why the trial could not be finished; empty if it was.
    """

    name: str
    claim: Claim
    pairs: tuple[Pair, ...]
    control: tuple[Pair, ...]
    source: str
    seconds: float
    command: str = ""
    versions: dict[str, str] = field(default_factory=dict)
    error: str = ""


def folder_to_write() -> Path:
    """The folder that new results are stored in."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if _CHECKOUT.is_dir():
        return _CHECKOUT
    from platformdirs import user_data_path  # only where a package is installed

    return user_data_path("glocal") / "methods"


def read_result(name: str) -> Result | None:
    """The stored result of a method; None if there is none.

    Raises:
        MethodError: The file is damaged.
    """
    for folder in (folder_to_write(), _PACKAGED):
        path = folder / f"{name}.json"
        if path.is_file():
            return _read(path)
    return None


def write_result(result: Result, path: Path) -> None:
    """Write a result completely, or leave the previous file as it was."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".writing")
    partial.write_text(json.dumps(asdict(result), indent=1) + "\n", encoding="utf-8")
    os.replace(partial, path)


def result_from(found: dict[str, Any]) -> Result:
    """A result from the object that its file holds."""
    return Result(
        **found
        | {
            "claim": Claim(**found["claim"]),
            "pairs": tuple(_pair(pair) for pair in found["pairs"]),
            "control": tuple(_pair(pair) for pair in found["control"]),
        }
    )


def _read(path: Path) -> Result:
    try:
        return result_from(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError, KeyError) as error:
        raise MethodError(
            f"the result {path} cannot be read: {error}; run `glocal methods run {path.stem}`"
        ) from error


def _pair(found: dict[str, Any]) -> Pair:
    return Pair(**found | {"checks": tuple(Check(**check) for check in found["checks"])})
