"""Comparing all images of the gallery, in a process beside the server; what it found is kept.

Clients ask again until it is done. However many ask, one process compares, and one comparison of
each level is kept until the catalogue changes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from glocal.errors import QueryError
from glocal.gallery.duplicates import Level
from glocal.images import Limits
from glocal.web import schemas
from glocal.web.children import lines, spawn
from glocal.web.metrics import Metrics
from glocal.web.problems import ProblemError, printable

_MOST_BYTES = 32 * 2**20
"""Of what is kept of one comparison: some 300,000 images."""

_PAGE_BYTES = 2**18
"""Of that on a page, which has fewer groups where they are large."""

_LINE = 4 * 2**20
_GROUP = b'{"group": '
_FAILED_FOR = 3.0
"""Seconds in which nothing is begun after a failure, so that all who wait learn of it."""

_OVERTAKEN_FOR = 15.0
"""Seconds in which those who waited get what was found while the catalogue changed."""

_log = logging.getLogger(__name__)
State = tuple[int, ...]


@dataclass(slots=True, eq=False)
class Comparison:
    """A comparison, under way or over.

    Attributes:
        level: what its groups are made of.
        id: names it in cursors.
        state: of the catalogue when it began.
        progress: how far it is, once that is known.
        groups: each as JSON; see `glocal.web.compare_child.told`.
        total: how many groups there are; no fewer than are kept.
        bytes_to_free: of all of them.
        error: why it failed.
        ended: when, by the monotonic clock.
        overtaken: whether the catalogue changed meanwhile.
    """

    level: Level
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = ()
    progress: schemas.ComparisonProgress | None = None
    groups: list[bytes] = field(default_factory=list)
    total: int = 0
    bytes_to_free: int = 0
    error: str | None = None
    ended: float | None = None
    overtaken: bool = False

    def holds(self, state: State) -> bool:
        """Whether what it found is still an answer, now that the catalogue's state is this."""
        if self.ended is None:
            return True
        age = time.monotonic() - self.ended
        if self.error is not None:
            return age < _FAILED_FOR
        return self.state == state or (self.overtaken and age < _OVERTAKEN_FOR)

    def page(self, offset: int, limit: int) -> tuple[list[dict[str, Any]], str | None]:
        """At most so many groups from one on, and the cursor of what follows."""
        found: list[dict[str, Any]] = []
        size = 0
        for line in self.groups[offset : offset + limit]:
            size += len(line)
            if found and size > _PAGE_BYTES:
                break
            found.append(json.loads(line)["group"])
        following = offset + len(found)
        return found, f"{self.id}-{following}" if following < len(self.groups) else None


class Comparisons:
    """The comparisons of a server.

    Args:
        gallery: its folder.
        limits: of the images that are compared.
        state: tells the catalogue's state.
        seconds: that one comparison may take.
        metrics: told how they end.
    """

    def __init__(
        self,
        gallery: Path,
        limits: Limits,
        state: Callable[[], State],
        seconds: float,
        metrics: Metrics,
    ) -> None:
        self._gallery = gallery
        self._limits = limits
        self._state = state
        self._seconds = seconds
        self._metrics = metrics
        self._turn = asyncio.Lock()
        self._latest: dict[Level, Comparison] = {}
        self._under_way: dict[Level, tuple[Comparison, asyncio.Task[None]]] = {}

    async def stop(self) -> None:
        """End what is under way."""
        tasks = [task for _, task in self._under_way.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def get(self, level: Level) -> Comparison:
        """The comparison of a level: the latest if it still holds, or one that is under way.

        Raises:
            ProblemError: it failed a moment ago.
        """
        state = await asyncio.to_thread(self._state)
        if level in self._under_way:
            return self._under_way[level][0]
        latest = self._latest.get(level)
        if latest is None or not latest.holds(state):
            latest = Comparison(level)
            task = asyncio.create_task(self._carry_out(latest))
            self._under_way[level] = latest, task
        elif latest.error is not None:
            raise ProblemError(
                503,
                latest.error,
                kind="urn:glocal:comparison",
                headers={"Retry-After": f"{_FAILED_FOR:.0f}"},
            )
        return latest

    def at(self, level: Level, cursor: str) -> tuple[Comparison, int]:
        """The comparison that a cursor goes on in, even when the catalogue has changed; and where.

        Raises:
            QueryError: it is no cursor of such a list.
            ProblemError: there is a later comparison, or none is kept.
        """
        name, dash, offset = cursor.partition("-")
        if not dash:
            raise QueryError("the cursor is none of this list's: begin again without one")
        latest = self._latest.get(level)
        if latest is None or latest.id != name:
            raise ProblemError(
                410,
                "the gallery has been compared anew since: begin again without a cursor",
                kind="urn:glocal:expired",
            )
        return latest, int(offset)

    async def _carry_out(self, comparison: Comparison) -> None:
        level = comparison.level
        try:
            async with self._turn:
                comparison.state = await asyncio.to_thread(self._state)
                comparison.error = await self._compare(comparison)
            comparison.overtaken = await asyncio.to_thread(self._state) != comparison.state
            comparison.ended = time.monotonic()
            self._latest[level] = comparison
            ended = "done" if comparison.error is None else "failed"
            self._metrics.comparisons.labels(str(level), ended).inc()
        finally:
            del self._under_way[level]

    async def _compare(self, comparison: Comparison) -> str | None:
        """Have a process do it; gives what went wrong."""
        process, wrong = None, None
        reading = _Reading(comparison)
        numbers = (self._limits.max_bytes, self._limits.max_pixels)
        arguments = (str(self._gallery), str(comparison.level), *map(str, numbers))
        try:
            async with asyncio.timeout(self._seconds):
                process = await spawn(
                    "glocal.web.compare_child", *arguments, longest=_LINE, leashed=True
                )
                async for line in lines(process):
                    reading.take(line)
                status = await process.wait()
            if not reading.whole:
                wrong = reading.error or f"its process ended unexpectedly, with status {status}"
        except TimeoutError:
            wrong = (
                f"it took longer than {self._seconds:g} s; glocal duplicates, at a terminal of "
                "the server's machine, takes as long as it needs"
            )
        except (OSError, ValueError, KeyError) as error:
            _log.warning("a comparison failed: %s", error)
            wrong = "it could not be carried out"
        finally:
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
        if wrong is None:
            return None
        comparison.groups.clear()
        return printable(f"the images could not be compared: {wrong}")


class _Reading:
    """What a comparison's process tells, put into the comparison."""

    def __init__(self, comparison: Comparison) -> None:
        self.whole = False
        self.error: str | None = None
        self._comparison = comparison
        self._room = _MOST_BYTES

    def take(self, line: bytes) -> None:
        """Take a line in."""
        if line.startswith(_GROUP):
            self._room -= len(line) + 64  # what Python adds to bytes in a list
            if self._room >= 0:
                self._comparison.groups.append(line)
            return
        value = json.loads(line)
        if "progress" in value:
            self._comparison.progress = schemas.ComparisonProgress(**value["progress"])
        elif "end" in value:
            self._comparison.total = value["end"]["groups"]
            self._comparison.bytes_to_free = value["end"]["bytes_to_free"]
            self.whole = True
        else:
            self.error = value["error"]
