"""Several encoders in one file: which stitches it holds, and which of them keeps a budget of time.

A file that `glocal stitch` wrote holds a small encoder, a large one and what is between them, all
of one space. Each is measured once on a machine; the figures are kept in the user's cache.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glocal.encoders.remembered import recall, remember, remembered_file
from glocal.errors import ModelError

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_MOST = 64
_REPEATS = 5


@dataclass(frozen=True, slots=True)
class Stitch:
    """One of the encoders that a file holds.

    Attributes:
        name: such as ``small``, ``switch-2`` or ``large``.
        macs: multiply-accumulate operations for an image of the usual size.
        time: that it takes relative to the slowest one, as measured where the file was made.
        agreement: mean cosine of its vectors with those of the large encoder; 1 for that itself.
    """

    name: str
    macs: int
    time: float
    agreement: float


def stitches_of(everything: dict[str, Any], where: str) -> tuple[Stitch, ...]:
    """The stitches that a card lists, from fast to slow; none for most models.

    Args:
        everything: the whole card.
        where: the model, as errors should name it.

    Raises:
        ModelError: the list is damaged.
    """
    stored = everything.get("stitches")
    if stored is None:
        return ()
    try:
        if not isinstance(stored, list) or not 1 <= len(stored) <= _MOST:
            raise ValueError(f"{stored!r:.60} is no list of 1 to {_MOST} stitches")
        found = tuple(
            Stitch(
                str(each["name"]), int(each["macs"]), float(each["time"]), float(each["agreement"])
            )
            for each in stored
        )
        for each in found:
            if not _NAME.fullmatch(each.name):
                raise ValueError(f"{each.name!r:.60} is no name of a stitch")
            if not (each.macs > 0 and 0 < each.time <= 1e3 and -1.01 <= each.agreement <= 1.01):
                raise ValueError(f"impossible figures of {each.name}")
        if len({each.name for each in found}) != len(found):
            raise ValueError("two stitches have one name")
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise ModelError(
            f"the stitches in the card of model {where} cannot be read: {error!r}; make the file "
            "again: glocal stitch"
        ) from error
    return found


def within_budget(
    milliseconds: Sequence[float], agreement: Sequence[float], budget: float
) -> tuple[int, bool]:
    """The number of the most accurate stitch that keeps a budget, else of the fastest.

    Args:
        milliseconds: that each takes.
        agreement: of each, more is better; of equal ones the faster is taken.
        budget: in milliseconds.

    Returns:
        The number, and whether it keeps the budget.
    """
    numbers = range(len(milliseconds))
    fitting = [number for number in numbers if milliseconds[number] <= budget]
    if not fitting:
        return min(numbers, key=lambda number: milliseconds[number]), False
    return max(fitting, key=lambda number: (agreement[number], -milliseconds[number])), True


def check_choice(
    stitches: Sequence[Stitch], model: str, *, stitch: str | None, budget_ms: float | None
) -> None:
    """Check that a model has what is to be chosen.

    Args:
        stitches: that it has.
        model: as errors should name it.
        stitch: the name of one of them.
        budget_ms: milliseconds that one may take for an image.

    Raises:
        ModelError: it has no stitches, or none of this name, or the budget is no time.
    """
    wanted = f"a budget of {budget_ms:g} ms" if stitch is None else f"the stitch {stitch!r}"
    names = ", ".join(each.name for each in stitches)
    if not stitches:
        raise ModelError(
            f"{model} holds one encoder, so that {wanted} leaves nothing to choose; leave it out, "
            "or use a model that `glocal stitch` made"
        )
    if stitch is not None and (budget_ms is not None or stitch not in names.split(", ")):
        also = "" if budget_ms is None else f" together with a budget of {budget_ms:g} ms"
        raise ModelError(
            f"{model} cannot be used with {wanted}{also}; name one of {names}, or give a budget"
        )
    if budget_ms is not None and not 0 < budget_ms < float("inf"):
        raise ModelError(f"a budget of {budget_ms:g} ms is impossible; give more than 0")


def measured(
    names: Sequence[str],
    encode: Callable[[str], Callable[[], object]],
    *,
    sha256: str,
    threads: int,
    clock: Callable[[], float],
    folder: Path | None = None,
) -> list[float]:
    """Milliseconds that each stitch takes for an image here; measured once and then remembered.

    Args:
        names: of the stitches.
        encode: opens one, and gives what encodes an image by it.
        sha256: of the model's file.
        threads: that one image may use.
        clock: in seconds.
        folder: where figures are remembered; `None` for the user's cache.
    """
    path = remembered_file("stitches", sha256, threads, folder)
    known = recall(path, names)
    if known is not None:
        return known
    times = []
    for name in names:
        run = encode(name)
        run()  # the first is slower
        spent = []
        for _ in range(_REPEATS):
            before = clock()
            run()
            spent.append(1000 * (clock() - before))
        times.append(min(spent))  # what else runs can only add to it
    remember(path, dict(zip(names, times, strict=True)))
    return times
