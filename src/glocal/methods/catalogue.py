"""The rows of the catalogue: published methods, and what has to be shown of each."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from glocal.errors import MethodError

CATALOGUE = Path(__file__).with_name("catalogue.tsv")
COLUMNS = ("n", "name", "stage", "tier", "source", "part", "trial", "seconds", "sentence")
TIERS = ("A", "B", "C", "D")


@dataclass(frozen=True, slots=True)
class Method:
    """A row of the catalogue.

    Attributes:
        n: Its number.
        name: Lower-case name by which it is chosen.
        stage: Stage of glocal it belongs to, such as ``block``.
        tier: A: the engine itself; B: named, selectable parts; C: adjacent; D: outside for now.
        source: What the authors call it, and the title of the paper.
        part: ``kind:name`` of the part in `glocal.registry`; empty where there is none.
        trial: Module of its trial below `glocal.trials`; empty where there is none.
        seconds: Limit of the trial, in seconds of the processor.
        sentence: What has to be shown.
    """

    n: int
    name: str
    stage: str
    tier: str
    source: str
    part: str
    trial: str
    seconds: float
    sentence: str


@cache
def catalogue() -> tuple[Method, ...]:
    """All rows, by number.

    Raises:
        MethodError: The file of the catalogue is damaged.
    """
    with CATALOGUE.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise MethodError(
                f"{CATALOGUE.name} has the columns {rows.fieldnames}, not {', '.join(COLUMNS)}; "
                "install glocal again"
            )
        return tuple(_row(row) for row in rows)


def method_named(name: str) -> Method:
    """The row of a name or a number.

    Raises:
        MethodError: There is none; the text has the nearest name.
    """
    for method in catalogue():
        if name in (method.name, str(method.n)):
            return method
    from difflib import get_close_matches  # only where something is wrong

    near = get_close_matches(name.lower(), [method.name for method in catalogue()], n=1)
    hint = f"did you mean {near[0]}?" if near else "`glocal methods` lists them"
    raise MethodError(f"the catalogue has no method {name!r}; {hint}")


def _row(row: dict[str, str]) -> Method:
    try:
        n, seconds = int(row["n"]), float(row["seconds"] or 0)
    except (ValueError, TypeError) as error:
        raise MethodError(f"{CATALOGUE.name} has a damaged row: {row}; install again") from error
    fields = {name: row[name] for name in COLUMNS if name not in ("n", "seconds")}
    return Method(n=n, seconds=seconds, **fields)
