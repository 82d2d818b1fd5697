"""Comparing all images of the gallery, in a process beside the server; the result is kept.

Clients repeat their request until it is done. However many there are, one process compares, and
one comparison of each level is kept until the catalogue changes.
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
from glocal.gallery import Progress
from glocal.gallery.duplicates import Level
from glocal.images import Limits
from glocal.web.children import lines, spawn
from glocal.web.metrics import Metrics
from glocal.web.problems import ProblemError, printable

_MOST_BYTES = 32 * 2**20
"""Size of what is kept of one comparison: some 300,000 images."""

_PAGE_BYTES = 2**18
"""Size of what is read for one page; a page has fewer groups if they are large."""

_LINE = 4 * 2**20
_GROUP = b'{"group": '
_FAILED_FOR = 3.0
"""Seconds after a failure in which no comparison starts, so that every waiting client is told."""

_OUTDATED_FOR = 15.0
"""Seconds in which waiting clients get a result during which the catalogue has changed."""

_log = logging.getLogger(__name__)
State = tuple[int, ...]


@dataclass(slots=True, eq=False)
class Comparison:
    """A comparison that is waiting, running or has ended.

    Attributes:
        level: what its groups are made of.
        id: names the comparison in cursors.
        state: of the catalogue when the comparison began.
        progress: how far the comparison is, once it has begun.
        groups: each as a line of JSON; see `glocal.web.compare_child.encoded`.
        total: how many groups there are; as many as are kept, or more.
        bytes_to_free: of all groups.
        error: why the comparison failed.
        ended: when, by the monotonic clock.
        outdated: whether the catalogue changed during the comparison.
    """

    level: Level
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    state: State = ()
    progress: Progress | None = None
    groups: list[bytes] = field(default_factory=list)
    total: int = 0
    bytes_to_free: int = 0
    error: str | None = None
    ended: float | None = None
    outdated: bool = False

    def is_current(self, state: State) -> bool:
        """Whether the result still counts, with the catalogue in this state."""
        if self.ended is None:
            return True
        age = time.monotonic() - self.ended
        if self.error is not None:
            return age < _FAILED_FOR
        return self.state == state or (self.outdated and age < _OUTDATED_FOR)

    def page(self, offset: int, limit: int) -> tuple[list[dict[str, Any]], str | None]:
        """At most `limit` groups from `offset` on, and the cursor of the page that follows."""
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
        state: gives the state of the catalogue.
        seconds: time that one comparison may take.
        metrics: gets the number of comparisons.
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
        self._current: dict[Level, tuple[Comparison, asyncio.Task[None]]] = {}

    async def stop(self) -> None:
        """End all comparisons."""
        tasks = [task for _, task in self._current.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def get(self, level: Level) -> Comparison:
        """The comparison of a level: the latest if it is current, or one that has not ended.

        Raises:
            ProblemError: it failed a moment ago.
        """
        state = await asyncio.to_thread(self._state)
        if level in self._current:
            return self._current[level][0]
        latest = self._latest.get(level)
        if latest is None or not latest.is_current(state):
            latest = Comparison(level)
            task = asyncio.create_task(self._run(latest))
            self._current[level] = latest, task
        elif latest.error is not None:
            raise ProblemError(
                503,
                latest.error,
                kind="urn:glocal:comparison",
                headers={"Retry-After": f"{_FAILED_FOR:.0f}"},
            )
        return latest

    def at(self, level: Level, cursor: str) -> tuple[Comparison, int]:
        """The comparison of a cursor, even if the catalogue has changed, and the cursor's offset.

        Raises:
            QueryError: the cursor belongs to another list.
            ProblemError: there is a later comparison, or none is kept.
        """
        name, dash, offset = cursor.partition("-")
        if not dash:
            raise QueryError("the cursor belongs to another list; begin again without a cursor")
        latest = self._latest.get(level)
        if latest is None or latest.id != name:
            raise ProblemError(
                410,
                "the cursor is of an older comparison; begin again without a cursor",
                kind="urn:glocal:expired",
            )
        return latest, int(offset)

    async def _run(self, comparison: Comparison) -> None:
        level = comparison.level
        try:
            async with self._turn:
                comparison.state = await asyncio.to_thread(self._state)
                comparison.error = await self._compare(comparison)
            comparison.outdated = await asyncio.to_thread(self._state) != comparison.state
            comparison.ended = time.monotonic()
            self._latest[level] = comparison
            ended = "done" if comparison.error is None else "failed"
            self._metrics.comparisons.labels(str(level), ended).inc()
        finally:
            del self._current[level]

    async def _compare(self, comparison: Comparison) -> str | None:
        """Compare in a process; returns what went wrong."""
        process, wrong = None, None
        reader = _Reader(comparison)
        numbers = (self._limits.max_bytes, self._limits.max_pixels)
        arguments = (str(self._gallery), str(comparison.level), *map(str, numbers))
        try:
            async with asyncio.timeout(self._seconds):
                process = await spawn(
                    "glocal.web.compare_child", *arguments, longest=_LINE, leashed=True
                )
                async for line in lines(process):
                    reader.read(line)
                status = await process.wait()
            if not reader.complete:
                wrong = reader.error or f"its process ended unexpectedly, with status {status}"
        except TimeoutError:
            wrong = (
                f"it took longer than {self._seconds:g} s; run glocal duplicates on the server's "
                "machine, which has no time limit"
            )
        except (OSError, ValueError, KeyError) as error:
            _log.warning("a comparison failed: %s", error)
            wrong = "see the server's log"
        finally:
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
        if wrong is None:
            return None
        comparison.groups.clear()
        return printable(f"the images could not be compared: {wrong}")


class _Reader:
    """Reads what the process of a comparison reports into the comparison."""

    def __init__(self, comparison: Comparison) -> None:
        self.complete = False
        self.error: str | None = None
        self._comparison = comparison
        self._room = _MOST_BYTES

    def read(self, line: bytes) -> None:
        """Read one line."""
        if line.startswith(_GROUP):
            self._room -= len(line) + 64  # what Python adds to bytes in a list
            if self._room >= 0:
                self._comparison.groups.append(line)
            return
        value = json.loads(line)
        if "progress" in value:
            self._comparison.progress = Progress(**value["progress"])
        elif "end" in value:
            self._comparison.total = value["end"]["groups"]
            self._comparison.bytes_to_free = value["end"]["bytes_to_free"]
            self.complete = True
        else:
            self.error = value["error"]
