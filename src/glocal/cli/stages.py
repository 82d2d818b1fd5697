"""A bar for each stage of a long command, and what is said of files that could not be read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glocal.cli.output import say

_SHOWN = 5  # files that could not be read


class Stages:
    """A bar for each stage."""

    def __init__(self) -> None:
        self._stage = ""
        self._bar: Any = None

    def show(self, stage: str, done: int, total: int) -> None:
        """Show how much of a stage is done."""
        from tqdm import tqdm  # imported only where a bar is shown

        if stage != self._stage:
            self.close()
            self._stage = stage
            self._bar = tqdm(total=total, desc=stage, leave=False, disable=None)
        self._bar.update(done - self._bar.n)

    def close(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def say_skipped(skipped: Mapping[Path, str]) -> None:
    """Name the first files that were left out, and count the others."""
    for name, reason in list(skipped.items())[:_SHOWN]:
        say(f"glocal: {name} is left out: {reason}", err=True)
    if len(skipped) > _SHOWN:
        say(f"glocal: and {len(skipped) - _SHOWN} more", err=True)
